package conditions

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/condition"
)

// TestAgainstSystemd compares each condition, plain and negated, with systemd-analyze(1) on this machine.
func TestAgainstSystemd(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skipf("nothing to compare with: %v", err)
	}
	m := New()
	for _, line := range differentialCases(t) {
		for _, mark := range []string{"", "!"} {
			key, arg, _ := strings.Cut(line, "=")
			c := unit.ParseCondition(key, mark+arg)
			got, gotErr := condition.Eval(c, m)
			out, err := exec.Command(analyze, "condition", "Condition"+key+"="+mark+arg).CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if want := err == nil; got != want {
				t.Errorf("Eval(%s=%s%s) = %v, %v; systemd says %v: %s", key, mark, arg, got, gotErr, want, out)
			}
		}
	}
}

func differentialCases(t *testing.T) []string {
	dir := t.TempDir()
	full, empty, program := filepath.Join(dir, "full"), filepath.Join(dir, "empty"), filepath.Join(dir, "program")
	for path, mode := range map[string]os.FileMode{full: 0o644, empty: 0o644, program: 0o755} {
		content := "x"
		if path == empty {
			content = ""
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	link, dangling, void := filepath.Join(dir, "link"), filepath.Join(dir, "dangling"), filepath.Join(dir, "void")
	for path, target := range map[string]string{link: full, dangling: "/nowhere/at/all"} {
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(void, 0o755); err != nil {
		t.Fatal(err)
	}
	var cases []string
	paths := []string{full, empty, program, link, dangling, void, dir, "/", "/proc", "/sys", "/proc/version", "/nowhere", "/dev/null"}
	for _, key := range []string{"PathExists", "PathIsDirectory", "PathIsSymbolicLink", "PathIsMountPoint", "PathIsReadWrite",
		"PathIsEncrypted", "DirectoryNotEmpty", "FileNotEmpty", "FileIsExecutable", "PathExistsGlob", "NeedsUpdate"} {
		for _, p := range paths {
			cases = append(cases, key+"="+p)
		}
	}
	for _, g := range []string{"/f*", "/[ef]*", "/{a,full}", "/{a,b}", "/d?ngling", "/*x*", "/.*", "/void/*", "/*/", "/[!a-z]*", "/{}"} {
		cases = append(cases, "PathExistsGlob="+dir+g)
	}
	release, err := New().Release()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{">=4.0", "<4.0", ">= 4.0", "!=4.0", "=" + release, release, "*", "4*", ">4 <999", ">4 <5", "<=" + release, ">", "> ", "<999~rc1", "\">= 4.0\" !=1"} {
		cases = append(cases, "KernelVersion="+v)
	}
	mem, err := New().Memory()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"1", ">=1", "<1", "1000000000000000000", "= 5", "x", "1G", "=" + strconv.FormatUint(mem, 10)} {
		cases = append(cases, "Memory="+v)
	}
	return append(cases, strings.Fields(`
		CPUs=1 CPUs=>=1 CPUs=<1 CPUs=9999 CPUs=x CPUs=!=1
		KernelCommandLine=root KernelCommandLine=quiet KernelCommandLine=root=/dev/vda KernelCommandLine=nosuchthing KernelCommandLine=sleep
		Virtualization=yes Virtualization=no Virtualization=vm Virtualization=container Virtualization=private-users
		Virtualization=docker Virtualization=kvm Virtualization=qemu Virtualization=none Virtualization=xyz
		Architecture=x86-64 Architecture=native Architecture=arm64 Architecture=x86 Architecture=nonsense
		Host=nosuchhost Host=* Host=00000000000000000000000000000001
		ACPower=true ACPower=false ACPower=maybe
		Security=selinux Security=apparmor Security=audit Security=ima Security=smack Security=tomoyo Security=uefi-secureboot Security=tpm2 Security=xyz
		Capability=CAP_NET_ADMIN Capability=cap_sys_admin Capability=CAP_NOPE Capability=CAP_BPF Capability=5 Capability=62
		User=root User=0 User=@system User=1000 User=nobody User=65534
		Group=root Group=0 Group=adm Group=1000 Group=nogroup
		FirstBoot=yes FirstBoot=no FirstBoot=perhaps
		ControlGroupController=v1 ControlGroupController=v2 ControlGroupController=cpu ControlGroupController=memory
		ControlGroupController=pids ControlGroupController=io ControlGroupController=nonsense ControlGroupController=cpuset
		Environment=PATH Environment=NOPE Environment=HOME=/nope
		OSRelease=ID=debian OSRelease=ID!=debian OSRelease=VERSION_ID>=12 OSRelease=VERSION_ID<12 OSRelease=NOPE=x OSRelease=NOPE!=x OSRelease=ID
		OSRelease=VERSION_ID=12 OSRelease=ID= OSRelease==x
		CPUFeature=sse2 CPUFeature=avx2 CPUFeature=fpu CPUFeature=nonsense CPUFeature=SSE CPUFeature=sse3 CPUFeature=ssse3 CPUFeature=bmi1 CPUFeature=rdrand CPUFeature=sse4_2 CPUFeature=aes CPUFeature=adx
		Credential=nope Credential=a/b Credential=..
		Firmware=uefi Firmware=device-tree Firmware=nonsense Firmware=device-tree-compatible(x)
		MemoryPressure=100% MemoryPressure=x CPUPressure=100%/10sec IOPressure=100%/1min IOPressure=100%/7s`)...)
}
