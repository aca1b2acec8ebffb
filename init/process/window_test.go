package process

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// build makes the program of testdata/window, with or without the overlay.
func build(t *testing.T, overlay bool) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command to build with")
	}
	dir := t.TempDir()
	args := []string{"build", "-o", filepath.Join(dir, "window")}
	if overlay {
		if out, err := exec.Command("sh", "overlay.sh", dir).CombinedOutput(); err != nil {
			t.Fatalf("overlay.sh: %v\n%s", err, out)
		}
		args = append(args, "-overlay", filepath.Join(dir, "overlay.json"))
	}
	return goBuild(t, append(args, "./testdata/window"), filepath.Join(dir, "window"))
}

// buildOf makes another program of testdata.
func buildOf(t *testing.T, name string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command to build with")
	}
	program := filepath.Join(t.TempDir(), name)
	return goBuild(t, []string{"build", "-o", program, "./testdata/" + name}, program)
}

func goBuild(t *testing.T, args []string, program string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// start runs the program with every signal blocked, as an init is started.
func start(t *testing.T, program string, times string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(program, times)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), settledEnv+"=1")
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and ends with the goroutine, as nothing else may run on it
		BlockSignals()
		failed <- cmd.Start()
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return cmd, &out
}

// A SIGTERM at whatever moment neither ends a sealed program nor gets lost.
func TestNoSignalFallsIntoTheWindow(t *testing.T) {
	program := build(t, true)
	for i := range 60 {
		cmd, out := start(t, program, "0")
		for end := time.Now().Add(time.Duration(i) * 50 * time.Microsecond); time.Now().Before(end); {
			runtime.Gosched()
		}
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "sealed true seen true") {
			t.Fatalf("after SIGTERM at %d us: %v\n%s", i*50, err, out)
		}
		if !strings.Contains(out.String(), "SigBlk:\t0000000000000000") {
			t.Fatalf("a child inherits blocked signals:\n%s", out)
		}
	}
}

// The same while it executes itself again and again under a storm of signals.
func TestStormWhileExecuting(t *testing.T) {
	program := build(t, true)
	cmd, out := start(t, program, "200")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	faults := []unix.Signal{unix.SIGSEGV, unix.SIGILL, unix.SIGBUS, unix.SIGFPE, unix.SIGTRAP, unix.SIGSYS, unix.SIGSTKFLT, unix.SIGABRT}
	sent := 0
	for {
		select {
		case err := <-ended:
			if err != nil || !strings.Contains(out.String(), "sealed true seen true") {
				t.Fatalf("after %d SIGTERMs: %v\n%s", sent, err, out)
			}
			t.Logf("200 executions under %d SIGTERMs and as many faults that were sent", sent)
			return
		default:
			_ = cmd.Process.Signal(unix.SIGTERM) // it may just have ended
			_ = cmd.Process.Signal(faults[sent%len(faults)])
			sent++
			runtime.Gosched()
		}
	}
}

// Without the overlay the window is there; how wide it is depends on the machine.
func TestWindowWithoutOverlay(t *testing.T) {
	program := build(t, false)
	died := 0
	for i := range 40 {
		cmd, out := start(t, program, "0")
		for end := time.Now().Add(time.Duration(i) * 50 * time.Microsecond); time.Now().Before(end); {
			runtime.Gosched()
		}
		_ = cmd.Process.Signal(unix.SIGTERM)
		if err := cmd.Wait(); err != nil {
			died++
		} else if !strings.Contains(out.String(), "sealed false") {
			t.Fatalf("it takes itself for sealed:\n%s", out)
		}
	}
	t.Logf("%d of 40 died of one SIGTERM in their first 2 ms", died)
}
