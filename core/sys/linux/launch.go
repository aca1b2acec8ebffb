package linux

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/core/sys/linux/spawn"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// controlGroup is the sub-group of control processes where the unit delegates its own
// (man systemd.resource-control(5), Delegate=): the main process may have left it by then,
// and a group with children that have controllers takes no processes.
const controlGroup = ".control"

// launcher is what Spawn needs.
type launcher struct {
	spawner *spawn.Spawner
	decoder *execspec.Decoder // made for the first that is decoded: a core that only recovers needs none
	decoded map[unit.Name]decoded
}

// decoded are the settings of the Spec that a unit had last.
type decoded struct {
	spec     *unit.Spec
	settings *execspec.Settings
}

func (w *World) startLauncher() (err error) {
	w.launch.decoded = make(map[unit.Name]decoded)
	if w.cfg.ShimPath == "" {
		return nil // a World that starts nothing
	}
	w.launch.spawner, err = spawn.New(spawn.Config{
		ShimPath: w.cfg.ShimPath, Env: w.cfg.Env, Console: w.cfg.ConsolePath, AllowDegraded: w.cfg.AllowDegraded,
	})
	return err
}

func (w *World) closeLauncher() error {
	if w.launch.spawner == nil {
		return nil
	}
	return w.launch.spawner.Close()
}

// settings decodes a unit's execution settings, once per Spec.
func (w *World) settings(s *unit.Spec) (*execspec.Settings, error) {
	if s == nil {
		def := execspec.NewSettings()
		return &def, nil
	}
	if d := w.launch.decoded[s.Name]; d.spec == s {
		return d.settings, nil
	}
	if w.launch.decoder == nil {
		w.launch.decoder = execspec.NewDecoder()
	}
	set, err := w.launch.decoder.Decode(s)
	if err != nil {
		return nil, err
	}
	w.launch.decoded[s.Name] = decoded{s, set}
	return set, nil
}

// spawn starts a process beside the loop. The lane goes on when the process exists.
func (w *World) spawn(in sys.Intent, e unit.Spawn, next func()) {
	req, opened, serr := w.request(in, e)
	if serr != nil {
		closeAll(opened)
		w.answer(in, unit.Spawned{Seq: in.Seq, Role: e.Role, Err: serr})
		next()
		return
	}
	group := w.spawnGroup(in, e)
	w.spawning++
	ended := func(p spawn.Process, serr *unit.SpawnError) {
		w.spawning--
		w.spawned(in, e, p, serr)
		next()
		if serr != nil {
			w.exitTold(in.Unit, in.CGroup)
		}
	}
	w.pool.run(func() func() {
		defer closeAll(opened)
		p, serr := w.startProcess(&req, group)
		if serr == nil && w.cfg.Init != nil {
			// From here on a core that dies leaves the exit to init, which keeps it.
			if err := w.cfg.Init.Register(p.PID, p.Start); err != nil {
				w.note(in.Unit, "init", err)
			}
		}
		return func() { ended(p, serr) }
	}, func(err error) { ended(spawn.Process{}, spawnError("spawn", err)) })
}

// request puts together what the Spawner needs; opened are duplicates to close afterwards.
func (w *World) request(in sys.Intent, e unit.Spawn) (req spawn.Request, opened []int, _ *unit.SpawnError) {
	if w.launch.spawner == nil {
		return req, nil, spawnError("sysmaster-exec", errors.New("the assembly names no exec shim"))
	}
	set, err := w.settings(in.Spec)
	if err != nil {
		return req, nil, spawnError("settings", err)
	}
	req = spawn.Request{
		Unit: in.Unit, Command: e.Command, Context: &set.Exec, Control: e.Control, Env: e.Env,
		Watchdog: e.Watchdog, Invocation: in.Invocation, Mark: stampedMark(in),
	}
	if e.Notify {
		req.NotifySocket = w.cfg.NotifyPath
	}
	// Duplicates, because a held descriptor may be dropped while the spawn is under way.
	dup := func(key string) (int, error) {
		h := w.fds[key]
		if h == nil {
			return -1, fmt.Errorf("descriptor %q is not held", key)
		}
		fd, err := unix.FcntlInt(uintptr(h.fd), unix.F_DUPFD_CLOEXEC, 3)
		if err == nil {
			opened = append(opened, fd)
		}
		return fd, err
	}
	for _, ref := range e.FDs {
		fd, err := dup(ref.Key)
		if err != nil {
			return req, opened, spawnError("descriptors", err)
		}
		req.FDs = append(req.FDs, spawn.FD{FD: fd, Name: ref.Name})
	}
	if e.Stdin != "" {
		if req.Stdin, err = dup(e.Stdin); err != nil {
			return req, opened, spawnError("StandardInput", err)
		}
	}
	return req, opened, nil
}

// spawnGroup is the control group to be born in; empty for none.
func (w *World) spawnGroup(in sys.Intent, e unit.Spawn) string {
	if w.cfg.CGroup == nil || in.CGroup == "" {
		return ""
	}
	set, err := w.settings(in.Spec)
	if err == nil && e.Control && set.CGroup.Delegate {
		return in.CGroup + "/" + controlGroup
	}
	return in.CGroup
}

// startProcess runs beside the loop.
func (w *World) startProcess(req *spawn.Request, group string) (spawn.Process, *unit.SpawnError) {
	if group != "" {
		fd, err := w.cfg.CGroup.Open(group)
		if errors.Is(err, unix.ENOENT) {
			if _, err = w.cfg.CGroup.Create(group, nil); err == nil {
				fd, err = w.cfg.CGroup.Open(group)
			}
		}
		if err != nil {
			return spawn.Process{}, &unit.SpawnError{Status: exitCgroup, Step: "control group", Msg: err.Error()}
		}
		defer closeFD(fd)
		req.Cgroup = fd
	}
	p, err := w.launch.spawner.Start(*req)
	if err == nil {
		return p, nil
	}
	var serr *unit.SpawnError
	if !errors.As(err, &serr) {
		serr = spawnError("spawn", err)
	}
	return p, serr
}

// Exit statuses of systemd.exec(5) for what fails before the shim.
const (
	exitFDs    = 202
	exitCgroup = 219
)

func spawnError(step string, err error) *unit.SpawnError {
	return &unit.SpawnError{Status: exitFDs, Step: step, Msg: err.Error()}
}

// spawned tells of a new process and begins to follow it.
func (w *World) spawned(in sys.Intent, e unit.Spawn, p spawn.Process, serr *unit.SpawnError) {
	ev := unit.Spawned{Seq: in.Seq, Role: e.Role, Err: serr}
	if serr != nil {
		w.answer(in, ev)
		return
	}
	ev.Proc = p.Proc()
	w.answer(in, ev)
	watched := w.groups[in.CGroup] != nil
	if err := w.watchGroup(in, false); err != nil {
		w.note(in.Unit, "watch control group", err)
	}
	if g := w.groups[in.CGroup]; g != nil && !watched {
		g.emptied = true // the process may have ended before the watch: look again when its end is told
	}
	f, err := w.follow(follower{Proc: p.Proc(), unit: in.Unit, cgroup: in.CGroup, pidfd: p.PidFD, child: true})
	if err != nil {
		// Only without memory or descriptors. Nobody would hear of its end; what remains
		// is to end it now and say so.
		w.note(in.Unit, "spawn", err)
		_ = unix.Kill(p.PID, unix.SIGKILL)
		closeFD(p.StatusFD)
		w.answer(in, unit.Execed{Seq: in.Seq, Err: spawnError("follow", err)})
		w.answer(in, unit.Exited{Proc: p.Proc()})
		return
	}
	if p.StatusFD < 0 {
		w.answer(in, unit.Execed{Seq: in.Seq})
		return
	}
	w.awaitSetup(in, f, p.StatusFD)
}

// setup is a process between its creation and the end of its set-up in the shim.
type setup struct {
	in    sys.Intent
	fd    int
	token uint64
	since time.Duration // the process was found ended, its status not complete
}

func (w *World) awaitSetup(in sys.Intent, p *follower, fd int) {
	in.Spec, in.Effect = nil, nil // only the names are needed
	p.setup = &setup{in: in, fd: fd}
	token, err := w.poll.add(fd, 0, func(uint32) { w.setupEnded(p) }) // EPOLLHUP comes unasked
	if err != nil {
		// The process's end brings the status; a service that lives on counts as executed.
		w.note(in.Unit, "spawn", err)
		closeFD(fd)
		p.setup = nil
		w.answer(in, unit.Execed{Seq: in.Seq})
		return
	}
	p.setup.token = token
}

// setupEnded tells how the set-up ended; false if it has not.
func (w *World) setupEnded(p *follower) bool {
	done, err := spawn.ReadStatus(p.setup.fd)
	if !done {
		return false
	}
	in := p.setup.in
	w.dropSetup(p)
	w.answer(in, unit.Execed{Seq: in.Seq, Err: err})
	return true
}

// Another process that is between its fork and its exec may hold a copy of the status
// pipe for a moment.
const (
	setupGrace = time.Second
	setupRetry = 2 * time.Millisecond
)

// setupOver is called when the process is gone: its status comes before its end. False:
// not yet, f will be called again.
func (w *World) setupOver(p *follower, again func()) bool {
	if p.setup == nil || w.setupEnded(p) {
		return true
	}
	now := monotonic()
	if p.setup.since == 0 {
		p.setup.since = now
	}
	if now-p.setup.since < setupGrace {
		w.alarms.set(now+setupRetry, again)
		return false
	}
	in := p.setup.in
	w.dropSetup(p)
	w.answer(in, unit.Execed{Seq: in.Seq, Err: spawnError("set-up", errors.New("the process ended before it was complete"))})
	return true
}

func (w *World) dropSetup(p *follower) {
	w.poll.remove(p.setup.token, p.setup.fd)
	closeFD(p.setup.fd)
	p.setup = nil
}
