package shutdown

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

const envChild = "SHUTDOWN_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envChild); dir != "" {
		if name := os.Getenv(envAttack); name != "" {
			os.Exit(attack(name, dir))
		}
		os.Exit(unmountInside(dir))
	}
	os.Exit(m.Run())
}

func TestParseMounts(t *testing.T) {
	table := `21 1 254:0 / / rw - ext4 /dev/vda rw
22 21 0:20 / /proc rw - proc proc rw
23 21 0:21 / /sys/fs/cgroup rw - cgroup2 c rw
24 21 0:22 / /run rw - tmpfs t rw
25 24 0:23 / /run/user/0 rw - tmpfs t rw
26 21 0:24 / /mnt/a\040b rw shared:1 - nfs4 s:/x rw
27 26 0:25 / /mnt/a\040b/deep rw - tmpfs t rw
28 26 0:25 / /mnt/stacked rw - tmpfs t rw
29 26 0:25 / /mnt/stacked rw - tmpfs t rw
30 21 0:9 / /devices rw - tmpfs t rw
short line
99 21 0:9 / /cut-off rw - tm`
	want := "/devices|/mnt/stacked|/mnt/stacked|/mnt/a b/deep|/mnt/a b|/run/user/0"
	if got := strings.Join(ParseMounts(table), "|"); got != want {
		t.Errorf("ParseMounts = %s; want %s", got, want)
	}
}

func TestParseSwaps(t *testing.T) {
	table := "Filename\t\t\t\tType\t\tSize\n/dev/sda2                               partition\t1000\t0\t-2\n/swap\\040file\tfile\t1\t0\t-3\n"
	if got := strings.Join(ParseSwaps(table), "|"); got != "/swap file|/dev/sda2" {
		t.Errorf("ParseSwaps = %s", got)
	}
}

func TestParseDirty(t *testing.T) {
	if got := ParseDirty("MemFree: 5 kB\nDirty:   17 kB\nWriteback:  3 kB\nWritebackTmp: 9 kB\nDirty:\n"); got != 20 {
		t.Errorf("ParseDirty = %d; want 20", got)
	}
}

func FuzzTables(f *testing.F) {
	f.Add("26 21 0:24 / /mnt/a\\040b rw shared:1 - nfs4 s:/x rw\n")
	f.Add("Filename\n/dev/sda2 partition 1\n")
	f.Add("Dirty: 17 kB\\")
	f.Fuzz(func(t *testing.T, table string) {
		for _, p := range ParseMounts(table) {
			if keepMounted(p) {
				t.Fatalf("ParseMounts(%q) gives %q", table, p)
			}
		}
		ParseSwaps(table)
		ParseDirty(table)
	})
}

func TestStepsByScope(t *testing.T) {
	for scope, want := range map[Scope]string{
		Keeper:    "kill all processes, sync, sync",
		Container: "kill all processes, sync, run hooks, sync",
		Machine: "kill all processes, sync, turn swap off, unmount, detach loop devices, unmount again, " +
			"remount read-only, run hooks, sync",
	} {
		var names []string
		for _, s := range Steps(Config{Scope: scope}, fdstore.Shutdown{Verb: fdstore.VerbPoweroff}) {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, ", "); got != want {
			t.Errorf("Steps(%d) = %s; want %s", scope, got, want)
		}
	}
}

func TestExitCode(t *testing.T) {
	for s, want := range map[fdstore.Shutdown]int{
		{Verb: fdstore.VerbExit, Code: 42}: 42, {Verb: fdstore.VerbReboot}: 133, {Verb: fdstore.VerbPoweroff, Code: 9}: 0, {Verb: fdstore.VerbHalt}: 0,
	} {
		if got := exitCode(s); got != want {
			t.Errorf("exitCode(%+v) = %d; want %d", s, got, want)
		}
	}
}

func TestWithinGivesUp(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	if err := (&run{}).within(time.Millisecond, func() error { <-release; return nil }); err != errHung {
		t.Errorf("within = %v; want errHung", err)
	}
	if err := (&run{}).within(time.Minute, func() error { return unix.EBUSY }); err != unix.EBUSY {
		t.Errorf("within = %v; want EBUSY", err)
	}
}

// A call that never returns holds a thread: only so many are tried.
func TestWithinBoundsWhatHangs(t *testing.T) {
	release := make(chan struct{})
	r := &run{}
	for i := range hungMax {
		if err := r.within(time.Millisecond, func() error { <-release; return nil }); err != errHung {
			t.Fatalf("call %d = %v; want errHung", i, err)
		}
	}
	if err := r.within(time.Minute, func() error { return nil }); err != errSkip {
		t.Errorf("one call more = %v; want errSkip", err)
	}
	if err := r.reserved(time.Minute, func() error { return nil }); err != nil {
		t.Errorf("the reserved call = %v", err)
	}
	close(release) // they come back after all
	for deadline := time.Now().Add(10 * time.Second); r.behind.Load() > 0; {
		if time.Now().After(deadline) {
			t.Fatal("calls that came back still count")
		}
		_, _ = unix.Poll(nil, 1)
	}
}

func TestPanicCostsOneStep(t *testing.T) {
	said := ""
	guarded(Config{Say: func(s string) { said = s }}, Step{"break", func() { panic("bug") }})
	if !strings.Contains(said, "cannot break") {
		t.Errorf("said %q", said)
	}
}

func TestHooks(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	hooks := filepath.Join(dir, "hooks")
	if err := os.Mkdir(hooks, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(hooks, name), []byte("#!/bin/sh\n"+text+"\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("20-second", "echo second $1 >>"+out, 0o755)
	write("10-first", "echo first $1 >>"+out+"; exit 3", 0o755)
	write("15-not", "echo not >>"+out, 0o644)
	write("30-hangs", "echo hangs >>"+out+"; exec sleep 1000", 0o755)
	var said []string
	r := &run{Config: Config{HookDirs: []string{hooks, dir + "/none"}, HookTimeout: 2 * time.Second, KillTimeout: 5 * time.Second,
		Say: func(s string) { said = append(said, s) }}.withDefaults()}
	r.hooks(fdstore.VerbReboot)
	b, err := os.ReadFile(out)
	if err != nil || string(b) != "first reboot\nsecond reboot\nhangs\n" {
		t.Errorf("hooks wrote %q, %v", b, err)
	}
	if len(said) != 2 || !strings.Contains(said[0], "exit status 3") || !strings.Contains(said[1], "no answer in time") {
		t.Errorf("said %q; want the failure and the hang", said)
	}
}

// Unmounting is tried for real, in a mount namespace of its own.
func TestUnmount(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envChild+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("namespaces are not allowed here: %v", err)
	}
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

func unmountInside(dir string) int {
	fatal := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fatal(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	mount := func(path string) {
		fatal(os.MkdirAll(path, 0o755))
		fatal(unix.Mount("tmpfs", path, "tmpfs", 0, ""))
	}
	mount(dir)
	mount(dir + "/a b")
	mount(dir + "/a b") // stacked
	mount(dir + "/a b/deep")
	mount(dir + "/busy")
	file, err := os.Create(dir + "/busy/open")
	fatal(err)
	var said []string
	r := &run{Config: Config{Say: func(s string) { said = append(said, s) }}.withDefaults()}
	r.unmountAll()
	left := ParseMounts(r.table("/proc/self/mountinfo"))
	mine := 0
	for _, p := range left {
		if strings.HasPrefix(p, dir) {
			mine++
		}
	}
	if mine != 2 || !strings.Contains(strings.Join(said, "\n"), dir+"/busy") {
		fmt.Printf("%d mounts left, want 2 (the busy one and the one below): %q\nsaid %q\n", mine, left, said)
		return 1
	}
	fatal(file.Close())
	r.unmountAll()
	for _, p := range ParseMounts(r.table("/proc/self/mountinfo")) {
		if strings.HasPrefix(p, dir) {
			fmt.Println("still mounted:", p)
			return 1
		}
	}
	return 0
}
