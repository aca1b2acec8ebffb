package cgroup_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/cgroup"
)

// realRoot makes a group of its own in the machine's cgroup2 tree and removes it afterwards.
func realRoot(t testing.TB) *cgroup.Root {
	t.Helper()
	info, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	l, err := cgroup.ParseLayout(info)
	if err != nil {
		t.Skipf("no control group v2 here: %v", err)
	}
	dir, err := os.MkdirTemp(l.Unified, "sysmaster-test-")
	if err != nil {
		t.Skipf("control group v2 is not writable here: %v", err)
	}
	root, err := cgroup.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := root.Kill(""); err != nil {
			t.Errorf("Kill = %v", err)
		}
		await(t, func() bool { p, _ := root.Populated(""); return !p })
		names, _ := root.Children("")
		for _, n := range names {
			if err := root.Remove(n); err != nil {
				t.Errorf("Remove = %v", err)
			}
		}
		root.Close()
		os.Remove(dir)
	})
	return root
}

// await polls cond, yielding the processor, until it holds or five seconds passed.
func await(t testing.TB, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatal("the awaited condition did not come about")
		}
		if _, err := unix.Poll(nil, 2); err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
	}
}

// spawn starts a shell script inside a group.
func spawn(t testing.TB, r *cgroup.Root, path, script string) *exec.Cmd {
	t.Helper()
	fd, err := r.Open(path)
	require.NoError(t, err)
	defer unix.Close(fd)
	c := exec.Command("/bin/sh", "-c", script)
	c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
	require.NoError(t, c.Start())
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return c
}

func TestParseLayout(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       cgroup.Layout
		err        error
	}{
		{"unified", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n", cgroup.Layout{Unified: "/sys/fs/cgroup"}, nil},
		{"hybrid", "30 23 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n31 23 0:27 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 none rw\n",
			cgroup.Layout{Unified: "/sys/fs/cgroup/unified", Hybrid: true}, nil},
		{"elsewhere", "31 23 0:27 / /run/my\\040cg rw - cgroup2 none rw", cgroup.Layout{Unified: "/run/my cg"}, nil},
		{"prefer", "31 23 0:27 / /a rw - cgroup2 none rw\n32 23 0:27 / /sys/fs/cgroup rw - cgroup2 none rw\n", cgroup.Layout{Unified: "/sys/fs/cgroup"}, nil},
		{"v1 only", "30 23 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", cgroup.Layout{}, cgroup.ErrNoUnified},
		{"garbage", "\n\x00\n - \n1 2 3 - cgroup2", cgroup.Layout{}, cgroup.ErrNoUnified},
	} {
		got, err := cgroup.ParseLayout([]byte(c.text))
		require.ErrorIs(t, err, c.err, c.name)
		require.Equal(t, c.want, got, c.name)
	}
}

func FuzzParseLayout(f *testing.F) {
	f.Add([]byte("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"))
	f.Add([]byte("30 23 0:26 / /a\\04 rw - cgroup2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := cgroup.ParseLayout(b)
		if (err == nil) != (l.Unified != "") {
			t.Fatalf("ParseLayout(%q) = %v, %v", b, l, err)
		}
	})
}

// TestFakeDirectory works on a plain directory: what the kernel would have done is written by hand.
func TestFakeDirectory(t *testing.T) {
	dir := t.TempDir()
	write := func(file, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	write("cgroup.controllers", "cpu memory\n")
	write("cgroup.subtree_control", "cpu\n")
	r, err := cgroup.OpenRoot(dir)
	require.NoError(t, err)
	defer r.Close()
	require.False(t, r.IsUnified())

	missing, err := r.Create("a.slice/b.service", []string{"memory", "pids"})
	require.NoError(t, err)
	require.True(t, r.Exists("a.slice/b.service"))
	require.Len(t, missing, 2)
	require.ErrorIs(t, missing[0].Err, unix.ENOENT)
	require.Equal(t, "pids", missing[0].Controller)
	require.Equal(t, "a.slice", missing[1].Group, "memory is not offered further down")
	got, err := r.Get("", "cgroup.subtree_control")
	require.NoError(t, err)
	require.Equal(t, "+memory", got[:7])

	write("a.slice/cgroup.events", "populated 1\nfrozen 0\n")
	ev, err := r.Events("a.slice")
	require.NoError(t, err)
	require.Equal(t, cgroup.Events{Populated: true}, ev)
	write("a.slice/b.service/cgroup.procs", "0\nx\n99999999999\n\n")
	n, err := r.Signal("a.slice", 0, nil)
	require.NoError(t, err)
	require.Zero(t, n, "a 0 in cgroup.procs must never reach kill(2)")
	write("a.slice/memory.events", "low 0\noom 2\noom_kill 3\n")
	kills, err := r.OOMKills("a.slice")
	require.NoError(t, err)
	require.EqualValues(t, 3, kills)
	write("a.slice/cgroup.freeze", "1\n")
	frozen, err := r.IsFrozen("a.slice/b.service")
	require.NoError(t, err)
	require.True(t, frozen, "an ancestor is frozen")

	write("a.slice/big", strings.Repeat("x", 70<<10))
	_, err = r.Get("a.slice", "big")
	require.ErrorIs(t, err, cgroup.ErrTooBig)
}

func TestPathsStayInside(t *testing.T) {
	r, err := cgroup.OpenRoot(t.TempDir())
	require.NoError(t, err)
	defer r.Close()
	for _, p := range []string{"/a", "a/", "a//b", "..", "a/../b", ".", "a/./b", "a\nb", "a\x00b", strings.Repeat("a/", 70) + "a", strings.Repeat("a", 300)} {
		_, err := r.Create(p, nil)
		require.ErrorIs(t, err, cgroup.ErrPath, "%q", p)
		require.ErrorIs(t, r.Set(p, "cgroup.procs", "1"), cgroup.ErrPath, "%q", p)
		require.ErrorIs(t, r.Remove(p), cgroup.ErrPath, "%q", p)
		_, err = r.Open(p)
		require.ErrorIs(t, err, cgroup.ErrPath, "%q", p)
	}
	require.ErrorIs(t, r.Remove(""), cgroup.ErrPath)
	for _, f := range []string{"", ".", "..", "../x", "a/b"} {
		require.ErrorIs(t, r.Set("", f, "1"), cgroup.ErrPath, "%q", f)
	}
}

func TestSignalAndKill(t *testing.T) {
	r := realRoot(t)
	_, err := r.Create("s/x.service/sub", nil)
	require.NoError(t, err)
	_, err = r.Create("s/x.service/leaf", nil)
	require.NoError(t, err)
	keep := spawn(t, r, "s/x.service/leaf", "exec sleep 1000")
	gone := spawn(t, r, "s/x.service/sub", "trap 'exit 7' TERM; read x < /proc/self/stat; while :; do sleep 1000 & wait; done")
	await(t, func() bool { // the trap is set once the second sleep runs; before its exec it would have the shell's handler
		sleeps := 0
		require.NoError(t, r.Procs("s", func(pid int) bool {
			if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil && string(comm) == "sleep\n" {
				sleeps++
			}
			return true
		}))
		return sleeps >= 2
	})
	n, err := r.Signal("s", int(unix.SIGTERM), []int{keep.Process.Pid})
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, 2)
	var exit *exec.ExitError
	require.ErrorAs(t, gone.Wait(), &exit)
	require.Equal(t, 7, exit.ExitCode())

	await(t, func() bool { p, err := r.Populated("s/x.service/sub"); return err == nil && !p }) // its sleep, too
	require.ErrorIs(t, r.Remove("s"), unix.EBUSY)
	require.True(t, r.Exists("s/x.service/leaf"))
	require.False(t, r.Exists("s/x.service/sub"), "what was empty went")
	require.NoError(t, r.Kill("s"))
	require.Error(t, keep.Wait())
	await(t, func() bool { p, err := r.Populated("s"); return err == nil && !p })
	require.NoError(t, r.Remove("s"))
	require.False(t, r.Exists("s"))
	require.NoError(t, r.Remove("s"), "nothing to remove is no error")
	require.NoError(t, r.Kill("s"))
	require.NoError(t, r.Procs("s", func(int) bool { t.Error("a process"); return true }))
	p, err := r.Populated("s")
	require.NoError(t, err)
	require.False(t, p)
}

func TestWatcher(t *testing.T) {
	r := realRoot(t)
	_, err := r.Create("a", nil)
	require.NoError(t, err)
	_, err = r.Create("b", nil)
	require.NoError(t, err)
	w, err := cgroup.NewWatcher(r)
	require.NoError(t, err)
	defer w.Close()
	require.NoError(t, w.Add("a"))
	require.NoError(t, w.Add("a"))
	require.NoError(t, w.Add("b"))
	require.ErrorIs(t, w.Add("nowhere"), unix.ENOENT)

	heard := map[string]int{}
	hear := func(want string, cond func() bool) {
		t.Helper()
		heard = map[string]int{}
		for end := time.Now().Add(5 * time.Second); heard[want] == 0 || !cond(); {
			require.True(t, time.Now().Before(end), "no event of %s", want)
			pfd := []unix.PollFd{{Fd: int32(w.FD()), Events: unix.POLLIN}}
			_, err := unix.Poll(pfd, 100)
			if err != nil {
				require.ErrorIs(t, err, unix.EINTR)
			}
			require.NoError(t, w.Read(func(p string) { heard[p]++ }))
		}
	}
	state := func(p string) cgroup.Events { e, err := r.Events(p); require.NoError(t, err); return e }
	c := spawn(t, r, "a", "exec sleep 1000")
	hear("a", func() bool { return state("a").Populated })
	require.Zero(t, heard["b"])
	require.NoError(t, r.Freeze("a"))
	hear("a", func() bool { return state("a").Frozen })
	frozen, err := r.IsFrozen("a")
	require.NoError(t, err)
	require.True(t, frozen)
	require.NoError(t, r.Kill("a"), "a frozen group can be killed")
	require.Error(t, c.Wait())
	hear("a", func() bool { return !state("a").Populated })
	require.NoError(t, r.Thaw("a"))
	require.NoError(t, r.Remove("a"))
	w.Remove("a")
	w.Remove("a")

	_, err = r.Create("a", nil)
	require.NoError(t, err)
	require.NoError(t, w.Add("a"), "a group of the same name can be watched again")
	spawn(t, r, "a", "exit 0").Wait()
	hear("a", func() bool { return !state("a").Populated })
}

func TestMarkLivesWithTheGroup(t *testing.T) {
	r := realRoot(t)
	_, err := r.Create("a", nil)
	require.NoError(t, err)
	m, err := r.Mark("a", "invocation_id")
	require.NoError(t, err)
	require.Empty(t, m)
	require.NoError(t, r.SetMark("a", "invocation_id", "0123456789abcdef"))
	m, err = r.Mark("a", "invocation_id")
	require.NoError(t, err)
	require.Equal(t, "0123456789abcdef", m)
	require.NoError(t, r.Remove("a"))
	m, err = r.Mark("a", "invocation_id")
	require.NoError(t, err)
	require.Empty(t, m)
}

func TestAttach(t *testing.T) {
	r := realRoot(t)
	_, err := r.Create("a", nil)
	require.NoError(t, err)
	c := exec.Command("/bin/sleep", "1000")
	require.NoError(t, c.Start())
	defer c.Wait()
	defer c.Process.Kill()
	require.NoError(t, r.Attach("a", c.Process.Pid))
	var pids []int
	require.NoError(t, r.Procs("", func(pid int) bool { pids = append(pids, pid); return true }))
	require.Equal(t, []int{c.Process.Pid}, pids)
	require.True(t, errors.Is(r.Attach("a", 1<<30), unix.ESRCH))
}

func TestChildrenAreSortedAndMany(t *testing.T) {
	r, err := cgroup.OpenRoot(t.TempDir())
	require.NoError(t, err)
	defer r.Close()
	var want []string
	for i := range 500 {
		n := fmt.Sprintf("unit-%03d.service", i)
		want = append(want, n)
		_, err := r.Create(n, nil)
		require.NoError(t, err)
	}
	got, err := r.Children("")
	require.NoError(t, err)
	require.Equal(t, want, got)
}
