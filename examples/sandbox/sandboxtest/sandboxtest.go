// Package sandboxtest runs the sandbox from Go tests: the real init and core, in namespaces of their own.
package sandboxtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Forbidden is sandbox's exit code where the machine does not allow it.
const Forbidden = 77

const module = "github.com/sysmaster-go/sysmaster/examples/"

// sources are the packages of the programs that a sandbox needs, and of what is tried in it. Built together, each gets the name of its folder.
var sources = map[string]string{
	"sysmaster-init": "sysmaster/init", "sysmaster-core": "sysmaster/core", "sysmaster-exec": "sysmaster/exec",
	"sctl": "sctl", "sandbox": "sandbox", "torture": "torture",
}

// compiled are the programs by name. They are made once in a test process.
var compiled struct {
	once     sync.Once
	programs map[string][]byte
	err      error
}

func compile() (_ map[string][]byte, err error) {
	dir, err := os.MkdirTemp("", "sandbox-build-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	args := []string{"build", "-o", dir}
	for _, source := range sources {
		args = append(args, module+source)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	programs := make(map[string][]byte)
	for name, source := range sources {
		if programs[name], err = os.ReadFile(filepath.Join(dir, filepath.Base(source))); err != nil {
			return nil, err
		}
	}
	return programs, nil
}

// Programs gives a new directory, which any user may read and which goes with the test, with a copy of each program.
func Programs(t testing.TB) string {
	t.Helper()
	compiled.once.Do(func() { compiled.programs, compiled.err = compile() })
	programs := compiled.programs
	if compiled.err != nil {
		t.Fatal(compiled.err)
	}
	dir, err := os.MkdirTemp("", "sandbox-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Run runs the sandbox of dir as the user and gives its output and exit code. After limit it is told to end. Where
// the machine does not allow a sandbox the test is skipped with sandbox's own reason.
func Run(t testing.TB, dir string, uid int, limit time.Duration, args ...string) (out, errs string, code int) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "sandbox"), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) } // it cleans up, and prints the console
	cmd.WaitDelay = 20 * time.Second
	cmd.Dir = "/"
	if uid != os.Getuid() {
		id := uint32(uid)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	}
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatalf("cannot run sandbox as user %d: %v", uid, err)
	}
	code = cmd.ProcessState.ExitCode()
	if code == Forbidden {
		t.Skipf("sandbox %v: %s", args, e.String())
	}
	return o.String(), e.String(), code
}
