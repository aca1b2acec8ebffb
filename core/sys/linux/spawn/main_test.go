package spawn

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/cgroup"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

var (
	shimPath  string         // built by TestMain
	coreLimit syscall.Rlimit // NOFILE; the runtime has raised the soft limit
)

// TestMain makes this process an awkward core: settled, but with an umask and ignored signals
// that no service is to inherit.
func TestMain(m *testing.M) {
	if err := Settle(nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	syscall.Umask(0)
	signal.Ignore(syscall.SIGHUP, syscall.SIGUSR1)
	if err := syscall.Getrlimit(unix.RLIMIT_NOFILE, &coreLimit); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "spawn-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755)
	shimPath = filepath.Join(dir, "sysmaster-exec")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", shimPath, "github.com/sysmaster-go/sysmaster/examples/sysmaster/exec")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build the shim: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: changes credentials, mounts or control groups")
	}
}

// newSpawner makes one whose inherited limits are taken as the manager's.
func newSpawner(t testing.TB, change ...func(*Config)) *Spawner {
	t.Helper()
	cfg := Config{ShimPath: shimPath, JournalSocket: filepath.Join(t.TempDir(), "none"), Kmsg: "/dev/null"}
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// outDir is a directory that every user may write to.
func outDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "spawn-out-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o777))
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func shell(script string, args ...string) unit.Command {
	return unit.Command{Path: "/bin/sh", Argv: append([]string{"/bin/sh", "-c", script}, args...), NoEnvExpand: true}
}

func request(c *execspec.Context, cmd unit.Command) Request {
	return Request{Unit: "test.service", Command: cmd, Context: c}
}

func context() *execspec.Context {
	c := execspec.NewContext()
	return &c
}

// finished waits for a process: whether it came to the exec, and its status.
func finished(t testing.TB, p Process) (*unit.SpawnError, syscall.WaitStatus) {
	t.Helper()
	var failure *unit.SpawnError
	if p.StatusFD >= 0 {
		poll(t, p.StatusFD, 0)
		done, err := ReadStatus(p.StatusFD)
		require.True(t, done, "the status pipe hung up")
		failure = err
		require.NoError(t, unix.Close(p.StatusFD))
	}
	poll(t, p.PidFD, unix.POLLIN)
	require.NoError(t, unix.Close(p.PidFD))
	var ws syscall.WaitStatus
	pid, err := syscall.Wait4(p.PID, &ws, 0, nil)
	require.NoError(t, err)
	require.Equal(t, p.PID, pid)
	return failure, ws
}

func poll(t testing.TB, fd int, events int16) {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, 10_000)
		if err == unix.EINTR {
			continue
		}
		require.NoError(t, err)
		require.Equal(t, 1, n, "nothing happened for ten seconds")
		return
	}
}

// run starts a request and returns what the script wrote to $OUT.
func run(t testing.TB, s *Spawner, req Request) string {
	t.Helper()
	out := filepath.Join(outDir(t), "out")
	c := *req.Context
	c.Environment = append([]string{"OUT=" + out}, c.Environment...)
	req.Context = &c
	p, err := s.Start(req)
	require.NoError(t, err)
	failure, ws := finished(t, p)
	require.Nil(t, failure)
	require.Equal(t, 0, ws.ExitStatus(), "%v", ws)
	b, err := os.ReadFile(out)
	require.NoError(t, err)
	return string(b)
}

// testGroup makes a control group for one test.
func testGroup(t testing.TB) (*cgroup.Root, string) {
	t.Helper()
	needRoot(t)
	info, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	l, err := cgroup.ParseLayout(info)
	if err != nil {
		t.Skipf("needs control group v2: %v", err)
	}
	root, err := cgroup.OpenRoot(l.Unified)
	require.NoError(t, err)
	path := fmt.Sprintf("spawn-test-%d-%s", os.Getpid(), strings.ToLower(strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())))
	if _, err := root.Create(path, nil); err != nil {
		root.Close()
		t.Skipf("needs a writable control group: %v", err)
	}
	t.Cleanup(func() {
		if err := root.Remove(path); err != nil {
			t.Errorf("Remove = %v", err)
		}
		root.Close()
	})
	return root, path
}
