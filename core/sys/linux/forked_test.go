package linux

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/core/sys/linux/spawn"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/unit"
)

// forkingIntent is the Spawn of a Type=forking service. What its script starts inherits the mark.
func forkingIntent(script string) sys.Intent {
	return serviceIntent(4, unit.Spawn{Role: "start", Command: command("/bin/sh", "-c", script)})
}

// members are the session leaders of the unit's group.
func members(t *testing.T, w *World, in sys.Intent) (list []unit.Proc) {
	t.Helper()
	require.NoError(t, w.cfg.CGroup.Procs(in.CGroup, func(pid int) bool {
		if s, err := readStat(pid); err == nil && s.Session == pid && !s.dead() {
			list = append(list, unit.Proc{PID: pid, Start: s.Start})
		}
		return true
	}))
	return list
}

// A daemon inherits the mark: the process that the Spawn made is the elder one.
func TestProbePrefersTheParent(t *testing.T) {
	cfg := withGroups(t, shimConfig(t))
	in := forkingIntent("setsid sleep 1000 & setsid sleep 1000 & wait")
	w1, err := New(cfg)
	require.NoError(t, err)
	w1.Act(in)
	_, s := await[unit.Spawned](t, w1, nil)
	await[unit.Execed](t, w1, nil)
	awaitState(t, w1, func() bool { return len(members(t, w1, in)) == 3 })
	require.NoError(t, w1.Close())
	defer reapChild(t, s.Proc.PID)

	w := newWorld(t, cfg)
	o := w.Probe(in)
	require.Equal(t, sys.Done, o.State)
	require.Equal(t, unit.Spawned{Seq: 4, Role: "start", Proc: s.Proc}, o.Event)
}

func reapChild(t *testing.T, pid int) {
	_ = unix.Kill(pid, unix.SIGKILL) // may have ended
	var ws unix.WaitStatus
	_, err := unix.Wait4(pid, &ws, 0, nil)
	require.NoError(t, err)
}

// The command of a forking service ended while no core was up. Its daemon, with the same mark, is
// not the command: it would never end, and neither would the start.
func TestProbeFindsTheEndOfTheParent(t *testing.T) {
	init := newFakeInit(t)
	cfg := withGroups(t, shimConfig(t))
	cfg.Init = init.client
	in := forkingIntent("setsid sleep 1000 &")
	w1, err := New(cfg)
	require.NoError(t, err)
	w1.Act(in)
	_, s := await[unit.Spawned](t, w1, nil)
	awaitState(t, w1, func() bool { return !alive(s.Proc) && len(members(t, w1, in)) == 1 })
	daemon := members(t, w1, in)[0]
	require.NoError(t, w1.Close())
	reapChild(t, s.Proc.PID) // as init does
	stranger := fdstore.Exit{ID: 1, PID: daemon.PID + 1, StartTime: daemon.Start, Session: daemon.PID + 1, Code: 1, Cgroup: cfg.CGroupPath + "/" + in.CGroup}
	before := fdstore.Exit{ID: 2, PID: 4000001, StartTime: s.Proc.Start - 50, Session: 4000001, Code: 1, Status: 9, Cgroup: cfg.CGroupPath + "/" + in.CGroup}
	parent := fdstore.Exit{ID: 3, PID: s.Proc.PID, StartTime: s.Proc.Start, Session: s.Proc.PID, Code: 1, Cgroup: cfg.CGroupPath + "/" + in.CGroup}
	init.disconnect(t)
	init.connect(t)
	init.look(func() { init.exits = []fdstore.Exit{stranger, before, parent} })
	cfg.Init = init.client

	w := newWorld(t, cfg)
	o := w.Probe(in)
	require.Equal(t, sys.Done, o.State)
	require.Equal(t, unit.Spawned{Seq: 4, Role: "start", Proc: s.Proc}, o.Event)
	require.Nil(t, w.followed[daemon.PID], "nobody has said that it is the unit's process")
	_, x := await[unit.Execed](t, w, nil)
	require.EqualValues(t, 4, x.Seq)
}

// Exits of processes that began before the mark was made, or after its bearer, are not the parent's.
func TestProbeIgnoresExitsOfOthers(t *testing.T) {
	init := newFakeInit(t)
	cfg := withGroups(t, shimConfig(t))
	cfg.Init = init.client
	in := serviceIntent(4, unit.Spawn{Role: "main", Command: command("/bin/sleep", "1000")})
	_, err := cfg.CGroup.Create(in.CGroup, nil)
	require.NoError(t, err)
	p := orphan(t, spawn.MarkEnv+"="+stampedMark(in))
	awaitState(t, newWorld(t, Config{}), func() bool { s, err := readStat(p.PID); return err == nil && s.Session == p.PID })
	require.NoError(t, cfg.CGroup.Attach(in.CGroup, p.PID))
	m, since := "", uint64(0)
	if v, ok := environ(p.PID, spawn.MarkEnv); ok {
		m, since = splitMark(v[0])
	}
	require.Equal(t, mark(in), m)
	require.LessOrEqual(t, since, p.Start)
	require.NotZero(t, since)
	exit := func(id uint64, pid int, start uint64) fdstore.Exit {
		return fdstore.Exit{ID: id, PID: pid, StartTime: start, Session: pid, Code: 1, Cgroup: cfg.CGroupPath + "/" + in.CGroup}
	}
	init.look(func() {
		init.exits = []fdstore.Exit{exit(1, 4000001, since-1), exit(2, 4000002, p.Start), exit(3, 4000003, p.Start+1)}
	})
	w := newWorld(t, cfg)
	awaitState(t, w, func() bool { return len(w.records) == 3 })
	o := w.Probe(in)
	require.Equal(t, unit.Spawned{Seq: 4, Role: "main", Proc: p}, o.Event)
}

// The parent is a zombie that init has not reaped when the next core probes.
func TestProbeWaitsForTheEndOfTheParent(t *testing.T) {
	init := newFakeInit(t)
	cfg := withGroups(t, shimConfig(t))
	cfg.Init = init.client
	in := forkingIntent("setsid sleep 1000 &")
	_, err := cfg.CGroup.Create(in.CGroup, nil)
	require.NoError(t, err)
	cmd := exec.Command("/bin/sh", "-c", "read go; setsid sleep 1000 </dev/null & read end")
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	cmd.Env = []string{spawn.MarkEnv + "=" + stampedMark(in), "PATH=/bin:/usr/bin"}
	pipe, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	s, err := readStat(cmd.Process.Pid)
	require.NoError(t, err)
	p := unit.Proc{PID: cmd.Process.Pid, Start: s.Start}
	require.NoError(t, cfg.CGroup.Attach(in.CGroup, p.PID))
	w := newWorld(t, cfg)
	_, err = pipe.Write([]byte("go\n"))
	require.NoError(t, err)
	awaitState(t, w, func() bool { return len(members(t, w, in)) == 2 })
	w.lookAtLeaders(sys.Intent{})
	require.NoError(t, pipe.Close())
	awaitState(t, w, func() bool { return !alive(p) })
	reaped := make(chan struct{})
	go func() { // init takes its time
		defer close(reaped)
		init.exit(t, fdstore.Exit{ID: 1, PID: p.PID, StartTime: p.Start, Session: p.PID, Code: 1, Cgroup: cfg.CGroupPath + "/" + in.CGroup})
		_ = cmd.Wait() // it is a zombie until here
	}()
	o := w.Probe(in)
	<-reaped
	require.Equal(t, unit.Spawned{Seq: 4, Role: "start", Proc: p}, o.Event)
}

func TestSplitMark(t *testing.T) {
	in := sys.Intent{Unit: "a@1.service", Seq: 12}
	m, since := splitMark(stampedMark(in))
	require.Equal(t, "a@1.service/12", m)
	require.LessOrEqual(t, since, ticksNow())
	m, since = splitMark("a.service/3") // of a core of another age
	require.Equal(t, "a.service/3", m)
	require.Zero(t, since)
	m, since = splitMark("a.service/3 x")
	require.Equal(t, "a.service/3", m)
	require.Zero(t, since)
}
