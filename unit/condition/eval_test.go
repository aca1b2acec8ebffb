package condition

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

func fake() *machine {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), Mode: 0o644} }
	usr := time.Unix(1000, 500)
	return &machine{
		files: fstest.MapFS{
			"etc/full": file("x"), "etc/empty": file(""), "etc/.hidden": file("h"),
			"etc/link":                         {Data: []byte("full"), Mode: fs.ModeSymlink | 0o777},
			"bin/run":                          {Data: []byte("x"), Mode: 0o755},
			"void":                             {Mode: fs.ModeDir | 0o755},
			"usr":                              {Mode: fs.ModeDir | 0o755, ModTime: usr},
			"old/.updated":                     {ModTime: time.Unix(999, 0)},
			"new/.updated":                     {ModTime: time.Unix(1001, 0)},
			"same/.updated":                    {ModTime: time.Unix(1000, 600)},
			"coarse/.updated":                  {Data: []byte("# c\nTIMESTAMP_NSEC=1000000000600\n"), ModTime: time.Unix(1000, 0)},
			"coarseold/.updated":               {Data: []byte("TIMESTAMP_NSEC=1000000000400\n"), ModTime: time.Unix(1000, 0)},
			"ro/.updated":                      {ModTime: time.Unix(999, 0)},
			"etc/os-release":                   file("ID=debian\nVERSION_ID=\"12\"\nNAME='Debian GNU'\n"),
			"proc/self/status":                 file("Name:\tx\nCapBnd:\t0000000000001000\n"),
			"proc/cpuinfo":                     file("processor : 0\nflags\t\t: fpu sse2 pni\n"),
			"sys/fs/cgroup/cgroup.controllers": file("cpu io memory pids\n"),
			"proc/pressure/memory":             file("some avg10=1.00 avg60=2.00 avg300=3.00 total=1\nfull avg10=10.00 avg60=20.00 avg300=30.00 total=2\n"),
			"proc/pressure/cpu":                file("some avg10=5.00 avg60=6.00 avg300=7.00 total=1\n"),
			"sys/fs/cgroup/a.slice/a-b.slice/io.pressure": file("full avg10=1.00 avg60=1.00 avg300=50.00 total=2\n"),
			"sys/dev/block/8:1/dm/uuid":                   file("CRYPT-LUKS2-x\n"),
			"sys/dev/block/8:2/slaves/a/dm/uuid":          file("CRYPT-LUKS2-x\n"),
			"sys/dev/block/8:2/slaves/b/dm/uuid":          file("LVM-x\n"),
			"sys/dev/block/8:3/slaves/a/dm/uuid":          file("CRYPT-LUKS2-x\n"),
			"creds/key":                                   file("k"),
			"sys/class/dmi/id/board_version":              file("1.5\n"),
		},
		systems: map[string]FileSystem{
			"/": {Root: true}, "/ro": {ReadOnly: true}, "/crypt": {Device: "8:1"}, "/half": {Device: "8:2"},
			"/onlvm": {Device: "8:3"}, "/plain": {Device: "8:4"},
		},
		virt: Virtualization{VM: "kvm"}, who: Identity{UIDs: [2]uint32{0, 1000}, GIDs: []uint32{0, 5}, Users: []string{"root", "me"}, Groups: []string{"root", "tty"}},
		env: []string{"PATH=/bin", "CREDENTIALS_DIRECTORY=/creds"}, cmdline: `quiet root=/dev/vda name="a b" splash=0`,
		release: "6.1.0-18-amd64", arch: "x86-64", memory: 1 << 30, cpus: 2,
	}
}

// TestEval lists, by condition, arguments that hold and arguments that do not.
func TestEval(t *testing.T) {
	for _, tc := range []struct{ condition, yes, no string }{
		{"PathExists", "/etc/full /etc /etc/link", "/nope /etc/full/x"},
		{"PathExistsGlob", "/etc/f* /e*/[ef]ull /etc/{a,full} /etc/.h*", "/etc/x* /etc/*hidden /nope/* /etc/full/*"},
		{"PathIsDirectory", "/etc /void", "/etc/full /nope"},
		{"PathIsSymbolicLink", "/etc/link", "/etc/full /nope /etc"},
		{"PathIsMountPoint", "/", "/etc /nope"},
		{"PathIsReadWrite", "/ /etc", "/ro /nope"},
		{"PathIsEncrypted", "/crypt /onlvm", "/half /plain /etc /nope"},
		{"DirectoryNotEmpty", "/etc", "/void /nope"},
		{"FileNotEmpty", "/etc/full /etc/link", "/etc/empty /etc /nope"},
		{"FileIsExecutable", "/bin/run", "/bin /etc/full /nope"},
		{"NeedsUpdate", "/old /coarseold /etc /nope", "/new /same /coarse /ro"},
		{"FirstBoot", "no", "yes"},
		{"Architecture", "x86-64 native", "arm64 nope"},
		{"Virtualization", "yes vm kvm", "no container qemu private-users nope"},
		{"Host", "web1.* WEB1.example.org 01234567-89ab-cdef-0123-456789abcdef 0123456789ABCDEF0123456789abcdef", "web2 01234567-89ab-cdef-0123-456789abcdee"},
		{"KernelCommandLine", "quiet root root=/dev/vda name splash", "qui root=/dev/vdb splash=1 b"},
		{"KernelVersion", ">=6 6.* <7 !=5 >6.1.0~rc1", "<6 5.* >=6.2"},
		{"OSRelease", "ID=debian VERSION_ID>=11 VERSION_ID<13 ID!=x", "ID=x VERSION_ID>12 NOPE=1"},
		{"Memory", "1 >=1G <2G =1073741824 1073741824", "2G <1G !=1G"},
		{"CPUs", "1 2 <=2 !=3", "3 >2"},
		{"CPUFeature", "fpu SSE2 pni", "avx512f"},
		{"Security", "", "selinux apparmor audit ima smack tomoyo uefi-secureboot tpm2 nope"},
		{"Capability", "cap_net_admin CAP_NET_ADMIN 12", "cap_sys_admin 11"},
		{"User", "0 root me 1000 @system", "5 nobody"},
		{"Group", "root 5 tty", "6 adm"},
		{"ACPower", "yes", "no"},
		{"ControlGroupController", "v2 cpu memory nonsense io", "v1 cpuset cpuacct bpf-firewall"},
		{"Environment", "PATH PATH=/bin", "NOPE PATH=/x PAT"},
		{"Credential", "key", "nope ../creds/key"},
		{"Firmware", "smbios-field(board_version>=1.4) smbios-field(board_version=1.5) smbios-field(board_version=$1.*)", "uefi device-tree nope smbios-field(board_version<1.5) smbios-field(nope=1) device-tree-compatible(x)"},
		{"MemoryPressure", "30% 10%/10sec 20%/1min", "29% 9%/10s"},
		{"CPUPressure", "7% 5%/10s", "6% 4%/10s"},
		{"IOPressure", "1% a-b.slice:50%", "a-b.slice:49%"},
	} {
		for _, x := range strings.Fields(tc.yes) {
			check(t, tc.condition, x, true)
		}
		for _, x := range strings.Fields(tc.no) {
			check(t, tc.condition, x, false)
		}
	}
	check(t, "KernelVersion", ">= 6 <7", true)
	check(t, "ControlGroupController", "cpu memory", true)
	check(t, "ControlGroupController", "cpu cpuset", false)
}

func check(t *testing.T, condition, arg string, want bool) {
	t.Helper()
	for _, negate := range []bool{false, true} {
		got, err := Eval(unit.Condition{Type: condition, Param: arg, Negate: negate}, fake())
		if err != nil || got != (want != negate) {
			t.Errorf("Eval(%s=%s, negate %v) = %v, %v; want %v", condition, arg, negate, got, err, want != negate)
		}
	}
}

func TestSwitches(t *testing.T) {
	m := fake()
	m.cmdline = "systemd.condition_first_boot systemd.condition-needs-update=0"
	for c, want := range map[string]bool{"FirstBoot": true, "NeedsUpdate": false} {
		arg := map[string]string{"FirstBoot": "yes", "NeedsUpdate": "/old"}[c]
		if got, err := Eval(unit.Condition{Type: c, Param: arg}, m); got != want || err != nil {
			t.Errorf("Eval(%s=%s) with %s = %v, %v; want %v", c, arg, m.cmdline, got, err, want)
		}
	}
}

func TestPower(t *testing.T) {
	supply := func(m *machine, name, kind, online, status string) {
		dir := "sys/class/power_supply/" + name + "/"
		m.files[dir+"type"] = &fstest.MapFile{Data: []byte(kind + "\n")}
		m.files[dir+"online"] = &fstest.MapFile{Data: []byte(online)}
		m.files[dir+"status"] = &fstest.MapFile{Data: []byte(status)}
	}
	laptop, plugged, mouse := fake(), fake(), fake()
	supply(laptop, "AC", "Mains", "0", "")
	supply(laptop, "BAT0", "Battery", "", "Discharging\n")
	supply(plugged, "AC", "Mains", "1", "")
	supply(plugged, "BAT0", "Battery", "", "Discharging\n")
	supply(mouse, "hid", "Battery", "", "Discharging\n")
	mouse.files["sys/class/power_supply/hid/scope"] = &fstest.MapFile{Data: []byte("Device\n")}
	for m, want := range map[*machine]bool{laptop: false, plugged: true, mouse: true} {
		if got, err := Eval(unit.Condition{Type: "ACPower", Param: "yes"}, m); got != want || err != nil {
			t.Errorf("Eval(ACPower=yes) = %v, %v; want %v", got, err, want)
		}
	}
}

// TestUnreadable: what cannot be known does not hold, negated or not, and says why.
func TestUnreadable(t *testing.T) {
	m := fake()
	m.err = errFake
	for _, c := range []unit.Condition{
		{Type: "PathExists", Param: "/broken/x"}, {Type: "DirectoryNotEmpty", Param: "/broken"}, {Type: "KernelCommandLine", Param: "x"},
		{Type: "KernelVersion", Param: ">1"}, {Type: "Architecture", Param: "native"}, {Type: "Memory", Param: "1"}, {Type: "CPUs", Param: "1"},
		{Type: "Virtualization", Param: "vm"}, {Type: "Host", Param: "*"}, {Type: "User", Param: "root"}, {Type: "Group", Param: "root"},
		{Type: "CPUs", Param: "x"}, {Type: "Memory", Param: "x"}, {Type: "FirstBoot", Param: "x"}, {Type: "ACPower", Param: "x"},
		{Type: "Capability", Param: "x"}, {Type: "OSRelease", Param: "x"}, {Type: "MemoryPressure", Param: "x"}, {Type: "MemoryPressure", Param: "5%/7s"},
		{Type: "MemoryPressure", Param: "x.service:5%"}, {Type: "Nope", Param: "x"},
	} {
		for _, c.Negate = range []bool{false, true} {
			if got, err := Eval(c, m); got || err == nil {
				t.Errorf("Eval(%+v) = %v, %v; want false and an error", c, got, err)
			}
		}
	}
	if _, err := Eval(unit.Condition{Type: "Nope"}, m); !errors.Is(err, ErrUnknown) {
		t.Errorf("Eval(Nope) = %v; want ErrUnknown", err)
	}
}

// TestComplete: every condition that a unit file may have can be evaluated.
func TestComplete(t *testing.T) {
	known := map[string]bool{}
	for _, x := range tests {
		known[x.name] = true
	}
	for _, k := range unit.CommonKeys() {
		if c, ok := strings.CutPrefix(k.Name, "Condition"); ok && !known[c] {
			t.Errorf("Eval does not know %s", c)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"", "", true}, {"", "a", false}, {"a*b*c", "aXbYc", true}, {"a*b*c", "aXbY", false}, {"[a-c]x", "bx", true},
		{"[!a-c]x", "bx", false}, {"[]]", "]", true}, {"[a-]", "-", true}, {"[", "[", true}, {`\*`, "*", true}, {`\*`, "a", false},
		{"[[:digit:]]", "5", true}, {"[[:alpha:]]", "5", false}, {"?", "/", true}, {"a", "b", false}, {`[\]]`, "]", true}, {`a\`, `a\`, true},
	} {
		if got := match(tc.pattern, tc.s); got != tc.want {
			t.Errorf("match(%q, %q) = %v; want %v", tc.pattern, tc.s, got, tc.want)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"1", "1", 0}, {"1", "01", 0}, {"1", "2", -1}, {"10", "9", 1}, {"1~rc1", "1", -1}, {"1", "1.1", -1}, {"1.1-1", "1.1.1", -1},
		{"a", "1", -1}, {"1_", "1", 0}, {"abc", "abd", -1}, {"ab", "abc", -1}, {"1^a", "1", 1}, {"1^a", "1.1", -1}, {"~", "~~", 1}, {"", "", 0},
	} {
		if got := compareVersions(tc.a, tc.b); got != tc.want {
			t.Errorf("compareVersions(%q, %q) = %d; want %d", tc.a, tc.b, got, tc.want)
		}
		if got := compareVersions(tc.b, tc.a); got != -tc.want {
			t.Errorf("compareVersions(%q, %q) = %d; want %d", tc.b, tc.a, got, -tc.want)
		}
	}
}

func FuzzEval(f *testing.F) {
	for _, x := range tests {
		for _, arg := range []string{"", "/etc/{a,{b,c}}*[x", ">= 6 <7", "a=b", "x.slice:5%/10s", "smbios-field(a=$b)", "\"", "yes"} {
			f.Add(x.name, arg, "quiet x=\"y", []byte("flags: a\nfull avg300=x\nID=\"x"))
		}
	}
	f.Fuzz(func(t *testing.T, condition, arg, cmdline string, content []byte) {
		m := fake()
		m.cmdline, m.release = cmdline, cmdline
		for p := range m.files {
			if m.files[p].Mode.IsRegular() {
				m.files[p].Data = content
			}
		}
		yes, err := Eval(unit.Condition{Type: condition, Param: arg}, m)
		no, again := Eval(unit.Condition{Type: condition, Param: arg, Negate: true}, m)
		if (err == nil) != (again == nil) || err != nil && (yes || no) || err == nil && yes == no {
			t.Fatalf("%s=%q: %v, %v; negated %v, %v", condition, arg, yes, err, no, again)
		}
	})
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("1.2~rc1", "1.2^x")
	f.Fuzz(func(t *testing.T, a, b string) {
		if compareVersions(a, a) != 0 || compareVersions(a, b) != -compareVersions(b, a) {
			t.Fatalf("no order: %q, %q", a, b)
		}
	})
}
