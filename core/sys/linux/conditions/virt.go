package conditions

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit/condition"
)

// Virtualization says what the system runs in, by the rules of systemd-detect-virt(1). It is
// found once: it does not change while the machine runs.
func (m *Machine) Virtualization() (condition.Virtualization, error) {
	m.virtOnce.Do(func() {
		m.virt.Container, m.virtErr = m.container()
		if m.virtErr == nil {
			m.virt.VM = m.vm()
			m.virt.PrivateUsers, m.virtErr = m.inUserNamespace()
		}
	})
	return m.virt, m.virtErr
}

// line is a small file's content without blanks at its ends; empty when it cannot be read.
func (m *Machine) line(path string) string {
	data, err := m.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// container follows the order of systemd: what the kernel shows, what the container manager
// told the first process, and last what well-known managers leave in the file system.
func (m *Machine) container() (string, error) {
	if exists("/proc/vz") && !exists("/proc/bc") {
		return "openvz", nil
	}
	if release := m.line("/proc/sys/kernel/osrelease"); strings.Contains(release, "Microsoft") || strings.Contains(release, "WSL") {
		return "wsl", nil
	}
	if !exists("/proc/self") {
		return "", errors.New("cannot detect a container: /proc is not mounted")
	}
	for _, v := range [...]string{m.line("/run/host/container-manager"), m.environOfFirst("container"), m.line("/run/systemd/container")} {
		if v == "" {
			continue
		}
		if v == "oci" { // says that it is one, not which
			return m.containerByFiles("container-other"), nil
		}
		return containerWord(v), nil
	}
	return m.containerByFiles(""), nil
}

func (m *Machine) containerByFiles(otherwise string) string {
	if exists("/run/.containerenv") {
		return "podman"
	}
	if exists("/.dockerenv") {
		return "docker"
	}
	return otherwise
}

// containerWord is v where systemd has a word for it.
func containerWord(v string) string {
	switch v {
	case "systemd-nspawn", "lxc-libvirt", "lxc", "openvz", "docker", "podman", "rkt", "wsl", "proot", "pouch":
		return v
	}
	return "container-other"
}

// environOfFirst looks up a variable in the environment that the first process was started
// with; empty when it is not there or may not be read.
func (m *Machine) environOfFirst(key string) string {
	data, err := m.ReadFile("/proc/1/environ")
	if err != nil {
		return ""
	}
	for e := range strings.SplitSeq(string(data), "\x00") {
		if v, ok := strings.CutPrefix(e, key+"="); ok {
			return v
		}
	}
	return ""
}

// inUserNamespace compares the maps of this process with those of the first namespace, where
// all ids mean themselves (man user_namespaces(7)).
func (m *Machine) inUserNamespace() (bool, error) {
	for _, path := range [...]string{"/proc/self/uid_map", "/proc/self/gid_map"} {
		data, err := m.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil // a kernel without user namespaces
		}
		if err != nil {
			return false, err
		}
		if strings.Join(strings.Fields(string(data)), " ") != "0 0 4294967295" {
			return true, nil
		}
	}
	return m.line("/proc/self/setgroups") == "deny", nil
}

// vm tells the hypervisor. DMI knows better than cpuid who stands behind a nested or
// disguised one; where cpuid and DMI disagree otherwise, cpuid is the more exact.
func (m *Machine) vm() string {
	dmi := m.vmByDMI()
	switch dmi {
	case "oracle", "xen", "amazon", "parallels", "google":
		return dmi
	}
	if m.isUML() {
		return "uml"
	}
	if v := m.vmByXen(); v != "" {
		return v
	}
	signature, present := hypervisorSignature()
	for _, h := range hypervisors {
		if present && h.signature == signature {
			return h.word
		}
	}
	if v := firstOf(dmi, m.vmByHypervisorFile(), m.vmByDeviceTree(), m.vmByZVM()); v != "" {
		return v
	}
	if present {
		return "vm-other"
	}
	return ""
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// hypervisors are the signatures of leaf 0x40000000.
var hypervisors = [...]struct{ signature, word string }{
	{"XenVMMXenVMM", "xen"}, {"KVMKVMKVM\x00\x00\x00", "kvm"}, {"Linux KVM Hv", "kvm"}, {"TCGTCGTCGTCG", "qemu"},
	{"VMwareVMware", "vmware"}, {"Microsoft Hv", "microsoft"}, {"bhyve bhyve ", "bhyve"}, {"QNXQVMBSQG\x00\x00", "qnx"},
	{"ACRNACRNACRN", "acrn"}, {"SRESRESRESRE", "sre"}, {"Apple VZ\x00\x00\x00\x00", "apple"},
}

// dmiVendors are the beginnings of DMI strings.
var dmiVendors = [...]struct{ prefix, word string }{
	{"KVM", "kvm"}, {"OpenStack", "kvm"}, {"KubeVirt", "kvm"}, {"Amazon EC2", "amazon"}, {"QEMU", "qemu"},
	{"VMware", "vmware"}, {"VMW", "vmware"}, {"innotek GmbH", "oracle"}, {"VirtualBox", "oracle"}, {"Oracle Corporation", "oracle"},
	{"Xen", "xen"}, {"Bochs", "bochs"}, {"Parallels", "parallels"}, {"BHYVE", "bhyve"}, {"Hyper-V", "microsoft"},
	{"Apple Virtualization", "apple"}, {"Google Compute Engine", "google"},
}

func (m *Machine) vmByDMI() string {
	for _, file := range [...]string{"product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version"} {
		s := m.line("/sys/class/dmi/id/" + file)
		for _, v := range dmiVendors {
			if strings.HasPrefix(s, v.prefix) {
				if v.word == "amazon" && m.bareMetalEC2() {
					return ""
				}
				return v.word
			}
		}
	}
	return ""
}

// bareMetalEC2: the vendor's machines without a hypervisor carry its name too, but have no
// hypervisor in the BIOS' characteristics; the product's name says ".metal".
func (m *Machine) bareMetalEC2() bool {
	return strings.HasSuffix(m.line("/sys/class/dmi/id/product_name"), ".metal")
}

func (m *Machine) isUML() bool {
	info, err := m.ReadFile("/proc/cpuinfo")
	return err == nil && strings.Contains(string(info), "\nvendor_id\t: User Mode Linux\n")
}

// vmByXen: the first domain is the host itself.
func (m *Machine) vmByXen() string {
	if !exists("/proc/xen") {
		return ""
	}
	if strings.Contains(m.line("/proc/xen/capabilities"), "control_d") {
		return ""
	}
	return "xen"
}

func (m *Machine) vmByHypervisorFile() string {
	switch m.line("/sys/hypervisor/type") {
	case "":
		return ""
	case "xen":
		return m.vmByXen()
	}
	return "vm-other"
}

func (m *Machine) vmByDeviceTree() string {
	v := strings.TrimRight(m.line("/proc/device-tree/hypervisor/compatible"), "\x00")
	switch {
	case v == "linux,kvm":
		return "kvm"
	case strings.Contains(v, "xen"):
		return "xen"
	case strings.Contains(v, "vmware"):
		return "vmware"
	case v != "":
		return "vm-other"
	case exists("/proc/device-tree/ibm,partition-name") && exists("/proc/device-tree/hmc-managed?"):
		return "powervm"
	}
	return ""
}

func (m *Machine) vmByZVM() string {
	info := m.line("/proc/sysinfo")
	_, v, ok := strings.Cut(info, "VM00 Control Program:")
	switch {
	case !ok:
		return ""
	case strings.HasPrefix(strings.TrimSpace(v), "z/VM"):
		return "zvm"
	}
	return "kvm"
}
