package execspec

import (
	"fmt"
	"slices"

	"github.com/sysmaster-go/sysmaster/unit"
)

// cgroupProtective need BPF programs or device numbers, which nobody provides yet.
func cgroupProtective(section string) []unit.Key {
	var keys []unit.Key
	for _, p := range cgroupProtectiveTable {
		keys = append(keys, unit.Bind(unit.Key{Section: section, Name: p.name, Form: p.form, Syntax: p.syntax, Default: p.off, Doc: p.doc, Support: unit.Protective},
			func(c *CGroupContext, v string) error {
				on, err := p.judge(v)
				if err != nil {
					return err
				}
				if on {
					c.Refused = addRefusal(c.Refused, p.name, v)
				} else if !p.adds || v == "" {
					c.Refused = dropRefusal(c.Refused, p.name)
				}
				return nil
			}))
	}
	return keys
}

var cgroupProtectiveTable = [...]protection{
	{name: "DevicePolicy", syntax: "auto|closed|strict", off: "auto", offWords: []string{"auto"}, valid: []string{"closed", "strict"}, doc: "Which devices can be used."},
	{name: "DeviceAllow", syntax: "list of DEVICE ACCESS", form: unit.FormText, adds: true, doc: "Devices that can be used; limits to them even if DevicePolicy= is auto."},
	{name: "IPAddressAllow", syntax: "list of addresses", form: unit.FormWords, adds: true, offFunc: func(string) bool { return true }, doc: "Exceptions from IPAddressDeny=, which refuses by itself."},
	{name: "IPAddressDeny", syntax: "list of addresses", form: unit.FormWords, adds: true, doc: "Peers that cannot be talked to."},
	{name: "IPIngressFilterPath", syntax: "absolute path", form: unit.FormText, adds: true, doc: "BPF program for what comes in."},
	{name: "IPEgressFilterPath", syntax: "absolute path", form: unit.FormText, adds: true, doc: "BPF program for what goes out."},
	{name: "BPFProgram", syntax: "TYPE:PATH", form: unit.FormText, adds: true, doc: "BPF programs of the group."},
	{name: "SocketBindAllow", syntax: "rule", form: unit.FormText, adds: true, offFunc: func(string) bool { return true }, doc: "Exceptions from SocketBindDeny=, which refuses by itself."},
	{name: "SocketBindDeny", syntax: "rule", form: unit.FormText, adds: true, doc: "Ports that cannot be bound."},
	{name: "RestrictNetworkInterfaces", syntax: "list of interfaces, perhaps after ~", form: unit.FormWords, adds: true, doc: "Interfaces that can be used."},
	{name: "IOReadBandwidthMax", syntax: "DEVICE BYTES", form: unit.FormText, adds: true, doc: "Limit of reads (io.max)."},
	{name: "IOWriteBandwidthMax", syntax: "DEVICE BYTES", form: unit.FormText, adds: true, doc: "Limit of writes (io.max)."},
	{name: "IOReadIOPSMax", syntax: "DEVICE IOPS", form: unit.FormText, adds: true, doc: "Limit of reads per second (io.max)."},
	{name: "IOWriteIOPSMax", syntax: "DEVICE IOPS", form: unit.FormText, adds: true, doc: "Limit of writes per second (io.max)."},
	{name: "BlockIOReadBandwidth", syntax: "DEVICE BYTES", form: unit.FormText, adds: true, doc: "Old name of IOReadBandwidthMax=."},
	{name: "BlockIOWriteBandwidth", syntax: "DEVICE BYTES", form: unit.FormText, adds: true, doc: "Old name of IOWriteBandwidthMax=."},
}

func cgroupInert(section string) []unit.Key {
	keys := []unit.Key{
		{Section: section, Name: "DisableControllers", Form: unit.FormWords, Syntax: "list of controllers", Support: unit.Inert, Doc: "Not applied: controllers are on only where a setting needs them."},
	}
	keys[0] = unit.Bind(keys[0], func(c *CGroupContext, v string) error {
		return appendWords(&c.DisableControllers, v, "controllers", func(w string) bool { return slices.Contains(controllers[:], w) })
	})
	for _, k := range cgroupInertTable {
		keys = append(keys, unit.Bind(unit.Key{Section: section, Name: k.name, Form: unit.FormText, Syntax: k.syntax, Doc: k.doc, Support: unit.Inert},
			func(c *CGroupContext, v string) error {
				if err := checkSyntax(k.syntax, v); err != nil {
					return fmt.Errorf("cannot read %s: %w", k.name, err)
				}
				return nil
			}))
	}
	return keys
}

var cgroupInertTable = [...]struct{ name, syntax, doc string }{
	{"StartupCPUWeight", "1 to 10000, or idle", "Not applied: the share is the same while the machine starts."},
	{"StartupCPUShares", "2 to 262144", "Not applied, as StartupCPUWeight= is not."},
	{"StartupIOWeight", "1 to 10000", "Not applied: the share is the same while the machine starts."},
	{"StartupBlockIOWeight", "10 to 1000", "Not applied, as StartupIOWeight= is not."},
	{"StartupAllowedCPUs", "list of numbers and ranges", "Not applied: AllowedCPUs= holds from the beginning."},
	{"StartupAllowedMemoryNodes", "list of numbers and ranges", "Not applied: AllowedMemoryNodes= holds from the beginning."},
	{"DefaultMemoryMin", "size, percentage or infinity", "Not applied: units below a slice protect only what they ask for themselves."},
	{"DefaultMemoryLow", "size, percentage or infinity", "Not applied, as DefaultMemoryMin= is not."},
	{"IODeviceWeight", "DEVICE WEIGHT", "Not applied: shares of disk time, not limits; IOWeight= is."},
	{"BlockIODeviceWeight", "DEVICE WEIGHT", "Not applied, as IODeviceWeight= is not."},
	{"IODeviceLatencyTargetSec", "DEVICE TIME", "Not applied: a wish to the I/O scheduler, not a limit."},
	{"BlockIOAccounting", boolSyntax, "cgroup v2 counts wherever the controller is on."},
	{"IPAccounting", boolSyntax, "Not applied: network traffic is not counted."},
	{"ManagedOOMSwap", "auto|kill", "systemd-oomd is not part of this system; the kernel's OOM killer is."},
	{"ManagedOOMMemoryPressure", "auto|kill", "systemd-oomd is not part of this system; the kernel's OOM killer is."},
	{"ManagedOOMMemoryPressureLimit", "percentage", "systemd-oomd is not part of this system; the kernel's OOM killer is."},
	{"ManagedOOMPreference", "none|avoid|omit", "systemd-oomd is not part of this system; the kernel's OOM killer is."},
}
