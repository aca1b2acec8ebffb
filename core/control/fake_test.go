package control

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/unit"
)

// engine is a small service manager in memory: enough behaviour for clients to drive all
// commands against it. One goroutine runs it, as with the real one.
type engine struct {
	events func(core.Event) // under mu
	queue  chan *core.Request
	stop   chan struct{}
	done   chan struct{}

	mu   sync.Mutex
	view *core.View

	units   map[unit.Name]*core.UnitView // of the goroutine only
	order   []unit.Name
	nextJob core.JobID
	held    map[core.JobID]*core.JobView
	release chan unit.JobResult
	seen    []any // ops, in order
	asked   map[core.RequestID]*core.Response
	now     time.Duration
	state   string
}

func newEngine(names ...string) *engine {
	e := &engine{
		events: func(core.Event) {}, queue: make(chan *core.Request, 1024), stop: make(chan struct{}), done: make(chan struct{}),
		units: map[unit.Name]*core.UnitView{}, held: map[core.JobID]*core.JobView{},
		asked: map[core.RequestID]*core.Response{}, release: make(chan unit.JobResult), now: time.Hour, state: "running",
	}
	for _, n := range names {
		e.add(unit.Name(n))
	}
	e.snapshot()
	return e
}

func (e *engine) View() *core.View {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.view
}

func (e *engine) setPublish(f func(core.Event)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events = f
}

func (e *engine) publish(ev core.Event) {
	e.mu.Lock()
	f := e.events
	e.mu.Unlock()
	f(ev)
}

var errFull = errors.New("the queue is full")

func (e *engine) Submit(r *core.Request) error {
	select {
	case e.queue <- r:
		return nil
	case <-e.stop:
		return core.ErrShuttingDown
	default:
		return errFull
	}
}

func (e *engine) run() {
	defer close(e.done)
	for {
		select {
		case r := <-e.queue:
			e.handle(r)
		case res := <-e.release:
			for id := range e.held {
				e.finish(id, res)
			}
		case <-e.stop:
			return
		}
	}
}

func (e *engine) close() {
	close(e.stop)
	<-e.done
}

func (e *engine) add(n unit.Name) *core.UnitView {
	c := unit.NewCommon()
	c.Description = "The " + string(n)
	c.AllowIsolate = n.Kind() == unit.KindTarget
	u := &core.UnitView{
		Name: n, Load: unit.LoadLoaded, Common: &c,
		Spec:  &unit.Spec{Name: n, Load: unit.LoadLoaded, FragmentPath: "/lib/systemd/system/" + string(n)},
		State: unit.State{Active: unit.Inactive, Sub: "dead", Result: "success"},
	}
	var rel [unit.NumRelations][]unit.Name
	rel[unit.After] = []unit.Name{"basic.target"}
	rel[unit.InSlice] = []unit.Name{"system.slice"}
	u.Relations = func() *[unit.NumRelations][]unit.Name { return &rel }
	if n.Kind() == unit.KindService {
		u.CGroup = "system.slice/" + string(n)
	}
	u.Type = &unit.Type{Kind: n.Kind(), Restore: func(s *unit.Spec, _ uint32, _ []byte) (unit.Unit, error) {
		return fakeUnit{s.Name}, nil
	}}
	e.units[n] = u
	e.order = append(e.order, n)
	return u
}

// change replaces a unit's view by a changed copy.
func (e *engine) change(n unit.Name, f func(u *core.UnitView)) {
	u := *e.units[n]
	old := u.State
	f(&u)
	e.units[n] = &u
	e.snapshot()
	if u.State != old {
		e.publish(core.UnitChanged{Unit: n, Old: old, New: u.State})
	}
}

func (e *engine) snapshot() {
	var list []*core.UnitView
	for _, n := range e.order {
		list = append(list, e.units[n])
	}
	var jobs []*core.JobView
	for id := core.JobID(1); id <= e.nextJob; id++ {
		if j := e.held[id]; j != nil {
			jobs = append(jobs, j)
		}
	}
	e.mu.Lock()
	e.view = core.NewView(list, jobs, e.state)
	e.mu.Unlock()
}

func (e *engine) handle(r *core.Request) {
	e.now += time.Millisecond
	if op, ok := r.Op.(core.OpRecall); ok {
		r.ID = op.ID
	}
	if a := e.asked[r.ID]; a != nil {
		r.Reply(*a)
		return
	}
	if id := r.ID; id != (core.RequestID{}) {
		answer := r.Reply
		r.Reply = func(got core.Response) {
			e.asked[id] = &got
			answer(got)
		}
	}
	e.seen = append(e.seen, r.Op)
	refuse := func(n unit.Name, err error) { r.Reply(core.Response{Err: &core.RequestError{Unit: n, Err: err}}) }
	switch op := r.Op.(type) {
	case core.OpJob:
		e.job(r, op)
	case core.OpLoad:
		if e.units[op.Unit] == nil {
			refuse(op.Unit, core.ErrNoSuchUnit)
			return
		}
		r.Reply(core.Response{Unit: op.Unit})
	case core.OpKill:
		if !e.units[op.Unit].State.Active.IsUp() {
			refuse(op.Unit, core.ErrNoSuchProcess)
			return
		}
		e.change(op.Unit, func(u *core.UnitView) {
			u.State = unit.State{Active: unit.Failed, Sub: "failed", Result: "signal"}
			u.Procs = nil
		})
		r.Reply(core.Response{Unit: op.Unit})
	case core.OpResetFailed:
		for _, n := range e.order {
			if (op.Unit == "" || op.Unit == n) && e.units[n].State.Active == unit.Failed {
				e.change(n, func(u *core.UnitView) { u.State = unit.State{Active: unit.Inactive, Sub: "dead", Result: "success"} })
			}
		}
		r.Reply(core.Response{Unit: op.Unit})
	case core.OpCancel:
		for id := range e.held {
			if op.ID == 0 || op.ID == id {
				e.finish(id, unit.JobCanceled)
			}
		}
		r.Reply(core.Response{})
	case core.OpRecall:
		r.Reply(core.Response{Err: core.ErrNoSuchRequest})
	case core.OpReload:
		e.publish(core.Reloading{Active: true})
		e.publish(core.Reloading{Active: false})
		r.Reply(core.Response{})
	default:
		r.Reply(core.Response{})
	}
}

func (e *engine) job(r *core.Request, op core.OpJob) {
	u := e.units[op.Unit]
	refuse := func(err error) { r.Reply(core.Response{Err: &core.RequestError{Unit: op.Unit, Err: err}}) }
	switch {
	case u == nil:
		refuse(core.ErrNoSuchUnit)
		return
	case u.Name == "masked.service":
		refuse(core.ErrMasked)
		return
	case op.Mode == unit.ModeIsolate && !u.Common.AllowIsolate:
		refuse(core.ErrNoIsolate)
		return
	case u.Common.RefuseManualStart && op.Manual:
		refuse(core.ErrOnlyByDep)
		return
	case (op.Type == unit.JobTryRestart || op.Type == unit.JobTryReload) && !u.State.Active.IsUp():
		r.Reply(core.Response{Unit: op.Unit, Result: unit.JobDone})
		return
	}
	e.nextJob++
	id := e.nextJob
	j := &core.JobView{ID: id, Unit: op.Unit, Type: op.Type, Running: true}
	e.held[id] = j
	e.change(op.Unit, func(u *core.UnitView) {
		u.Job = j
		u.Changes = []core.Change{{N: 1, Kind: core.ChangeJob, Type: op.Type, Job: id, By: core.Cause{Kind: core.CauseClient, Text: r.Words}}}
	})
	e.publish(core.JobNew{Job: *j})
	r.Reply(core.Response{Job: id, Unit: op.Unit})
	if u.Name == "hold.service" {
		return
	}
	result := unit.JobDone
	if u.Name == "bad.service" && op.Type == unit.JobStart {
		result = unit.JobFailed
	}
	e.finish(id, result)
}

// finish ends a job and puts its unit into the state that follows.
func (e *engine) finish(id core.JobID, result unit.JobResult) {
	j := *e.held[id]
	j.Result = result
	delete(e.held, id)
	for _, a := range e.asked {
		if a.Job == id {
			a.Result = result
		}
	}
	e.change(j.Unit, func(u *core.UnitView) {
		u.Job = nil
		at := unit.Stamp{Real: e.now + 400000*time.Hour, Mono: e.now, Boot: e.now}
		switch {
		case result == unit.JobFailed:
			u.State = unit.State{Active: unit.Failed, Sub: "failed", Result: "exit-code"}
			u.Times.StateChange, u.Times.InactiveEnter = at, at
		case result != unit.JobDone:
		case j.Type == unit.JobStop:
			u.State = unit.State{Active: unit.Inactive, Sub: "dead", Result: "success"}
			u.Procs = nil
			u.Times.StateChange, u.Times.InactiveEnter = at, at
		default:
			u.State = unit.State{Active: unit.Active, Sub: "running", Result: "success"}
			u.Procs = []core.ProcView{{Role: "main", Proc: unit.Proc{PID: os.Getpid(), Start: 1}}}
			u.Invocation = [16]byte{0xab, byte(id)}
			u.Times.StateChange, u.Times.ActiveEnter, u.Times.InactiveExit = at, at, at
		}
	})
	e.publish(core.JobRemoved{Job: j})
}

// fakeUnit shows the properties of a service as systemd types them.
type fakeUnit struct{ name unit.Name }

type execRow struct {
	Path           string
	Argv           []string
	Ignore         bool
	T1, T2, T3, T4 uint64
	PID            uint32
	Code, Status   int32
}

func (fakeUnit) Handle(*unit.Tx, unit.Event) {}
func (fakeUnit) State() unit.State           { return unit.State{} }
func (fakeUnit) Snapshot(b []byte) []byte    { return b }
func (f fakeUnit) Props() []unit.Value {
	if f.name.Kind() != unit.KindService {
		return nil
	}
	reload := []execRow{}
	if f.name == "web.service" {
		reload = append(reload, execRow{Path: "/bin/kill", Argv: []string{"/bin/kill", "-HUP", "$MAINPID"}})
	}
	return []unit.Value{
		{Name: "Type", Signature: "s", V: "simple"},
		{Name: "MainPID", Signature: "u", V: uint32(os.Getpid())},
		{Name: "Result", Signature: "s", V: "success"},
		{Name: "StatusText", Signature: "s", V: "serving \xff badly"},
		{Name: "ExecStart", Signature: "a(sasbttttuii)", V: []execRow{{Path: "/bin/sleep", Argv: []string{"/bin/sleep", "1000"}}}},
		{Name: "ExecReload", Signature: "a(sasbttttuii)", V: reload},
		{Name: "Wrong", Signature: "s", V: 7},
		{Name: "BadUTF8", Signature: "a(s)", V: []struct{ S string }{{"\xff"}}},
	}
}
