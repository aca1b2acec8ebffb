package linux

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/unit"
)

func ownerOf(t *testing.T, path string) [2]uint32 {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Lstat(path, &st))
	return [2]uint32{st.Uid, st.Gid}
}

// child starts a process whose parent we are, without anybody who waits for it.
func child(t testing.TB, argv ...string) unit.Proc {
	t.Helper()
	path, err := exec.LookPath(argv[0])
	require.NoError(t, err)
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: os.Environ()})
	require.NoError(t, err)
	s, err := readStat(pid)
	require.NoError(t, err)
	return unit.Proc{PID: pid, Start: s.Start}
}

func isZombie(pid int) bool {
	s, err := readStat(pid)
	return err == nil && s.dead()
}

func TestChildIsReapedAtAckOnly(t *testing.T) {
	w := newWorld(t, Config{})
	p := child(t, "sh", "-c", "exit 7")
	_, err := w.follow(follower{Proc: p, unit: "a.service", pidfd: -1, child: true})
	require.NoError(t, err)
	w.Wait(w.Now().Mono + patience)
	ins := w.Peek(nil, 10)
	require.Len(t, ins, 1)
	require.Equal(t, unit.Exited{Proc: p, Exit: unit.Exit{Code: unit.ExitExited, Status: 7}}, ins[0].Body)
	require.EqualValues(t, "a.service", ins[0].Unit)
	require.True(t, isZombie(p.PID), "peeked, not consumed")
	require.Empty(t, drain(w), "not delivered twice")
	w.Ack([]uint64{ins[0].ID})
	_, err = readStat(p.PID)
	require.ErrorIs(t, err, unix.ENOENT)
	require.Empty(t, w.followed)
}

func TestManyExitsAtOnce(t *testing.T) {
	w := newWorld(t, Config{})
	want := make(map[int]bool)
	for range 50 {
		p := child(t, "sh", "-c", "kill -USR1 $$")
		want[p.PID] = true
		_, err := w.follow(follower{Proc: p, pidfd: -1, child: true})
		require.NoError(t, err)
	}
	for len(want) > 0 {
		_, e := await[unit.Exited](t, w, nil)
		require.Equal(t, unit.Exit{Code: unit.ExitKilled, Status: int(unix.SIGUSR1)}, e.Exit)
		require.True(t, want[e.Proc.PID])
		delete(want, e.Proc.PID)
	}
}

// orphan starts a process that is not our child: its parent is whoever adopts orphans.
func orphan(t *testing.T, env ...string) unit.Proc {
	t.Helper()
	cmd := exec.Command("sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $!")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	require.NoError(t, err)
	pid, err := ParsePID(out)
	require.NoError(t, err)
	comm := func() string {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		require.NoError(t, err)
		return string(b)
	}
	for end := monotonic() + patience; comm() != "sleep\n"; require.Less(t, monotonic(), end) { // until then it is another session's
		_, _ = unix.Poll(nil, 1)
	}
	s, err := readStat(pid)
	require.NoError(t, err)
	p := unit.Proc{PID: pid, Start: s.Start}
	t.Cleanup(func() {
		if alive(p) {
			_ = unix.Kill(pid, unix.SIGKILL) // may have ended in between
		}
	})
	return p
}

func attachTo(t *testing.T, w *World, in sys.Intent, p unit.Proc) {
	t.Helper()
	in.Effect = unit.Attach{Proc: p}
	w.Act(in)
	require.Empty(t, awaitDone(t, w, in))
}

func TestAdoptedProcessWithoutInit(t *testing.T) {
	w := newWorld(t, Config{})
	p := orphan(t)
	attachTo(t, w, sys.Intent{Unit: "a.service", Seq: 1}, p)
	kill := sys.Intent{Unit: "a.service", Seq: 2, Effect: unit.Kill{Proc: p, Signal: int(unix.SIGKILL)}}
	w.Act(kill)
	require.Empty(t, awaitDone(t, w, kill))
	_, e := await[unit.Exited](t, w, nil)
	require.Equal(t, unit.Exited{Proc: p, Exit: unit.Exit{Code: unit.ExitUnknown}}, e)
	w.Act(kill)
	require.Empty(t, awaitDone(t, w, kill), "nobody there is no error")
	attachTo(t, w, sys.Intent{Unit: "a.service", Seq: 3}, p)
	await[unit.Exited](t, w, nil) // gone already: told at once
}

func TestAttachComparesTheStartTime(t *testing.T) {
	w := newWorld(t, Config{})
	p := orphan(t)
	other := unit.Proc{PID: p.PID, Start: p.Start + 1}
	attachTo(t, w, sys.Intent{Unit: "a.service", Seq: 1}, other)
	_, e := await[unit.Exited](t, w, nil)
	require.Equal(t, other, e.Proc)
	kill := sys.Intent{Unit: "a.service", Seq: 2, Effect: unit.Kill{Proc: other, Signal: int(unix.SIGKILL)}}
	w.Act(kill)
	require.Empty(t, awaitDone(t, w, kill))
	require.True(t, alive(p), "a stranger with the number is left alone")
}

func TestAdoptedProcessIsReportedByInit(t *testing.T) {
	init := newFakeInit(t)
	w := newWorld(t, Config{Init: init.client})
	p := orphan(t)
	attachTo(t, w, sys.Intent{Unit: "a.service", Seq: 1}, p)
	awaitState(t, w, func() (ok bool) {
		init.look(func() { ok = init.registered[p.PID] == p.Start })
		return ok
	})
	require.NoError(t, unix.Kill(p.PID, unix.SIGKILL))
	init.exit(t, fdstore.Exit{ID: 5, PID: p.PID, StartTime: p.Start, Session: p.PID, Code: 2, Status: 9, Cgroup: "/"})
	in, e := await[unit.Exited](t, w, nil)
	require.EqualValues(t, "a.service", in.Unit)
	require.Equal(t, unit.Exited{Proc: p, Exit: unit.Exit{Code: unit.ExitKilled, Status: 9}}, e)
	awaitState(t, w, func() (ok bool) {
		init.look(func() { ok = len(init.acked) == 1 && init.acked[0] == 5 })
		return ok
	})
	require.Empty(t, w.followed)
}

// Without a record within the patience the status stays unknown, and one that comes
// later is acknowledged without a second Exited.
func TestRecordThatComesTooLate(t *testing.T) {
	init := newFakeInit(t)
	w := newWorld(t, Config{Init: init.client})
	p := orphan(t)
	attachTo(t, w, sys.Intent{Unit: "a.service", Seq: 1}, p)
	require.NoError(t, unix.Kill(p.PID, unix.SIGKILL))
	w.Wait(w.Now().Mono + patience)
	ins := w.Peek(nil, 10)
	require.Len(t, ins, 1)
	require.Equal(t, unit.ExitUnknown, ins[0].Body.(unit.Exited).Exit.Code)
	init.exit(t, fdstore.Exit{ID: 6, PID: p.PID, StartTime: p.Start, Code: 2, Status: 9})
	awaitState(t, w, func() (ok bool) {
		init.look(func() { ok = len(init.acked) == 1 })
		return ok
	})
	require.Empty(t, drain(w))
	w.Ack([]uint64{ins[0].ID})
}

// awaitState turns the World until something elsewhere has come true.
func awaitState(t testing.TB, w *World, ok func() bool) {
	t.Helper()
	deadline := w.Now().Mono + patience
	for !ok() {
		if w.Now().Mono > deadline {
			t.Fatal("awaitState: not in time")
		}
		w.collect(w.Now().Mono + 1e6)
	}
}

func TestInitsSignalsAndPulse(t *testing.T) {
	init := newFakeInit(t)
	w := newWorld(t, Config{Init: init.client})
	init.look(func() {
		require.NoError(t, init.conn.Send(fdstore.Message{Kind: fdstore.KindSignal, ID: 3, Signal: 15, FD: -1}))
	})
	_, s := await[sys.Signal](t, w, nil)
	require.Equal(t, 15, s.Number)
	w.Turned(42, true)
	w.Act(sys.Intent{Seq: 1, Effect: sys.Shutdown{Verb: "exit", Code: 3}})
	awaitState(t, w, func() (ok bool) {
		init.look(func() { ok = init.alive == 42 && len(init.signals) == 1 && init.shutdown != nil })
		return ok
	})
	require.Equal(t, fdstore.Shutdown{Verb: fdstore.VerbExit, Code: 3}, *init.shutdown)
}

// When init is gone, what waited for it is answered and nothing hangs.
func TestInitGone(t *testing.T) {
	init := newFakeInit(t)
	var seen notes
	w := newWorld(t, Config{Init: init.client, Observe: seen.add})
	closeFD(init.stop[1])
	<-init.done
	in := sys.Intent{Unit: "a.socket", Seq: 1, Effect: unit.Listen{Sockets: []unit.ListenSpec{{Key: "k", Type: "stream", Address: t.TempDir() + "/s"}}}}
	w.Act(in)
	require.NoError(t, unix.Shutdown(init.conn.FD(), unix.SHUT_RDWR))
	require.Contains(t, awaitDone(t, w, in), "cannot keep descriptor")
	require.NotEmpty(t, seen.list)
	var err error
	init.stop[1], err = unix.Dup(init.stop[0])
	require.NoError(t, err)
}

func TestProcessesOfAnInvocation(t *testing.T) {
	w := newWorld(t, Config{})
	id := [16]byte{0xab, 0xcd, byte(os.Getpid()), byte(os.Getpid() >> 8)}
	env := "INVOCATION_ID=" + hexID(id)
	p, q := orphan(t, env), orphan(t, env)
	in := sys.Intent{Unit: "a.service", Seq: 1, Invocation: id}
	attachTo(t, w, in, p)
	kill := in
	kill.Seq, kill.Effect = 2, unit.Kill{Signal: int(unix.SIGTERM), Except: []unit.Proc{q}}
	w.Act(kill)
	await[unit.Exited](t, w, nil)
	require.True(t, alive(q))
	require.Empty(t, drain(w), "one process is left")
	kill.Effect = unit.Kill{Signal: int(unix.SIGKILL)}
	w.Act(kill)
	in2, _ := await[unit.CgroupEmpty](t, w, nil)
	require.EqualValues(t, "a.service", in2.Unit)
}

func TestStraysAreReaped(t *testing.T) {
	var seen notes
	w := newWorld(t, Config{Observe: seen.add})
	p := child(t, "true")
	awaitState(t, w, func() bool { _, err := readStat(p.PID); return err != nil })
	require.True(t, strings.Contains(seen.list[0].Err.Error(), "nobody's"))
}

// The watch of a recovered unit's group may be made late; that the group empties is told all the
// same, whether the unit's process or another one is the last.
func TestGroupsAreWatchedLate(t *testing.T) {
	for _, mainLast := range []bool{true, false} {
		t.Run(fmt.Sprint("main last ", mainLast), func(t *testing.T) {
			init := newFakeInit(t)
			cfg := withGroups(t, Config{})
			cfg.Init = init.client
			in := sys.Intent{Unit: "a.service", Seq: 1, CGroup: "system.slice/a.service"}
			_, err := cfg.CGroup.Create(in.CGroup, nil)
			require.NoError(t, err)
			p, other := orphan(t), orphan(t)
			for _, pid := range []int{p.PID, other.PID} {
				require.NoError(t, cfg.CGroup.Attach(in.CGroup, pid))
			}
			w := newWorld(t, cfg)
			in.Effect = unit.Attach{Proc: p}
			w.Act(in)
			require.True(t, w.groups[in.CGroup].unwatched)
			first, last := other, p
			if !mainLast {
				first, last = p, other
			}
			for _, v := range []unit.Proc{first, last} {
				require.NoError(t, unix.Kill(v.PID, unix.SIGKILL))
				if v == p {
					init.exit(t, fdstore.Exit{ID: 1, PID: p.PID, StartTime: p.Start, Session: p.PID, Code: 2, Status: 9})
					await[unit.Exited](t, w, nil)
				}
			}
			await[unit.CgroupEmpty](t, w, nil)
			for end := monotonic() + 10*time.Second; w.groups[in.CGroup].unwatched && monotonic() < end; { // it is made when there is nothing else to do
				w.Wait(monotonic() + 10*time.Millisecond)
			}
			require.False(t, w.groups[in.CGroup].unwatched)
			require.Empty(t, w.unwatched)
			require.NoError(t, cfg.CGroup.Remove(in.CGroup))
		})
	}
}
