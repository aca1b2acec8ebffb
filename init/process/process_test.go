package process

import (
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

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

// queue sends a signal with a payload, as sigqueue(3) does.
func queue(pid int, n int) error {
	info := struct {
		signo, errno, code, _ int32
		_                     [112]byte
	}{signo: int32(n), code: -1} // SI_QUEUE
	if _, _, e := unix.RawSyscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(n), uintptr(unsafe.Pointer(&info))); e != 0 {
		return e
	}
	return nil
}

// Every signal that can be caught, sent in each of the ways there are, is noted and does nothing
// else; and a fault of the program itself is still the panic that it always was.
func TestEverySignalByEveryWay(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("the handler for signals that look like faults is written for amd64 and arm64")
	}
	s := AcceptSignals()
	ways := map[string]func(n int) error{
		"kill":     func(n int) error { return unix.Kill(os.Getpid(), syscall.Signal(n)) },
		"tgkill":   func(n int) error { return unix.Tgkill(os.Getpid(), os.Getpid(), syscall.Signal(n)) },
		"sigqueue": func(n int) error { return queue(os.Getpid(), n) },
	}
	for way, send := range ways {
		for n := 1; n <= SignalMax; n++ {
			if n == int(unix.SIGKILL) || n == int(unix.SIGSTOP) || n == 33 && way == "tgkill" {
				continue // 33 from a process to itself is a C library's own (setxid), and linked with cgo it trusts it
			}
			s.Take()
			if err := send(n); err != nil {
				t.Fatalf("%s of %d: %v", way, n, err)
			}
			if n == int(unix.SIGURG) || n == 33 || n == int(unix.SIGPROF) {
				continue // the runtime's own
			}
			for deadline := time.Now().Add(10 * time.Second); ; {
				if got := s.Take(); got&(1<<(n-1)) != 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("signal %d by %s did not come", n, way)
				}
				_, _ = unix.Poll([]unix.PollFd{{Fd: int32(s.WakeFD()), Events: unix.POLLIN}}, 100)
			}
		}
	}
	defer func() {
		if _, ok := recover().(runtime.Error); !ok {
			t.Error("a nil pointer is no panic of the runtime any more")
		}
	}()
	var nothing *int
	*nothing = 1
}

func TestParkAndLimits(t *testing.T) {
	Park(3)
	if have, err := RaiseNOFILE(64); err != nil || have < 64 {
		t.Errorf("RaiseNOFILE(64) = %d, %v", have, err)
	}
}
