//go:build !race

// The race detector asks for memory of its own.

package process

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"
)

const envHeap = "SYSMASTER_TEST_HEAP"

// TestProvide: after it a program gets on without one more address from the kernel, and without it does not.
func TestProvide(t *testing.T) {
	if how := os.Getenv(envHeap); how != "" {
		grow(t, how == "provided")
		return
	}
	for how, lives := range map[string]bool{"provided": true, "unprovided": false} {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestProvide$")
		cmd.Env = append(os.Environ(), envHeap+"="+how, "GODEBUG=disablethp=1")
		out, err := cmd.CombinedOutput()
		if (err == nil) != lives || err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Errorf("%s: %v; want a program that lives: %v\n%s", how, err, lives, out)
		}
	}
}

// grow has a heap of 5 MiB, with as many spans as init's, and collects it, while no address space is to be had.
func grow(t *testing.T, provided bool) {
	runtime.LockOSThread()
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(25)
	Park(4)
	if provided {
		Provide()
	}
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: 1 << 20, Max: unix.RLIM_INFINITY}); err != nil {
		t.Fatal(err)
	}
	type object [64]*byte
	heap := make([][]byte, 4)
	objects := make([]*object, 100*16)
	for range 20 {
		for i := range heap {
			heap[i] = make([]byte, 1<<20)
			heap[i][i] = 1
		}
		for i := range objects {
			objects[i] = new(object)
		}
		runtime.GC()
	}
	runtime.KeepAlive(heap)
	runtime.KeepAlive(objects)
}
