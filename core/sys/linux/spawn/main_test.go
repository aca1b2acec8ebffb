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

// TestMain makes this process what init makes the core: limits, umask and signals are set
// before the program starts, so it executes itself once more.
func TestMain(m *testing.M) {
	const stage = "SYSMASTER_SPAWN_TEST_STAGE"
	if os.Getenv(stage) == "" {
		syscall.Umask(0o022)
		limit := syscall.Rlimit{Cur: 1024, Max: 512 << 10}
		err := syscall.Setrlimit(unix.RLIMIT_NOFILE, &limit)
		if err != nil { // without CAP_SYS_RESOURCE the hard limit stays
			var now syscall.Rlimit
			if err = syscall.Getrlimit(unix.RLIMIT_NOFILE, &now); err == nil {
				limit.Max = min(limit.Max, now.Max)
				err = syscall.Setrlimit(unix.RLIMIT_NOFILE, &limit)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "cannot set the limit of a core:", err)
			os.Exit(1)
		}
		os.Setenv(stage, "2")
		fmt.Fprintln(os.Stderr, "cannot execute itself:", syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
		os.Exit(1)
	}
	os.Unsetenv(stage)
	signal.Ignore(syscall.SIGPIPE)
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
