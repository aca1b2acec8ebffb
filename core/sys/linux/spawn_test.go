package linux

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/cgroup"
	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/core/sys/linux/spawn"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/unit"
)

// shimConfig has this binary serve as the exec shim (see TestMain).
func shimConfig(t testing.TB) Config {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return Config{ShimPath: self}
}

// withGroups adds a control group of its own, or skips.
func withGroups(t testing.TB, cfg Config) Config {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	l, err := cgroup.ParseLayout(b)
	if err != nil {
		t.Skip("needs cgroup v2: ", err)
	}
	b, err = os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	own := strings.TrimSuffix(unifiedPath(b), "/")
	cfg.CGroupPath = fmt.Sprintf("%s/sysmaster-test-%d-%s", own, os.Getpid(), strings.NewReplacer("/", "-", " ", "_").Replace(t.Name()))
	path := l.Unified + cfg.CGroupPath
	if err := os.Mkdir(path, 0o755); err != nil {
		require.NotErrorIs(t, err, os.ErrExist, "one world with groups a test")
		t.Skip("needs a writable cgroup v2 tree: ", err)
	}
	cfg.CGroup, err = cgroup.OpenRoot(path)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, cfg.CGroup.Kill(""))
		deadline := monotonic() + patience
		for { // the kernel lets go of the last process a little later
			names, err := cfg.CGroup.Children("")
			require.NoError(t, err)
			for _, n := range names {
				_ = cfg.CGroup.Remove(n) // tried again below
			}
			if err = unix.Rmdir(path); err == nil || monotonic() > deadline {
				require.NoError(t, err)
				break
			}
		}
		require.NoError(t, cfg.CGroup.Close())
	})
	return cfg
}

func command(argv ...string) unit.Command { return unit.Command{Path: argv[0], Argv: argv} }

func serviceIntent(seq uint64, e unit.Effect) sys.Intent {
	return sys.Intent{
		Unit: "a.service", Seq: seq, CGroup: "system.slice/a.service", Invocation: [16]byte{7, byte(seq)},
		Spec: &unit.Spec{Name: "a.service", Load: unit.LoadLoaded}, Effect: e,
	}
}

// life carries out a Spawn and returns its events in order, up to the exit.
func life(t *testing.T, w *World, in sys.Intent) (unit.Spawned, unit.Execed, unit.Exited) {
	t.Helper()
	w.Act(in)
	_, s := await[unit.Spawned](t, w, nil)
	require.Nil(t, s.Err)
	require.Equal(t, in.Seq, s.Seq)
	_, x := await[unit.Execed](t, w, nil)
	require.Equal(t, in.Seq, x.Seq)
	_, e := await[unit.Exited](t, w, nil)
	require.Equal(t, s.Proc, e.Proc)
	return s, x, e
}

// TestGroupThatEmptiedBeforeItsWatch: a process may end before anybody has had the time to watch its group.
func TestGroupThatEmptiedBeforeItsWatch(t *testing.T) {
	init := newFakeInit(t)
	cfg := withGroups(t, shimConfig(t))
	cfg.Init = init.client
	w := newWorld(t, cfg)
	w.Act(serviceIntent(1, unit.Spawn{Role: "main", Command: command("/bin/true")}))
	own, err := cgroup.NewWatcher(cfg.CGroup)
	require.NoError(t, err)
	defer func() { require.NoError(t, own.Close()) }()
	over := func() (dead bool) { // without a turn of the loop
		init.look(func() {
			for pid := range init.registered {
				s, err := readStat(pid)
				dead = err == nil && s.dead()
			}
		})
		return dead
	}
	for end := monotonic() + patience; !over(); require.Less(t, monotonic(), end) {
		_, _ = unix.Poll(nil, 1)
	}
	require.NoError(t, own.Add("system.slice/a.service"))
	// The kernel tells at most once in 10 ms and puts the rest off. If it has told already nothing comes.
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(own.FD()), Events: unix.POLLIN}}, 100)
	require.NoError(t, err)
	await[unit.Exited](t, w, nil)
	await[unit.CgroupEmpty](t, w, nil)
}

func TestSpawnLifeCycle(t *testing.T) {
	init := newFakeInit(t)
	cfg := withGroups(t, shimConfig(t))
	cfg.Init = init.client
	w := newWorld(t, cfg)
	out := filepath.Join(t.TempDir(), "out")
	in := serviceIntent(1, unit.Spawn{Role: "main", Notify: true, Env: []string{"OUT=" + out},
		Command: command("/bin/sh", "-c", `cat /proc/self/cgroup > $$OUT; env >> $$OUT; exit 3`)})
	_, x, e := life(t, w, in)
	require.Nil(t, x.Err)
	require.Equal(t, unit.Exit{Code: unit.ExitExited, Status: 3}, e.Exit)
	b, err := os.ReadFile(out)
	require.NoError(t, err)
	for _, line := range []string{cfg.CGroupPath + "/system.slice/a.service\n", "NOTIFY_SOCKET=" + w.cfg.NotifyPath + "\n",
		spawn.MarkEnv + "=a.service/1 ", "INVOCATION_ID=" + hexID(in.Invocation) + "\n"} {
		require.Contains(t, string(b), line)
	}
	await[unit.CgroupEmpty](t, w, nil)
	awaitState(t, w, func() (ok bool) {
		init.look(func() { ok = len(init.registered) == 0 })
		return ok
	})
	require.Empty(t, w.followed)
	rm := serviceIntent(2, unit.RemoveCgroup{})
	w.Act(rm)
	require.Empty(t, awaitDone(t, w, rm))
	require.False(t, cfg.CGroup.Exists(in.CGroup))
}

func TestSpawnOfNothing(t *testing.T) {
	w := newWorld(t, shimConfig(t))
	in := serviceIntent(1, unit.Spawn{Role: "main", Command: command("/no/such/program")})
	_, x, e := life(t, w, in)
	require.NotNil(t, x.Err)
	require.Equal(t, 203, x.Err.Status)
	require.Equal(t, unit.Exit{Code: unit.ExitExited, Status: 203}, e.Exit)

	in = serviceIntent(2, unit.Spawn{Role: "main", Command: command("/bin/true"), FDs: []unit.FDRef{{Key: "gone"}}})
	w.Act(in)
	_, s := await[unit.Spawned](t, w, nil)
	require.Contains(t, s.Err.Error(), "gone")

	in.Seq, in.Spec = 3, &unit.Spec{Name: "a.service", Settings: []unit.Setting{{Section: "Service", Key: "User", Value: "no-such-user"}}}
	in.Effect = unit.Spawn{Role: "main", Command: command("/bin/true")}
	w.Act(in)
	_, s = await[unit.Spawned](t, w, nil)
	require.Equal(t, 217, s.Err.Status)
}

// The order Spawned, Execed, Exited holds for many short lives at once.
func TestManyShortLives(t *testing.T) {
	w := newWorld(t, shimConfig(t))
	const n = 60
	for i := range n {
		in := serviceIntent(uint64(i+1), unit.Spawn{Role: "main", Command: command("/bin/true")})
		in.Unit = unit.Name(fmt.Sprintf("u%d.service", i))
		w.Act(in)
	}
	stage := make(map[unit.Name]int)
	for exits := 0; exits < n; {
		w.Wait(w.Now().Mono + patience)
		for _, in := range w.Peek(nil, 7) {
			var at int
			switch b := in.Body.(type) {
			case unit.Spawned:
				require.Nil(t, b.Err)
			case unit.Execed:
				require.Nil(t, b.Err)
				at = 1
			case unit.Exited:
				require.Equal(t, unit.Exit{Code: unit.ExitExited}, b.Exit)
				at = 2
				exits++
			default:
				continue
			}
			require.Equal(t, at, stage[in.Unit], "%s: %T", in.Unit, in.Body)
			stage[in.Unit]++
			if in.ID != 0 {
				w.Ack([]uint64{in.ID})
			}
		}
	}
	require.Empty(t, w.followed)
}

// Descriptors of the store arrive with LISTEN_FDS; the socket outlives the core that made it.
func TestSocketActivationAcrossCores(t *testing.T) {
	init := newFakeInit(t)
	cfg := shimConfig(t)
	cfg.Init, cfg.NotifyPath = init.client, t.TempDir()+"/notify"
	path := t.TempDir() + "/s"
	w1, err := New(cfg)
	require.NoError(t, err)
	require.Empty(t, listenOn(t, w1, 1, unit.ListenSpec{Key: "a.socket/0", Type: "dgram", Address: path}))
	require.NoError(t, w1.Close())
	init.disconnect(t)
	require.NoError(t, send(path, "while nobody was there"))

	init.connect(t)
	cfg.Init = init.client
	w := newWorld(t, cfg)
	require.Equal(t, sys.Done, w.Probe(sys.Intent{Effect: unit.Listen{Sockets: []unit.ListenSpec{{Key: "a.socket/0"}}}}).State)
	w.Act(sys.Intent{Unit: "a.socket", Seq: 2, Effect: unit.WatchFD{Keys: []string{"a.socket/0"}}})
	await[unit.FDReady](t, w, nil)
	out := t.TempDir() + "/out"
	in := serviceIntent(1, unit.Spawn{Role: "main", FDs: []unit.FDRef{{Key: "a.socket/0", Name: "sock"}},
		Command: command("/bin/sh", "-c", "readlink /proc/self/fd/3 > "+out+"; echo $$LISTEN_FDS $$LISTEN_FDNAMES >> "+out)})
	_, _, e := life(t, w, in)
	require.Equal(t, unit.Exit{Code: unit.ExitExited}, e.Exit)
	b, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Contains(t, string(b), "socket:")
	require.Contains(t, string(b), "1 sock\n")
}

// A core dies between a Spawn and its commit: the next one finds the process by its mark.
func TestProbeFindsTheProcess(t *testing.T) {
	cfg := withGroups(t, shimConfig(t))
	cfg.NotifyPath = t.TempDir() + "/notify"
	in := serviceIntent(4, unit.Spawn{Role: "main", Command: command("/bin/sleep", "1000")})
	other := serviceIntent(5, unit.Spawn{Role: "main", Command: command("/bin/sleep", "1000")})
	w1, err := New(cfg)
	require.NoError(t, err)
	require.Equal(t, sys.NotDone, w1.Probe(in).State)
	w1.Act(in)
	_, s := await[unit.Spawned](t, w1, nil)
	await[unit.Execed](t, w1, nil)
	require.NoError(t, w1.Close())

	w := newWorld(t, cfg)
	require.Equal(t, sys.NotDone, w.Probe(other).State, "another Spawn's process is not it")
	o := w.Probe(in)
	require.Equal(t, sys.Done, o.State)
	require.Equal(t, unit.Spawned{Seq: 4, Role: "main", Proc: s.Proc}, o.Event)
	_, x := await[unit.Execed](t, w, nil)
	require.EqualValues(t, 4, x.Seq)
	kill := serviceIntent(6, unit.Kill{Signal: int(unix.SIGKILL)})
	w.Act(kill)
	// Here the process is still our child, so nobody but us could tell its status; in a new
	// core's place init would.
	_, e := await[unit.Exited](t, w, nil)
	require.Equal(t, s.Proc, e.Proc)
	await[unit.CgroupEmpty](t, w, nil)
	var ws unix.WaitStatus
	_, err = unix.Wait4(s.Proc.PID, &ws, 0, nil)
	require.NoError(t, err)
}

// The process has ended meanwhile: init's record says how.
func TestProbeFindsTheRecord(t *testing.T) {
	init := newFakeInit(t)
	cfg := withGroups(t, shimConfig(t))
	in := serviceIntent(4, unit.Spawn{Role: "main", Command: command("/bin/true")})
	p := unit.Proc{PID: 4000001, Start: 99}
	init.look(func() {
		init.exits = []fdstore.Exit{{ID: 1, PID: p.PID, StartTime: p.Start, Session: p.PID, Code: 1, Status: 5,
			Cgroup: cfg.CGroupPath + "/" + in.CGroup}}
	})
	cfg.Init = init.client
	w := newWorld(t, cfg)
	awaitState(t, w, func() bool { return len(w.records) == 1 })
	o := w.Probe(in)
	require.Equal(t, unit.Spawned{Seq: 4, Role: "main", Proc: p}, o.Event)
	_, x := await[unit.Execed](t, w, nil)
	require.Nil(t, x.Err)
	i, e := await[unit.Exited](t, w, nil)
	require.Equal(t, in.CGroup, i.CGroup)
	require.Equal(t, unit.Exit{Code: unit.ExitExited, Status: 5}, e.Exit)
	require.Empty(t, w.records)
}

// A session leader whose environment cannot be read may be the one: never run again.
func TestProbeInDoubt(t *testing.T) {
	cfg := withGroups(t, shimConfig(t))
	w := newWorld(t, cfg)
	in := serviceIntent(4, unit.Spawn{Role: "main", Command: command("/bin/true")})
	_, err := cfg.CGroup.Create(in.CGroup, nil)
	require.NoError(t, err)
	p := orphan(t)
	require.NoError(t, cfg.CGroup.Attach(in.CGroup, p.PID))
	require.Equal(t, sys.Unknown, w.Probe(in).State)
}

// A core dies while its child is on its way to executing the program: the child goes on, and the
// next core waits for it instead of starting a second one.
func TestProbeWaitsForTheUnborn(t *testing.T) {
	cfg := withGroups(t, shimConfig(t))
	in := serviceIntent(4, unit.Spawn{Role: "main", Command: command("/bin/sleep", "1000")})
	_, err := cfg.CGroup.Create(in.CGroup, nil)
	require.NoError(t, err)
	cmd := exec.Command("/bin/sh", "-c", "read go; exec env -i "+spawn.MarkEnv+"="+mark(in)+" sleep 1000")
	cmd.Env = []string{fdstore.EnvFD + "=3", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	require.NoError(t, cfg.CGroup.Attach(in.CGroup, cmd.Process.Pid))
	w := newWorld(t, cfg)
	_, _, unborn, err := w.lookForMarked(in)
	require.NoError(t, err)
	require.True(t, unborn)
	_, err = pipe.Write([]byte("go\n"))
	require.NoError(t, err)
	o := w.Probe(in)
	require.Equal(t, sys.Done, o.State)
	require.Equal(t, cmd.Process.Pid, o.Event.(unit.Spawned).Proc.PID)
}

// A process that is ending is in no group any more and not yet in init's records.
func TestProbeWaitsForTheDying(t *testing.T) {
	init := newFakeInit(t)
	cfg := withGroups(t, shimConfig(t))
	cfg.Init = init.client
	in := serviceIntent(4, unit.Spawn{Role: "main", Command: command("/bin/true")})
	_, err := cfg.CGroup.Create(in.CGroup, nil)
	require.NoError(t, err)
	cmd := exec.Command("/bin/sh", "-c", "read end")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = []string{spawn.MarkEnv + "=" + mark(in)}
	pipe, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := unit.Proc{PID: cmd.Process.Pid}
	s, err := readStat(p.PID)
	require.NoError(t, err)
	p.Start = s.Start
	require.NoError(t, cfg.CGroup.Attach(in.CGroup, p.PID))
	w := newWorld(t, cfg)
	w.lookAtLeaders(sys.Intent{Recorded: func(pid int) bool { return pid == p.PID }})
	require.NotContains(t, w.leaders[in.CGroup], p, "another unit's")
	w.leaders = nil
	w.lookAtLeaders(sys.Intent{})
	require.Contains(t, w.leaders[in.CGroup], p)
	require.NoError(t, pipe.Close())
	awaitState(t, w, func() bool { return !alive(p) }) // a zombie, and in no group
	reaped := make(chan struct{})
	go func() { // init takes its time
		defer close(reaped)
		init.exit(t, fdstore.Exit{ID: 1, PID: p.PID, StartTime: p.Start, Session: p.PID, Code: 1, Status: 5, Cgroup: cfg.CGroupPath + "/" + in.CGroup})
		_ = cmd.Wait() // it is a zombie until here
	}()
	o := w.Probe(in)
	<-reaped
	require.Equal(t, unit.Spawned{Seq: 4, Role: "main", Proc: p}, o.Event)
}

func TestRealizeWritesLimits(t *testing.T) {
	cfg := withGroups(t, shimConfig(t))
	w := newWorld(t, cfg)
	in := serviceIntent(1, unit.Realize{})
	in.Spec.Settings = []unit.Setting{{Section: "Service", Key: "TasksMax", Value: "77"}}
	w.Act(in)
	msg := awaitDone(t, w, in)
	require.True(t, cfg.CGroup.Exists(in.CGroup))
	v, err := cfg.CGroup.Get(in.CGroup, "pids.max")
	if err != nil {
		require.Contains(t, msg, "pids", "a limit that cannot be written fails the start")
		t.Skip("the pids controller is not on cgroup v2 here")
	}
	require.Empty(t, msg)
	require.Equal(t, "77\n", v)
}

func TestKillReachesTheWholeGroup(t *testing.T) {
	cfg := withGroups(t, shimConfig(t))
	w := newWorld(t, cfg)
	in := serviceIntent(1, unit.Spawn{Role: "main", Command: command("/bin/sh", "-c", "setsid sleep 1000 & sleep 1000 & wait")})
	w.Act(in)
	_, s := await[unit.Spawned](t, w, nil)
	await[unit.Execed](t, w, nil)
	awaitState(t, w, func() bool {
		n := 0
		require.NoError(t, cfg.CGroup.Procs(in.CGroup, func(int) bool { n++; return true }))
		return n >= 3
	})
	kill := serviceIntent(2, unit.Kill{Signal: int(unix.SIGTERM), Except: []unit.Proc{s.Proc}})
	w.Act(kill)
	require.Empty(t, awaitDone(t, w, kill))
	await[unit.Exited](t, w, nil) // sh: its children are gone
	await[unit.CgroupEmpty](t, w, nil)
	w.Act(kill)
	require.Empty(t, awaitDone(t, w, kill))
}

// Recovery has an emptied group told, although nothing changes any more.
func TestAttachTellsOfAnEmptyGroup(t *testing.T) {
	cfg := withGroups(t, shimConfig(t))
	w := newWorld(t, cfg)
	in := serviceIntent(1, unit.Attach{})
	_, err := cfg.CGroup.Create(in.CGroup, nil)
	require.NoError(t, err)
	w.Act(in)
	i, _ := await[unit.CgroupEmpty](t, w, nil)
	require.EqualValues(t, "a.service", i.Unit)
}

// BenchmarkSpawn is the way from Act to Exited with the real shim, of a default service.
func BenchmarkSpawn(b *testing.B) {
	shim := filepath.Join(b.TempDir(), "sysmaster-exec")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", shim, "../../../examples/sysmaster/exec")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(b, err, string(out))
	cfg := withGroups(b, Config{ShimPath: shim})
	w := newWorld(b, cfg)
	seq := uint64(0)
	for b.Loop() {
		seq++
		in := serviceIntent(seq, unit.Spawn{Role: "main", Command: command("/bin/true")})
		w.Act(in)
		await[unit.Exited](b, w, nil)
	}
}

// The exit of a process that the store knows is not that of the Spawn in question.
func TestProbePassesOverKnownProcesses(t *testing.T) {
	init := newFakeInit(t)
	cfg := withGroups(t, shimConfig(t))
	in := serviceIntent(4, unit.Spawn{Role: "reload/0", Control: true, Command: command("/bin/true")})
	p := unit.Proc{PID: 4000001, Start: 99}
	init.look(func() {
		init.exits = []fdstore.Exit{{ID: 1, PID: p.PID, StartTime: p.Start, Session: p.PID, Code: 1, Cgroup: cfg.CGroupPath + "/" + in.CGroup}}
	})
	cfg.Init = init.client
	w := newWorld(t, cfg)
	awaitState(t, w, func() bool { return len(w.records) == 1 })
	in.Known = []unit.Proc{p}
	require.Equal(t, sys.NotDone, w.Probe(in).State)
}

// A frozen group takes no process; other units start meanwhile as ever.
func TestSpawnIntoAFrozenGroup(t *testing.T) {
	cfg := withGroups(t, shimConfig(t))
	w := newWorld(t, cfg)
	in := serviceIntent(1, unit.Spawn{Role: "reload/0", Command: command("/bin/true")})
	_, err := cfg.CGroup.Create(in.CGroup, nil)
	require.NoError(t, err)
	require.NoError(t, cfg.CGroup.Freeze(in.CGroup))
	w.Act(in)
	other := serviceIntent(1, unit.Spawn{Role: "main", Command: command("/bin/true")})
	other.Unit, other.CGroup = "b.service", "system.slice/b.service"
	w.Act(other)
	got := make(map[unit.Name]unit.Spawned)
	for len(got) < 2 {
		i, s := await[unit.Spawned](t, w, nil)
		got[i.Unit] = s
	}
	require.NotNil(t, got["a.service"].Err)
	require.Nil(t, got["b.service"].Err)
	await[unit.Exited](t, w, nil)
	require.NoError(t, cfg.CGroup.Thaw(in.CGroup))
}

// What is spawned into a group whose processes were killed - the commands after a stop that took too long - lives.
func TestSpawnAfterTheGroupWasKilled(t *testing.T) {
	w := newWorld(t, withGroups(t, shimConfig(t)))
	w.Act(serviceIntent(1, unit.Spawn{Role: "main", Command: command("/bin/sh", "-c", "sleep 1000 & sleep 1000")}))
	await[unit.Execed](t, w, nil)
	kill := serviceIntent(2, unit.Kill{Signal: int(unix.SIGKILL)})
	w.Act(kill)
	require.Empty(t, awaitDone(t, w, kill))
	await[unit.CgroupEmpty](t, w, nil)
	_, _, x := life(t, w, serviceIntent(3, unit.Spawn{Role: "control", Control: true, Command: command("/bin/sh", "-c", "exit 5")}))
	require.Equal(t, unit.Exit{Code: unit.ExitExited, Status: 5}, x.Exit)
}
