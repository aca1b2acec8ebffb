package linux

import (
	"os"
	"os/exec"
	"testing"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// TestGuessMain makes a process with a child, both marked by an invocation id, and looks
// for the one whose parent is not marked.
func TestGuessMain(t *testing.T) {
	in := sys.Intent{Unit: "x.service", Invocation: [16]byte{1, 2, 3, 4, 5, byte(os.Getpid()), byte(os.Getpid() >> 8)}}
	cmd := exec.Command("/bin/sh", "-c", "sleep 100 & echo; wait")
	cmd.Env = []string{"INVOCATION_ID=" + hexID(in.Invocation), "PATH=/bin:/usr/bin"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w := &World{}
		if err := w.eachOfInvocation(in.Invocation, func(p unit.Proc) {
			if err := w.signalProc(p, 9); err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("the shell ended by itself")
		}
	})
	if _, err := out.Read(make([]byte, 1)); err != nil { // the child exists
		t.Fatal(err)
	}
	w := &World{}
	p, err := w.mainProcess(in, 0)
	if err != nil || p.PID != cmd.Process.Pid {
		t.Errorf("mainProcess(0) = %v, %v; want %d", p, err, cmd.Process.Pid)
	}
	if p, err := w.mainProcess(in, cmd.Process.Pid); err != nil || p.PID != cmd.Process.Pid {
		t.Errorf("mainProcess(%d) = %v, %v", cmd.Process.Pid, p, err)
	}
	if p, err := w.mainProcess(in, os.Getppid()); err == nil {
		t.Errorf("mainProcess of a stranger = %v; want an error", p)
	}
}
