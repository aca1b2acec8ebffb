package execspec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// AllCapabilities is a CapabilityBoundingSet that takes nothing away.
const AllCapabilities = ^uint64(0)

// capabilityNames are those of linux/capability.h, in the order of their numbers.
var capabilityNames = [...]string{"cap_chown", "cap_dac_override", "cap_dac_read_search", "cap_fowner", "cap_fsetid", "cap_kill",
	"cap_setgid", "cap_setuid", "cap_setpcap", "cap_linux_immutable", "cap_net_bind_service", "cap_net_broadcast", "cap_net_admin",
	"cap_net_raw", "cap_ipc_lock", "cap_ipc_owner", "cap_sys_module", "cap_sys_rawio", "cap_sys_chroot", "cap_sys_ptrace",
	"cap_sys_pacct", "cap_sys_admin", "cap_sys_boot", "cap_sys_nice", "cap_sys_resource", "cap_sys_time", "cap_sys_tty_config",
	"cap_mknod", "cap_lease", "cap_audit_write", "cap_audit_control", "cap_setfcap", "cap_mac_override", "cap_mac_admin",
	"cap_syslog", "cap_wake_alarm", "cap_block_suspend", "cap_audit_read", "cap_perfmon", "cap_bpf", "cap_checkpoint_restore"}

// ParseCapabilities applies one assignment to the set old: words add, after a leading "~"
// they are taken away; initial is what an empty set means before the first assignment.
// Unknown names are ignored, as systemd does, and listed.
func ParseCapabilities(old uint64, v string, initial uint64) (set uint64, unknown []string, err error) {
	invert := strings.HasPrefix(v, "~")
	words, err := unit.SplitWords(strings.TrimPrefix(v, "~"))
	if err != nil {
		return old, nil, err
	}
	var sum uint64
	for _, w := range words {
		n := capability(w)
		if n < 0 {
			unknown = append(unknown, w)
			continue
		}
		sum |= 1 << n
	}
	switch {
	case sum == 0 || old == initial: // "" or uninitialised: the assignment begins anew
		if invert {
			return ^sum, unknown, nil
		}
		return sum, unknown, nil
	case invert:
		return old &^ sum, unknown, nil
	}
	return old | sum, unknown, nil
}

func capability(w string) int {
	if i := slices.Index(capabilityNames[:], strings.ToLower(w)); i >= 0 {
		return i
	}
	if n, err := strconv.Atoi(w); err == nil && n >= 0 && n <= 62 {
		return n
	}
	return -1
}

var secureBitNames = [...]string{"noroot", "noroot-locked", "no-setuid-fixup", "no-setuid-fixup-locked", "keep-caps", "keep-caps-locked"}

func capabilityKeys(section string) []unit.Key {
	caps := func(name, def, doc string, initial uint64, field func(*Context) *uint64) unit.Key {
		return unit.Bind(unit.Key{Section: section, Name: name, Form: unit.FormWords, Syntax: "list of CAP_... names, perhaps after ~", Default: def, Doc: doc},
			func(c *Context, v string) error {
				set, unknown, err := ParseCapabilities(*field(c), v, initial)
				if err != nil {
					return err
				}
				*field(c) = set
				if unknown != nil {
					return &unit.Partial{Text: fmt.Sprintf("%q ignored (valid: CAP_... names of capabilities(7))", unknown)}
				}
				return nil
			})
	}
	return []unit.Key{
		caps("CapabilityBoundingSet", "all", "The capabilities that a process can ever get.", AllCapabilities, func(c *Context) *uint64 { return &c.CapabilityBoundingSet }),
		caps("AmbientCapabilities", "none", "The capabilities that a process without root has.", 0, func(c *Context) *uint64 { return &c.AmbientCapabilities }),
		unit.Bind(unit.Key{Section: section, Name: "SecureBits", Form: unit.FormWords, Syntax: "list of " + strings.Join(secureBitNames[:], ", "),
			Doc: "Secure bits (man capabilities(7))."}, setSecureBits),
	}
}

func setSecureBits(c *Context, v string) error {
	if v == "" {
		c.SecureBits = 0
		return nil
	}
	words, err := unit.SplitWords(v)
	if err != nil {
		return err
	}
	bits := c.SecureBits
	for _, w := range words {
		i := slices.Index(secureBitNames[:], w)
		if i < 0 {
			return fmt.Errorf("%q is not a secure bit (valid: %s)", w, strings.Join(secureBitNames[:], ", "))
		}
		bits |= 1 << i
	}
	c.SecureBits = bits
	return nil
}
