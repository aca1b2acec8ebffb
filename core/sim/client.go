package sim

import (
	"errors"
	"time"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// ErrDisconnected ends a request whose core died before it answered, if the client does not ask again.
var ErrDisconnected = errors.New("the manager died before it answered")

// client is one call of the control API.
type client struct {
	op       any
	repeat   bool // asks again when the core died; else it is gone
	asked    bool // ... the present core
	answered bool
	err      error
	job      core.JobID
	ended    unit.JobResult // of job; 0 while it is queued
	reply    func(core.Response)

	began      time.Duration
	invocation [16]byte // of the unit when it was asked for
}

// Request queues a call of the control API; reply may be nil. A client whose core dies before
// the answer is gone, as systemctl would be: reply is then never called.
func (m *Machine) Request(op any, reply func(core.Response)) {
	m.newClient(&client{op: op, reply: reply})
}

// Ask queues a call of a client that asks again after a crash, as sctl does, until it is answered.
// The result reports how it stands: Answered, and how its job ended.
func (m *Machine) Ask(op any) *Answer { return &Answer{m, m.newClient(&client{op: op, repeat: true})} }

// Answer is what became of an Ask.
type Answer struct {
	m *Machine
	n int
}

// Answered reports whether the core has answered; Err is what it said.
func (a *Answer) Answered() bool { return a.m.clients[a.n].answered }

// Err is the refusal; nil for none.
func (a *Answer) Err() error { return a.m.clients[a.n].err }

// Over reports whether there is an answer and no job of it is left.
func (a *Answer) Over() bool { return a.m.over(a.m.clients[a.n]) }

// Result is how the job ended; 0 while it has not, or when there was none.
func (a *Answer) Result() unit.JobResult { return a.m.clients[a.n].ended }

func (m *Machine) newClient(c *client) int {
	c.began = m.now
	if op, ok := c.op.(core.OpJob); ok {
		if u := m.engine.View().Unit(op.Unit); u != nil {
			c.invocation = u.Invocation
		}
	}
	m.clients = append(m.clients, c)
	m.ask(len(m.clients) - 1)
	return len(m.clients) - 1
}

// ask sends client n's request to the present core.
func (m *Machine) ask(n int) {
	c := m.clients[n]
	if c.answered {
		return
	}
	c.asked = true
	m.note("ask", "", int64(n), 0, c.op)
	r := &core.Request{Op: c.op, Reply: func(r core.Response) { m.answered(n, r) }}
	m.ready = append(m.ready, sys.Input{Body: sys.Request{Body: r}})
}

func (m *Machine) answered(n int, r core.Response) {
	c := m.clients[n]
	c.answered, c.err, c.job = true, r.Err, r.Job
	m.note("answer", r.Unit, int64(n), int64(r.Job), nil)
	if _, job := c.op.(core.OpJob); job && r.Err == nil && r.Job != 0 {
		m.check.acknowledged(r.Job, r.Unit, m.now)
	} else {
		c.job = 0
	}
	if c.reply != nil {
		c.reply(r)
	}
}

func (m *Machine) jobRemoved(j core.JobView) {
	for _, c := range m.clients {
		if c.job == j.ID && c.job != 0 {
			c.ended = j.Result
		}
	}
}

// disconnected looks after the clients of a core that died.
func (m *Machine) disconnected() {
	for n, c := range m.clients {
		if !c.asked || c.answered {
			continue
		}
		c.asked = false
		switch {
		case !c.repeat:
			c.answered, c.err = true, ErrDisconnected
		case m.happened(c):
			c.answered = true
		default:
			m.after(0, happening{do: doAsk, n: n})
		}
	}
}

// happened reports whether what c asked for is recorded although the answer got lost: a client
// that asked again would ask for it twice.
func (m *Machine) happened(c *client) bool {
	op, ok := c.op.(core.OpJob)
	if !ok {
		return false
	}
	u := m.engine.View().Unit(op.Unit)
	switch {
	case u == nil:
		return false
	case u.Job != nil:
		return true
	}
	switch op.Type {
	case unit.JobStop:
		return u.State.Active.IsDown()
	case unit.JobStart:
		return u.State.Active.IsUp() || u.Invocation != c.invocation
	case unit.JobRestart:
		return u.Invocation != c.invocation
	}
	return false
}

func (m *Machine) over(c *client) bool {
	return c.answered && (c.err != nil || c.job == 0 || c.ended != 0 || !m.hasJob(c.job))
}

func (m *Machine) hasJob(id core.JobID) bool {
	for _, j := range m.engine.View().Jobs() {
		if j.ID == id {
			return true
		}
	}
	return false
}

// Do queues a job request and waits until its job is gone. If the core dies meanwhile, it asks again.
func (m *Machine) Do(t unit.JobType, n unit.Name, mode unit.JobMode) error {
	a := m.Ask(core.OpJob{Unit: n, Type: t, Mode: mode, Manual: true})
	if err := m.RunUntil(a.Over, time.Hour); err != nil {
		return err
	}
	return a.Err()
}

// Start starts a unit and waits until its job is gone.
func (m *Machine) Start(n unit.Name) error { return m.Do(unit.JobStart, n, unit.ModeReplace) }

// Stop stops a unit and waits until its job is gone.
func (m *Machine) Stop(n unit.Name) error { return m.Do(unit.JobStop, n, unit.ModeReplace) }

// Restart restarts a unit and waits until its job is gone.
func (m *Machine) Restart(n unit.Name) error { return m.Do(unit.JobRestart, n, unit.ModeReplace) }
