package linux

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

func readPID(t *testing.T, w *World, in sys.Intent, path string) unit.PIDRead {
	t.Helper()
	in.Effect = unit.ReadPIDFile{Path: path}
	w.Act(in)
	_, r := await(t, w, func(i sys.Input, r unit.PIDRead) bool { return r.Seq == in.Seq })
	return r
}

func TestPIDFile(t *testing.T) {
	w := newWorld(t, Config{})
	dir := t.TempDir()
	path := filepath.Join(dir, "pid")
	in := sys.Intent{Unit: "a.service", Seq: 1, Invocation: [16]byte{1}}
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o644)) }

	require.True(t, readPID(t, w, in, path).NotYet)
	write("")
	require.True(t, readPID(t, w, in, path).NotYet)
	write("nonsense\n")
	r := readPID(t, w, in, path)
	require.False(t, r.NotYet)
	require.Contains(t, r.Err, "not a process id")
	write("1\n")
	require.Contains(t, readPID(t, w, in, path).Err, "manager")
	write(fmt.Sprintf("%d\n", os.Getpid()))
	require.Contains(t, readPID(t, w, in, path).Err, "manager")
	write("4194000\n")
	require.Contains(t, readPID(t, w, in, path).Err, "does not exist")
	require.Contains(t, readPID(t, w, in, dir).Err, "regular file")

	cmd := exec.Command("sleep", "1000")
	require.NoError(t, cmd.Start())
	defer func() { require.NoError(t, cmd.Process.Kill()); _ = cmd.Wait() }()
	write(fmt.Sprintf(" %d \nrest", cmd.Process.Pid))
	if os.Getuid() == 0 {
		r = readPID(t, w, in, path) // foreign, but root says so
		require.Empty(t, r.Err)
		require.Equal(t, cmd.Process.Pid, r.Proc.PID)
		require.NotZero(t, r.Proc.Start)

		require.NoError(t, os.Chown(path, 1000, 1000))
		require.Contains(t, readPID(t, w, in, path).Err, "not owned by root")

		// A user's link into another user's file chooses the process: never for a foreign one.
		user := filepath.Join(dir, "user")
		require.NoError(t, os.Mkdir(user, 0o755))
		require.NoError(t, os.Chown(path, 0, 0))
		require.NoError(t, os.Symlink(path, filepath.Join(user, "link")))
		require.NoError(t, os.Lchown(filepath.Join(user, "link"), 1000, 1000))
		require.Contains(t, readPID(t, w, in, filepath.Join(user, "link")).Err, "unsafe link")
	}
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Symlink(path, path))
	require.Contains(t, readPID(t, w, in, path).Err, "too many levels")
}

func TestParsePID(t *testing.T) {
	for _, s := range []string{"", "0", "-1", "+5", "5 6", "99999999999", "4194305", "0x10", "1e3"} {
		_, err := ParsePID([]byte(s))
		require.Error(t, err, s)
	}
	n, err := ParsePID([]byte("  77\t\n88"))
	require.NoError(t, err)
	require.Equal(t, 77, n)
}

func FuzzParsePID(f *testing.F) {
	f.Add([]byte("12\n"))
	f.Add([]byte("\x00-1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := ParsePID(b); err == nil && (n < 1 || n > pidMax) {
			t.Fatalf("ParsePID(%q) = %d", b, n)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	b, err := readProc(os.Getpid(), "stat", make([]byte, 1024))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("1 (a) b) c) S 2 3"))
	f.Fuzz(func(t *testing.T, b []byte) { _, _ = parseStat(b) })
}

func TestParseStatOfAwkwardNames(t *testing.T) {
	s, err := parseStat([]byte("7 (x) R 1 ) (y) S 3 4 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0"))
	require.NoError(t, err)
	require.Equal(t, procStat{State: 'S', Parent: 3, Session: 5, Start: 4242}, s)
}

func TestUnifiedPath(t *testing.T) {
	require.Equal(t, "/a/b", unifiedPath([]byte("4:memory:/x\n0::/a/b\n")))
	require.Empty(t, unifiedPath([]byte("0::/a/b (deleted)\n")))
	require.Equal(t, "b/c", relative("/a", "/a/b/c"))
	require.Empty(t, relative("/a", "/ab/c"))
	require.Equal(t, "ab", relative("/", "/ab"))
}

func TestWatchPathTellsOnce(t *testing.T) {
	w := newWorld(t, Config{})
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "pid")
	watch := func() {
		w.Act(sys.Intent{Unit: "a.service", Seq: 1, Effect: unit.WatchPath{ID: "pid", Path: path}})
		deadline := w.Now().Mono + patience
		for len(w.lanes) > 0 && w.Now().Mono < deadline {
			w.collect(deadline) // the watch stands when the lane is free
		}
		require.Empty(t, w.lanes)
	}
	watch()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other"), nil, 0o644))
	require.Empty(t, drain(w), "another entry of the directory is not the path's")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755)) // the nearest directory changes
	_, c := await[unit.PathChanged](t, w, nil)
	require.Equal(t, "pid", c.ID)
	watch()
	require.NoError(t, os.WriteFile(path, []byte("1"), 0o644))
	await[unit.PathChanged](t, w, nil)
	require.NoError(t, os.WriteFile(path, []byte("2"), 0o644))
	require.Empty(t, drain(w), "a watch is over when it has told")
	watch()
	require.NoError(t, os.WriteFile(path, []byte("3"), 0o644))
	await[unit.PathChanged](t, w, nil)
	watch()
	w.Act(sys.Intent{Unit: "a.service", Seq: 2, Effect: unit.UnwatchPath{ID: "pid"}})
	require.NoError(t, os.Remove(path))
	require.Empty(t, drain(w))
	require.Empty(t, w.paths.byWD)
}

// What happened between the unit's look at the file and its watch is told, too.
func TestWatchPathAfterAMissedChange(t *testing.T) {
	w := newWorld(t, Config{})
	path := filepath.Join(t.TempDir(), "pid")
	in := sys.Intent{Unit: "a.service", Seq: 1}
	require.True(t, readPID(t, w, in, path).NotYet)
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o644))
	w.Act(sys.Intent{Unit: "a.service", Seq: 2, Effect: unit.WatchPath{ID: "pid", Path: path}})
	await[unit.PathChanged](t, w, nil)
}

func TestDirs(t *testing.T) {
	w := newWorld(t, Config{})
	dir := t.TempDir()
	path := filepath.Join(dir, "parent/x")
	in := sys.Intent{Unit: "a.service", Seq: 1, Effect: unit.Dirs{Dirs: []unit.Dir{{Path: path, Mode: 0o2750}}}}
	for range 2 {
		w.Act(in)
		require.Empty(t, awaitDone(t, w, in))
	}
	st, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|os.ModeSetgid|0o750, st.Mode())
	if os.Getuid() == 0 {
		require.NoError(t, os.Mkdir(path+"/sub", 0o755))
		require.NoError(t, os.WriteFile(path+"/sub/f", nil, 0o644))
		victim := filepath.Join(dir, "victim")
		require.NoError(t, os.WriteFile(victim, nil, 0o644))
		require.NoError(t, os.Symlink(victim, path+"/link"))
		in.Effect = unit.Dirs{Dirs: []unit.Dir{{Path: path, Mode: 0o755, User: "12345", Group: "54321"}}}
		w.Act(in)
		require.Empty(t, awaitDone(t, w, in))
		require.Equal(t, [2]uint32{12345, 54321}, ownerOf(t, path+"/sub/f"))
		require.Equal(t, [2]uint32{12345, 54321}, ownerOf(t, path))
		require.Equal(t, [2]uint32{0, 0}, ownerOf(t, victim))
	}
	in.Effect = unit.Dirs{Dirs: []unit.Dir{{Path: dir + "/y", User: "no-such-user"}}}
	w.Act(in)
	require.Contains(t, awaitDone(t, w, in), "no-such-user")
	require.NoDirExists(t, dir+"/y")
	in.Effect = unit.Dirs{Remove: true, Dirs: []unit.Dir{{Path: path}, {Path: "/"}}}
	w.Act(in)
	require.Contains(t, awaitDone(t, w, in), "not an absolute path below /")
	require.NoDirExists(t, path)
}

// TestWatchesAreHeldByInit, so that the end of a core does not wait for their end; the next core has init let go of them.
func TestWatchesAreHeldByInit(t *testing.T) {
	f := newFakeInit(t)
	path := filepath.Join(t.TempDir(), "pid")
	open := func() *World {
		w, err := New(Config{Init: f.client, NotifyPath: filepath.Join(t.TempDir(), "notify")})
		require.NoError(t, err)
		return w
	}
	kept := func(w *World) (same bool) {
		f.look(func() {
			fd, ok := f.kept[watchPathsKey]
			same = ok && sameFile(fd, w.paths.fd)
		})
		return same
	}
	until := func(w *World, done func() bool) {
		t.Helper()
		for end := monotonic() + patience; !done(); w.Wait(monotonic() + 10*time.Millisecond) {
			require.Less(t, monotonic(), end)
		}
	}
	watch := sys.Intent{Unit: "a.service", Seq: 1, Effect: unit.WatchPath{ID: "pid", Path: path}}
	again := func(w *World) {
		require.NoError(t, w.Close())
		f.disconnect(t)
		f.connect(t)
	}
	w := open()
	f.look(func() { require.NotContains(t, f.kept, watchPathsKey) })
	w.Act(watch)
	until(w, func() bool { return kept(w) })
	again(w)
	w = open() // it watches, too
	require.False(t, w.Held(watchPathsKey))
	require.False(t, kept(w))
	w.Act(watch)
	until(w, func() bool { return kept(w) })
	again(w)
	w = open() // it does not
	w.Turned(1, false)
	until(w, func() (gone bool) {
		f.look(func() { _, is := f.kept[watchPathsKey]; gone = !is })
		return gone
	})
	require.NoError(t, w.Close())
}
