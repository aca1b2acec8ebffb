package process

import (
	"os"
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
