package process

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestConsoleNeverBlocks(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	c := Console(w.Fd()) // Fd makes it blocking
	for range 1000 {
		if _, err = c.Write(make([]byte, 4096)); err != nil {
			break
		}
	}
	if err != unix.EAGAIN {
		t.Errorf("writing into a full pipe: %v; want EAGAIN", err)
	}
	if _, err := Console(9999).Write([]byte("x")); err == nil {
		t.Error("writing to a closed descriptor succeeded")
	}
}

func TestSignalsCoalesceAndWake(t *testing.T) {
	s := AcceptSignals()
	for _, n := range []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM, 40, 64} {
		if err := unix.Kill(os.Getpid(), n); err != nil {
			t.Fatal(err)
		}
	}
	want := uint64(1)<<(15-1) | 1<<(40-1) | 1<<(64-1)
	got := uint64(0)
	for got&want != want {
		fds := []unix.PollFd{{Fd: int32(s.WakeFD()), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 10000); err != unix.EINTR && (err != nil || n == 0) {
			t.Fatalf("no wake-up within 10 s: %v; taken %x, want %x", err, got, want)
		}
		got |= s.Take()
	}
}

func TestParkAndLimits(t *testing.T) {
	Park(3)
	if have, err := RaiseNOFILE(64); err != nil || have < 64 {
		t.Errorf("RaiseNOFILE(64) = %d, %v", have, err)
	}
}

// What the kernel queues is bounded while this process takes signals and while it executes itself; its children
// do not notice.
func TestQueueOfSignalsIsBounded(t *testing.T) {
	limit := func() uint64 {
		var l unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_SIGPENDING, &l); err != nil {
			t.Fatal(err)
		}
		return l.Cur
	}
	before := limit()
	if before <= queueMax { // an earlier test's AcceptSignals
		var l unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_SIGPENDING, &l); err != nil || l.Max <= 2*queueMax {
			t.Skipf("the limit of queued signals is at most %d", l.Max)
		}
		if err := unix.Setrlimit(unix.RLIMIT_SIGPENDING, &unix.Rlimit{Cur: 2 * queueMax, Max: l.Max}); err != nil {
			t.Fatal(err)
		}
	}
	s := &Signals{}
	found := limit()
	s.bound()
	if got := limit(); got != queueMax {
		t.Errorf("the limit is %d; want %d", got, queueMax)
	}
	if _, err := s.Child(func() (int, error) { return 0, nil }); err != nil {
		t.Fatal(err)
	}
	out := ""
	_, err := s.Child(func() (int, error) {
		b, err := exec.Command("grep", "pending signals", "/proc/self/limits").Output()
		if f := strings.Fields(string(b)); len(f) > 3 {
			out = f[3]
		}
		return 0, err
	})
	if err != nil || out != strconv.FormatUint(found, 10) {
		t.Errorf("a child has %q, %v; want %d", out, err, found)
	}
	if got := limit(); got != queueMax {
		t.Errorf("after a child the limit is %d; want %d", got, queueMax)
	}
	next := &Signals{} // of the program that this one executes
	next.bound()
	if _, err := next.Child(func() (int, error) { found = limit(); return 0, nil }); err != nil || found <= queueMax {
		t.Errorf("after an execution a child has %d, %v", found, err)
	}
}
