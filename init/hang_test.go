package pid1

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// hangScenarios are those of cores that live and do nothing. Each first core says that it
// idles for long, or begins to work; the second one must be there within the bound.
func hangScenarios() map[string]scenario {
	short := func(c *Config) { c.HangIdle, c.HangBusy = time.Minute, time.Second }
	hangs := func(f func(*testbed)) scenario {
		return scenario{config: short, core: func(b *testbed) { coreHangsOnce(b, f) }}
	}
	return map[string]scenario{
		"hang-stopped": hangs(func(b *testbed) { b.die(unix.SIGSTOP) }),
		"hang-door": hangs(func(b *testbed) { // a client connects to a core that idles and hangs
			c, err := net.Dial("unix", b.kept.Notes[0])
			b.must(err)
			defer c.Close()
			forever()
		}),
		"hang-datagram": hangs(func(b *testbed) {
			c, err := net.Dial("unixgram", b.kept.Notes[1])
			b.must(err)
			_, err = c.Write([]byte("READY=1"))
			b.must(err)
			forever()
		}),
		"hang-exit": hangs(func(b *testbed) { // a registered process ends
			pid := orphan(b)
			b.must(b.Register(pid, startTime(pid)))
			b.must(unix.Kill(pid, unix.SIGKILL))
			for b.Pending() > 0 {
				b.must(b.Flush())
			}
			forever()
		}),
		"hang-turn": hangs(func(b *testbed) { // it woke, and never comes back from the turn
			b.must(b.Pulse(1, 0))
			for i := 0; ; i++ { // no preemption point
			}
		}),
		"hang-kernel": hangs(func(b *testbed) { // as spawning into a frozen control group does
			b.must(b.Pulse(1, 0))
			pid, _, _ := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_VFORK|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
			for pid == 0 { // the child never executes anything: its parent waits in the kernel
				_, _, _ = unix.RawSyscall(unix.SYS_PPOLL, 0, 0, 0)
			}
		}),
		"hang-deadlock": hangs(func(b *testbed) { // the engine waits for itself
			b.must(b.Pulse(1, 0))
			var mu sync.Mutex
			mu.Lock()
			go forever() // else the runtime sees it at once
			mu.Lock()
		}),
		"hang-recovery": {config: func(c *Config) { short(c); c.HelloTimeout = time.Minute }, core: coreHangsInRecovery},
		"doors-served":  {config: short, core: coreServesDoors},
	}
}

// orphan starts a process that is init's child at once.
func orphan(b *testbed) int {
	var pipe [2]int
	b.must(unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "sleep 1000 >/dev/null & echo $!"},
		&syscall.ProcAttr{Files: []uintptr{0, uintptr(pipe[1]), 2}})
	b.must(err)
	var status unix.WaitStatus
	_, err = unix.Wait4(pid, &status, 0, nil)
	b.must(err)
	p := make([]byte, 32)
	n, err := unix.Read(pipe[0], p)
	b.must(err)
	fmt.Sscan(string(p[:n]), &pid)
	return pid
}

// doors makes a control socket and one for notifications, and has init keep them.
func (b *testbed) doors() {
	dir, err := os.MkdirTemp("", "doors")
	b.must(err)
	b.kept.Notes = []string{dir + "/control", dir + "/notify"}
	for i, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
		fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		b.must(err)
		b.must(unix.Bind(fd, &unix.SockaddrUnix{Name: b.kept.Notes[i]}))
		if kind == unix.SOCK_STREAM {
			b.must(unix.Listen(fd, 8))
		}
		key := fmt.Sprintf("%s%d", fdstore.DoorPrefix, i)
		b.put(key, fd)
		b.fds[key] = fd
	}
}

func coreHangsOnce(b *testbed, hang func(*testbed)) {
	if b.welcome.Generation == 1 {
		b.doors()
		b.must(b.Pulse(1, 40*time.Second))
		b.put("barrier", b.fds["memory"])
		b.kept.Previous = []string{time.Now().Format(time.RFC3339Nano)}
		b.save()
		hang(b)
	}
	began, err := time.Parse(time.RFC3339Nano, b.kept.Previous[0])
	b.must(err)
	b.must(os.RemoveAll(b.kept.Notes[0]))
	// The limit is one second, the rest is for a loaded machine; the idle limit is a minute.
	if took := time.Since(began); b.welcome.Cause != fdstore.CauseHang || took > 15*time.Second {
		b.fail("cause %v after %v", b.welcome.Cause, took)
	} else {
		fmt.Println("a new core after", took)
	}
	b.exit(20)
}

// A core that said that it recovers and hangs before its first turn does not have until HelloTimeout.
func coreHangsInRecovery(b *testbed) {
	if b.welcome.Generation == 1 {
		b.must(b.Pulse(0, 0))
		b.kept.Previous = []string{time.Now().Format(time.RFC3339Nano)}
		b.save()
		forever()
	}
	began, err := time.Parse(time.RFC3339Nano, b.kept.Previous[0])
	b.must(err)
	if took := time.Since(began); b.welcome.Cause != fdstore.CauseHang || took > 30*time.Second {
		b.fail("cause %v after %v", b.welcome.Cause, took)
	}
	b.exit(20)
}

// A core whose doors are used all the time, and which serves them late but in time, lives.
func coreServesDoors(b *testbed) {
	if b.welcome.Generation > 1 {
		b.fail("the first core died: %v", b.welcome.Cause)
	}
	b.doors()
	c, err := net.Dial("unixgram", b.kept.Notes[1])
	b.must(err)
	turn := uint64(1)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); turn++ {
		b.must(b.Pulse(turn, 40*time.Second))
		_, err = c.Write([]byte("WATCHDOG=1"))
		b.must(err)
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(b.fds["door/1"]), Events: unix.POLLIN}}, 1000)
		b.must(err)
		_, _ = unix.Poll(nil, 300) // slow
		b.must(b.Pulse(turn, 0))
		var p [64]byte
		_, err = unix.Read(b.fds["door/1"], p[:])
		b.must(err)
	}
	b.must(os.RemoveAll(b.kept.Notes[1]))
	b.exit(20)
}

func TestHangs(t *testing.T) {
	for name := range hangScenarios() {
		t.Run(name, func(t *testing.T) { boot(t, name, false).ends(20) })
	}
}
