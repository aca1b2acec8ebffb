package pid1

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/init/keep"
	"github.com/sysmaster-go/sysmaster/init/proc"
	"github.com/sysmaster-go/sysmaster/init/process"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// crashes lists the last words that init gave back, by generation.
func (b *testbed) crashes() map[uint64][]byte {
	found := map[uint64][]byte{}
	for key, fd := range b.fds {
		c, ok := fdstore.ParseCrash(key)
		if !ok {
			continue
		}
		words := make([]byte, fdstore.CrashSize+1)
		n, err := unix.Pread(fd, words, 0)
		b.must(err)
		if n != fdstore.CrashSize {
			b.fail("%s has %d bytes", key, n)
		}
		if c.Cause == fdstore.CauseHang && c.Generation != 2 || c.PID < 1 || c.Time < 1e9 {
			b.fail("%s: wrong", key)
		}
		found[c.Generation] = fdstore.LastWords(words[:n])
	}
	return found
}

// Cores that die in their own ways and leave their last words: a panic, a hang with ten thousand
// goroutines, hostile bytes, nothing.
func coreLastWords(b *testbed) {
	console, err := fdstore.CrashOutput(os.Getenv(fdstore.EnvCrashFD))
	b.must(err)
	fmt.Fprintln(console, "on the console")
	b.must(b.Pulse(1, 0))
	seen := b.crashes()
	g := b.welcome.Generation
	switch {
	case g > 1 && len(seen) != min(int(g)-1, keep.MaxCrashes):
		b.fail("%d last words", len(seen))
	case g == 2 && !strings.HasPrefix(string(seen[1]), "panic: the first one\n"):
		b.fail("of the panic: %.100q", seen[1])
	case g == 3 && (!strings.HasPrefix(string(seen[2]), "SIGABRT: abort\n") || !bytes.Contains(seen[2], []byte("\ngoroutine 1 "))):
		b.fail("of the hang: %.1000q", seen[2])
	case g == 3 && len(seen[2]) != fdstore.CrashSize:
		b.fail("of 10,000 goroutines there are only %d bytes", len(seen[2]))
	case g == 4 && string(seen[3]) != "?[2J?crash?":
		b.fail("of the hostile one: %.100q", seen[3])
	case g == 5 && seen[1] != nil:
		b.fail("more than three last words")
	}
	for key := range b.fds {
		if _, ok := fdstore.ParseCrash(key); ok && g == 2 {
			if err := unix.Ftruncate(b.fds[key], 1<<30); err != unix.EPERM {
				b.fail("growing it: %v; want EPERM", err)
			}
			for _, change := range []func(string) (uint32, error){b.Drop, func(s string) (uint32, error) { return b.Put(s, b.fds["memory"]) }} {
				_, err := change(key)
				b.must(err)
				if m := b.await(fdstore.KindPutResult); m.Errno != unix.EPERM {
					b.fail("changing it: %v; want EPERM", m.Errno)
				}
			}
			_, err := b.DropPrefix("c")
			b.must(err)
			if m := b.await(fdstore.KindPutResult); m.Errno != unix.ENOENT {
				b.fail("dropping all: %v; want ENOENT", m.Errno)
			}
		}
	}
	b.save()
	switch g {
	case 1:
		panic("the first one")
	case 2:
		for range 10000 {
			go func() { select {} }()
		}
		forever()
	case 3:
		_, err := os.Stderr.WriteString("\x1b[2J\xffcrash\x9b")
		b.must(err)
		os.Exit(2)
	case 4:
		b.die(unix.SIGSEGV)
	}
	b.exit(22)
}

const envDir = "PID1_TEST_DIR"

// oomScenario has control groups of which the core writes the files.
func oomScenario() scenario {
	return scenario{core: coreOOM, config: func(c *Config) {
		dir, err := os.MkdirTemp("", "oom")
		if err != nil {
			fmt.Println("FAIL:", err)
		}
		c.CgroupRoot = dir
		c.Core.Env = append(c.Core.Env, envDir+"="+dir)
	}}
}

// A core that dies of SIGKILL while its group's count of such deaths grows is one that the kernel
// killed for memory; a second one, without that, is not.
func coreOOM(b *testbed) {
	text, err := os.ReadFile("/proc/self/cgroup")
	b.must(err)
	group := os.Getenv(envDir) + string(proc.ParseCgroup(text))
	count := func(n int) {
		b.must(os.MkdirAll(group, 0o755))
		b.must(os.WriteFile(group+"/memory.events.local", fmt.Appendf(nil, "oom 1\noom_kill %d\n", n), 0o644))
	}
	if b.welcome.Generation == 1 {
		count(1)
	}
	b.must(b.Pulse(1, 0))
	b.put("barrier", b.fds["memory"])
	switch g, cause := b.welcome.Generation, b.welcome.Cause; {
	case g == 1:
		count(2)
		b.die(unix.SIGKILL)
	case g == 2 && cause == fdstore.CauseOOM:
		b.die(unix.SIGKILL)
	case g == 3 && cause == fdstore.CauseKill:
		b.must(os.RemoveAll(os.Getenv(envDir)))
		b.exit(23)
	default:
		b.fail("cause %v", cause)
	}
}

// An init that has executed itself counts the deaths for memory from where it is.
func TestOOMKillsAreCountedAfterAReexec(t *testing.T) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	group := root + string(proc.ParseCgroup(text))
	if err := os.MkdirAll(group, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(group+"/memory.events.local", []byte("oom_kill 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	k := newKeeper(Config{CgroupRoot: root, Signals: new(process.Signals), MaxFDs: 1, MaxExits: 4})
	s := &handover.State{Core: handover.Core{KnownCore: handover.KnownCore{PID: os.Getpid(), Turned: true}}}
	if err := k.restore(s, time.Now()); err != nil {
		t.Fatal(err)
	}
	if !k.core.oomKnown || k.core.oomKills != 3 {
		t.Errorf("%d deaths for memory, known: %v; want 3, true", k.core.oomKills, k.core.oomKnown)
	}
}
