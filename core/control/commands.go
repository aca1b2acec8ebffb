package control

import (
	"fmt"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/unit"
)

// affectedSig is the type of the jobs that a transaction brought along.
const affectedSig = "a(uosos)"

type affected struct {
	ID       uint32
	Job      dbus.ObjectPath
	Unit     string
	UnitPath dbus.ObjectPath
	Type     string
}

// jobType chooses the type of a job for a unit.
type jobType func(s *Server, u *core.UnitView) unit.JobType

func asked(t unit.JobType) jobType {
	return func(*Server, *core.UnitView) unit.JobType { return t }
}

// reloadIf is yes for units that can be reloaded, else no.
func reloadIf(yes, no unit.JobType) jobType {
	return func(s *Server, u *core.UnitView) unit.JobType {
		if u != nil && s.canReload(u) {
			return yes
		}
		return no
	}
}

// parseUnit checks a name that a client gave.
func parseUnit(name string) (unit.Name, error) {
	n, err := unit.ParseName(name)
	if err != nil {
		return "", &busError{errInvalidArgs, fmt.Sprintf("Unit name %s is not valid.", name)}
	}
	if n.IsTemplate() {
		return "", &busError{errInvalidArgs,
			fmt.Sprintf("Unit name %s is missing the instance name.", name)}
	}
	return n, nil
}

// jobRequest makes the engine's request from what a client wrote.
func (c *call) jobRequest(t jobType, name, mode string) (core.OpJob, error) {
	n, err := parseUnit(name)
	if err != nil {
		return core.OpJob{}, err
	}
	m, ok := unit.ParseJobMode(mode)
	if !ok {
		return core.OpJob{}, &busError{errInvalidArgs, fmt.Sprintf("Job mode %s invalid", mode)}
	}
	op := core.OpJob{Unit: n, Mode: m, Manual: true}
	if op.Type = t(c.s, c.s.cfg.Manager.View().Unit(n)); op.Type == 0 {
		return op, &busError{errInvalidArgs, "Job type is not valid."}
	}
	if m == unit.ModeIsolate && op.Type != unit.JobStart {
		return op, &busError{errInvalidArgs, "Isolate is only valid for start."}
	}
	return op, nil
}

func (c *call) job(t jobType, name, mode string) {
	op, err := c.jobRequest(t, name, mode)
	if err != nil {
		c.fail(err)
		return
	}
	c.submit(op, func(r core.Response) {
		if r.Job != 0 {
			c.reply("o", jobPath(r.Job))
			return
		}
		j := c.endedJob(r, op)
		c.reply("o", jobPath(j.ID))
		c.signalEnded(&j)
	})
}

// endedJob stands for a job that was not needed. Its id comes from the far end of the
// numbers, so that it never meets one of the engine's.
func (c *call) endedJob(r core.Response, op core.OpJob) core.JobView {
	n := r.Unit
	if n == "" {
		n = op.Unit
	}
	id := core.JobID(-c.s.noJob.Add(1))
	return core.JobView{ID: id, Unit: n, Type: op.Type, Result: unit.JobDone}
}

// signalEnded tells this client alone that the job it was given has ended.
func (c *call) signalEnded(j *core.JobView) {
	m := jobSignal("JobRemoved", j)
	m.Type, m.Serial = dbus.TypeSignal, c.s.nextSerial()
	frame, err := m.Encode()
	if err != nil {
		c.s.observe(c.c, err)
		return
	}
	c.c.send(frame, true)
}

// jobTypes are the words that EnqueueUnitJob takes.
func jobTypeOf(word string) jobType {
	switch word {
	case "start":
		return asked(unit.JobStart)
	case "verify-active":
		return asked(unit.JobVerifyActive)
	case "stop":
		return asked(unit.JobStop)
	case "reload":
		return asked(unit.JobReload)
	case "restart":
		return asked(unit.JobRestart)
	case "reload-or-start":
		return asked(unit.JobReloadOrStart)
	case "try-restart":
		return asked(unit.JobTryRestart)
	case "try-reload":
		return asked(unit.JobTryReload)
	case "reload-or-restart":
		return reloadIf(unit.JobReloadOrStart, unit.JobRestart)
	case "reload-or-try-restart":
		return reloadIf(unit.JobTryReload, unit.JobTryRestart)
	}
	return asked(0)
}

func (c *call) enqueue(name, typ, mode string) {
	op, err := c.jobRequest(jobTypeOf(typ), name, mode)
	if err != nil {
		c.fail(err)
		return
	}
	c.submit(op, func(r core.Response) {
		j := core.JobView{ID: r.Job, Unit: r.Unit, Type: op.Type}
		if v := findJob(c.s.cfg.Manager.View(), r.Job); v != nil {
			j = *v
		}
		if r.Job == 0 {
			j = c.endedJob(r, op)
		}
		c.reply("uosos"+affectedSig, uint32(j.ID), jobPath(j.ID), string(j.Unit), unitPath(j.Unit), j.Type.String(), []affected{})
		if r.Job == 0 {
			c.signalEnded(&j)
		}
	})
}

// signalMax is the highest signal number of Linux (man signal(7)).
const signalMax = 64

func (c *call) kill(name, who string, signal int32) {
	n, err := parseUnit(name)
	if err != nil {
		c.fail(err)
		return
	}
	op := core.OpKill{Unit: n, Signal: int(signal)}
	switch who {
	case "", "all", "all-fail":
		op.Who = unit.KillAll
	case "main", "main-fail":
		op.Who = unit.KillMain
	case "control", "control-fail":
		op.Who = unit.KillControl
	default:
		c.fail(&busError{errInvalidArgs, fmt.Sprintf("Invalid who argument %s", who)})
		return
	}
	if signal < 1 || signal > signalMax {
		c.fail(&busError{errInvalidArgs, "Signal number out of range."})
		return
	}
	if u := c.s.cfg.Manager.View().Unit(n); u == nil {
		c.fail(notLoaded(n))
		return
	}
	c.command(op)
}

func notLoaded(n unit.Name) error {
	return &busError{errNoSuchUnit, fmt.Sprintf("Unit %s not loaded.", n)}
}

func (c *call) resetFailed(name string) {
	n, err := parseUnit(name)
	if err != nil {
		c.fail(err)
		return
	}
	if c.s.cfg.Manager.View().Unit(n) == nil {
		c.fail(notLoaded(n))
		return
	}
	c.command(core.OpResetFailed{Unit: n})
}

func (c *call) resetAllFailed() { c.command(core.OpResetFailed{}) }

func (c *call) cancel(id uint32) {
	if id == 0 || findJob(c.s.cfg.Manager.View(), core.JobID(id)) == nil {
		c.fail(noJob(id))
		return
	}
	c.command(core.OpCancel{ID: core.JobID(id)})
}

func noJob(id uint32) error {
	return &busError{errNoSuchJob, fmt.Sprintf("Job %d does not exist.", id)}
}

func (c *call) clearJobs() { c.command(core.OpCancel{}) }

// refUnit answers RefUnit and UnrefUnit. Units that a client names are not unloaded here while
// they exist on disk, so a reference needs no bookkeeping; the call still loads the unit.
func (c *call) refUnit() {
	n, err := parseUnit(c.str(0))
	if err == nil {
		_, err = c.s.load(c.c, n)
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.reply("")
}

func (c *call) reload() { c.command(core.OpReload{}) }

// reexecute answers only if it fails: like systemd's, clients see the connection end.
func (c *call) reexecute() { c.submit(core.OpReexec{}, func(core.Response) {}) }

func (c *call) shutdown(verb string, code int) {
	c.command(core.OpShutdown{Verb: verb, Code: code})
}

func (c *call) subscribe() {
	if c.c.subscribed.Swap(true) {
		c.fail(&busError{"org.freedesktop.systemd1.AlreadySubscribed", "Client is already subscribed."})
		return
	}
	c.s.pub.subscribers.Add(1)
	c.reply("")
}

func (c *call) unsubscribe() {
	if !c.c.subscribed.Swap(false) {
		c.fail(&busError{"org.freedesktop.systemd1.NotSubscribed", "Client is not subscribed."})
		return
	}
	c.s.pub.subscribers.Add(-1)
	c.reply("")
}
