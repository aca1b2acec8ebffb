package spawn

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys/shim"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

func TestBornInControlGroup(t *testing.T) {
	root, path := testGroup(t)
	fd, err := root.Open(path)
	require.NoError(t, err)
	defer unix.Close(fd)
	script := shell("grep ^0:: /proc/self/cgroup > $OUT")
	for _, way := range []string{"direct", "shim", "join"} {
		s := newSpawner(t)
		if way != "direct" {
			s.indirect = []string{"forced by the test"}
		}
		s.noClone.Store(way == "join")
		req := request(context(), script)
		req.Cgroup = fd
		require.Equal(t, "0::/"+path+"\n", run(t, s, req), way)
	}
}

func TestFrozenControlGroup(t *testing.T) {
	root, path := testGroup(t)
	_, err := root.Create(path+"/inner", nil)
	require.NoError(t, err)
	fd, err := root.Open(path + "/inner")
	require.NoError(t, err)
	defer unix.Close(fd)
	s := newSpawner(t)
	req := request(context(), shell(": > $OUT"))
	req.Cgroup = fd

	require.NoError(t, root.Freeze(path+"/inner"))
	_, err = s.Start(req)
	var spawn *unit.SpawnError
	require.ErrorAs(t, err, &spawn)
	require.Equal(t, shim.ExitCgroup, spawn.Status)
	req.Thaw = true
	run(t, s, req)
	frozen, err := root.IsFrozen(path + "/inner")
	require.NoError(t, err)
	require.False(t, frozen)

	require.NoError(t, root.Freeze(path))
	_, err = s.Start(req)
	require.ErrorAs(t, err, &spawn, "a frozen ancestor is not thawed")
	require.NoError(t, root.Thaw(path))
	run(t, s, req)
}

func TestStartTicksAndMark(t *testing.T) {
	s := newSpawner(t)
	req := request(context(), shell("read x"))
	req.Mark = "test.service/9"
	var pipe [2]int
	require.NoError(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	req.Stdin = pipe[0]
	p, err := s.Start(req)
	require.NoError(t, err)
	unix.Close(pipe[0])
	require.NotZero(t, p.Start)
	require.Equal(t, startTicks(p.PID), p.Start)
	var env []byte
	for end := time.Now().Add(5 * time.Second); len(env) == 0 && time.Now().Before(end); {
		// Between the point of no return of execve and its end the file is empty.
		env, err = os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/environ")
		require.NoError(t, err)
		runtime.Gosched()
	}
	require.Contains(t, string(env), "SYSMASTER_SPAWN=test.service/9\x00")
	unix.Close(pipe[1])
	finished(t, p)
}

func TestShimKilledBeforeExec(t *testing.T) {
	needRoot(t)
	s := newSpawner(t)
	c := context()
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	c.Stdin = execspec.Stdio{Kind: execspec.StdioFile, Path: fifo} // waits for a writer
	p, err := s.Start(request(c, shell("true")))
	require.NoError(t, err)
	done, _ := ReadStatus(p.StatusFD)
	require.False(t, done)
	require.NoError(t, unix.Kill(p.PID, unix.SIGKILL))
	failure, ws := finished(t, p)
	require.NotNil(t, failure, "the end of the pipe alone is no success")
	require.Equal(t, syscall.SIGKILL, ws.Signal())
}

// latency measures how long GC and a spawn take. The median counts: what hangs would hold up
// every round for good, while a busy machine holds up some.
func latency(t *testing.T, s *Spawner) {
	t.Helper()
	const bound = 50 * time.Millisecond
	var rounds []time.Duration
	for range 9 {
		begin := time.Now()
		runtime.GC()
		p, err := s.Start(request(context(), shell("true")))
		rounds = append(rounds, time.Since(begin))
		require.NoError(t, err)
		finished(t, p)
	}
	slices.Sort(rounds)
	require.Less(t, rounds[len(rounds)/2], bound, "others wait for what hangs")
	t.Logf("GC and a spawn beside it take %v", rounds)
}

// TestHungFileSystem mounts a FUSE file system whose server never answers.
func TestHungFileSystem(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	fuse, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("needs FUSE: %v", err)
	}
	err = unix.Mount("dead", dir, "fuse", unix.MS_NODEV|unix.MS_NOSUID, "fd="+strconv.Itoa(fuse)+",rootmode=40000,user_id=0,group_id=0")
	if err != nil {
		unix.Close(fuse)
		t.Skipf("needs FUSE: %v", err)
	}
	closed := false
	kill := func() {
		if !closed { // ends the connection: whoever waits gets an error
			closed = true
			require.NoError(t, unix.Close(fuse))
		}
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	defer kill()

	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(filepath.Join(dir, "prog"), link))
	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("#!"+dir+"/interpreter\n"), 0o755))
	s := newSpawner(t)
	var hung []Process
	for _, path := range []string{filepath.Join(dir, "prog"), link, script} {
		p, err := s.Start(request(context(), unit.Command{Path: path, Argv: []string{path}}))
		require.NoError(t, err)
		require.NotEqual(t, -1, p.StatusFD, "%s goes through the shim", path)
		hung = append(hung, p)
	}
	c := context()
	c.WorkingDirectory = dir
	p, err := s.Start(request(c, shell("true")))
	require.NoError(t, err)
	hung = append(hung, p)
	c = context()
	c.EnvironmentFiles = []execspec.EnvironmentFile{{Path: dir + "/env"}}
	_, err = s.Start(request(c, shell("true")))
	require.ErrorContains(t, err, "not on a local file system")

	latency(t, s)
	for _, p := range hung {
		done, _ := ReadStatus(p.StatusFD)
		require.False(t, done, "it hangs")
	}
	kill()
	for i, p := range hung {
		failure, ws := finished(t, p)
		require.NotNil(t, failure)
		want := shim.ExitExec
		if i == 3 {
			want = shim.ExitChdir
		}
		require.Equal(t, want, ws.ExitStatus(), "%v", failure)
	}
}

// TestFrozenBesideOthers: a refused start in a frozen group, and others go on.
func TestFrozenBesideOthers(t *testing.T) {
	root, path := testGroup(t)
	fd, err := root.Open(path)
	require.NoError(t, err)
	defer unix.Close(fd)
	s := newSpawner(t)
	require.NoError(t, root.Freeze(path))
	req := request(context(), shell("true"))
	req.Cgroup = fd
	_, err = s.Start(req)
	require.Error(t, err)
	latency(t, s)
}
