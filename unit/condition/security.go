package condition

import (
	"fmt"
	"strconv"
	"strings"
)

// security reports whether a security technology is enabled (man systemd.unit(5), ConditionSecurity=).
func security(m Machine, arg string) (bool, error) {
	switch arg {
	case "selinux":
		return pathExists(m, "/sys/fs/selinux/enforce")
	case "apparmor":
		return strings.HasPrefix(attribute(m, "/sys/module/apparmor/parameters/enabled"), "Y"), nil
	case "tomoyo":
		return pathExists(m, "/sys/kernel/security/tomoyo/version")
	case "ima":
		return pathExists(m, "/sys/kernel/security/ima/policy")
	case "smack":
		return pathExists(m, "/sys/fs/smackfs")
	case "audit":
		return auditEnabled(m)
	case "uefi-secureboot":
		// Four bytes of attributes, then the value (UEFI specification, Globally Defined Variables).
		data, err := m.ReadFile("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")
		ok, err := found(err)
		return ok && len(data) == 5 && data[4] == 1, err
	case "tpm2":
		return hasTPM2(m)
	}
	return false, nil
}

// auditEnabled: the kernel has auditing when a process has a login uid file.
func auditEnabled(m Machine) (bool, error) {
	if words, err := commandLineWords(m); err == nil {
		for _, w := range words {
			if w == "audit=0" || w == "audit=off" {
				return false, nil
			}
		}
	}
	return pathExists(m, "/proc/self/loginuid")
}

func hasTPM2(m Machine) (bool, error) {
	for _, dir := range [...]string{"/sys/class/tpmrm", "/sys/firmware/acpi/tables/TPM2"} {
		f, err := m.Stat(dir)
		if ok, err := found(err); err != nil {
			return false, err
		} else if !ok {
			continue
		}
		if !f.Mode.IsDir() {
			return true, nil
		}
		if names, err := m.ReadDir(dir, 1); err != nil || len(names) > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// capabilities are the kernel's names by number (include/uapi/linux/capability.h).
var capabilities = [...]string{
	"cap_chown", "cap_dac_override", "cap_dac_read_search", "cap_fowner", "cap_fsetid", "cap_kill", "cap_setgid",
	"cap_setuid", "cap_setpcap", "cap_linux_immutable", "cap_net_bind_service", "cap_net_broadcast", "cap_net_admin",
	"cap_net_raw", "cap_ipc_lock", "cap_ipc_owner", "cap_sys_module", "cap_sys_rawio", "cap_sys_chroot",
	"cap_sys_ptrace", "cap_sys_pacct", "cap_sys_admin", "cap_sys_boot", "cap_sys_nice", "cap_sys_resource",
	"cap_sys_time", "cap_sys_tty_config", "cap_mknod", "cap_lease", "cap_audit_write", "cap_audit_control",
	"cap_setfcap", "cap_mac_override", "cap_mac_admin", "cap_syslog", "cap_wake_alarm", "cap_block_suspend",
	"cap_audit_read", "cap_perfmon", "cap_bpf", "cap_checkpoint_restore",
}

// capability looks into the manager's bounding set.
func capability(m Machine, arg string) (bool, error) {
	bit := -1
	for i, name := range capabilities {
		if strings.EqualFold(name, arg) {
			bit = i
		}
	}
	if n, err := strconv.ParseUint(arg, 10, 6); err == nil && bit < 0 {
		bit = int(n)
	}
	if bit < 0 {
		return false, fmt.Errorf("%w: no such capability", errArgument)
	}
	status, err := m.ReadFile("/proc/self/status")
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
			return err == nil && set>>bit&1 != 0, err
		}
	}
	return false, fmt.Errorf("%w: no CapBnd", errProc)
}
