package core

import (
	"bytes"
	"slices"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// handle gives one event to a unit and takes what the unit did with it. It is the only caller
// of Unit.Handle. The result is the reason with which the unit refused, if it did.
func (e *Engine) handle(x *entry, ev unit.Event) (refused string) {
	if x.quar != nil {
		return x.quar.public().String()
	}
	if x.u == nil {
		e.remains(x, ev)
		return "unit is not loaded"
	}
	defer func(c Cause) { e.because = c }(e.because)
	e.because = e.causeOf(x, ev)
	tx := unit.NewTx(e.now, x.cgroup, peers{e, x}, &x.seq)
	seq := x.seq
	kind, id := eventNote(ev)
	outer := e.rec.begin(note{stage: stageHandle, kind: kind, id: id, name: string(x.name)})
	p := deliver(x.u, tx, ev)
	e.rec.end(outer)
	if p != "" {
		x.seq = seq
		e.panicked(x, p)
		return p
	}
	if _, again := ev.(unit.Recovered); !again || x.seq != seq || !e.asShown(x) {
		e.touch(x)
	}
	for _, em := range tx.Effects() {
		e.effect(x, em)
	}
	e.indexProcs(x)
	e.stateMayHaveChanged(x)
	if ok := tx.ReloadResult(); ok != nil && x.job != nil && x.job.typ == unit.JobReload && x.job.running {
		if *ok {
			e.finish(x.job, unit.JobDone)
		} else {
			e.finish(x.job, unit.JobFailed)
		}
	}
	if r := tx.Refused(); r != "" {
		e.refused(x, ev, r)
		return r
	}
	return ""
}

// asShown reports whether x's machine is what the newest view has of it. Of the many that hear of a restart of the core nearly
// all are, and need not be written again.
func (e *Engine) asShown(x *entry) bool {
	v := e.view.Load()
	if v == nil || x.index >= v.count {
		return false
	}
	u := v.units[x.index/chunkSize][x.index%chunkSize]
	if u == nil || u.version != x.typ.Version {
		return false
	}
	e.takeSnapshot(x)
	return x.u != nil && bytes.Equal(e.snapshot, u.snapshot)
}

// deliver shields the engine from a unit type that panics.
func deliver(u unit.Unit, tx *unit.Tx, ev unit.Event) (panicked string) {
	defer func() {
		if p := recover(); p != nil {
			passOn(p)
			panicked = panicText(p)
		}
	}()
	u.Handle(tx, ev)
	u.State() // here, where a panic costs the unit only: it will be asked again
	if h, ok := u.(unit.ProcHolder); ok {
		h.Procs(func(string, unit.Proc) {})
	}
	return ""
}

// panicked replaces a unit whose code failed by a failed one: its processes are killed, its job fails.
func (e *Engine) panicked(x *entry, what string) {
	e.say(unit.LevelErr, x.name, "unit type failed: "+what)
	x.seq++
	if x.cgroup != "" {
		e.emit(x, unit.Emitted{Seq: x.seq, Effect: unit.Kill{Signal: sigKILL}})
	}
	x.u = nil
	x.timers = nil
	x.load, x.reason = unit.LoadError, "the unit's type failed: "+what
	e.indexProcs(x)
	defer func(c Cause) { e.because = c }(e.because)
	e.because = Cause{Kind: CauseBroken, Text: firstLine(what)}
	e.stateMayHaveChanged(x)
	e.touch(x)
}

// refused turns a unit's refusal into the end of the job that asked.
func (e *Engine) refused(x *entry, ev unit.Event, reason string) {
	switch ev.(type) {
	case unit.Start, unit.Stop, unit.Reload:
		e.say(unit.LevelErr, x.name, reason)
		if j := x.job; j != nil && j.running {
			e.detail(j, reason)
			e.finish(j, unit.JobFailed)
		}
	}
}

// effect takes one effect of a unit: internal ones are done now, all others are recorded
// and carried out after the commit.
func (e *Engine) effect(x *entry, em unit.Emitted) {
	switch f := em.Effect.(type) {
	case unit.Arm:
		e.arm(x, f.ID, f.At)
	case unit.Disarm:
		e.disarm(x, f.ID)
	case unit.Enqueue:
		by := Cause{Kind: CauseTrigger, Unit: x.name, Change: x.last()}
		if e.lookup(f.Unit) == x {
			by.Kind = CauseRestart
		}
		e.nextTurn(jobLater{f.Unit, f.Type, f.Mode, "asked by " + string(x.name), by})
	case unit.Act:
		e.machineAction(x, "", f.Action, f.Code, f.Reason)
	case unit.Say:
		e.say(f.Level, x.name, f.Text)
	default:
		e.emit(x, em)
	}
}

func (e *Engine) emit(x *entry, em unit.Emitted) {
	if answered(em.Effect) {
		x.pending = append(x.pending, em)
	}
	e.intents = append(e.intents, e.intent(x, em))
	e.touch(x)
}

func (e *Engine) intent(x *entry, em unit.Emitted) sys.Intent {
	return sys.Intent{Unit: x.name, Seq: em.Seq, CGroup: x.cgroup, Invocation: x.invocation, Spec: x.spec, Effect: em.Effect}
}

// answered reports whether an effect gets exactly one answer; watches do not.
func answered(f unit.Effect) bool {
	switch f.(type) {
	case unit.WatchPath, unit.UnwatchPath, unit.WatchFD, unit.UnwatchFD:
		return false
	}
	return true
}

// manage asks for an effect of the engine itself on behalf of a unit; it is recorded like
// the unit's own.
func (e *Engine) manage(x *entry, f unit.Effect) {
	x.seq++
	e.emit(x, unit.Emitted{Seq: x.seq, Effect: f})
}

// stateMayHaveChanged compares x's state with the last one seen, and queues what a change means.
func (e *Engine) stateMayHaveChanged(x *entry) {
	old, now := x.state, deadState
	switch {
	case x.u != nil:
		now = x.u.State()
	case old.Active != unit.Inactive: // its code failed, or its file went while it ran
		now = orphanState
	}
	if old == now {
		return
	}
	e.setState(x, now)
	e.touch(x)
	if now.Active.IsDown() { // its next processes are where its present settings say, which a new core would find, too
		e.place(x)
	}
	e.noteState(x, old.Active, now.Active)
	e.stamp(x, old.Active, now.Active)
	e.publish(UnitChanged{x.name, old, now})
	unexpected := e.unexpected(x) || x.resting()
	e.settle(x)
	if x.job != nil && !x.job.running {
		e.queueRun(x)
	}
	if unexpected {
		e.retroactive(x, old.Active, now.Active)
	}
	e.consequences(x, old, now)
	for _, r := range [...]unit.Relation{unit.Triggers, unit.TriggeredBy, unit.BoundBy} {
		e.tellPeers(x, r, old, now)
	}
}

// tellPeers queues the news of x's change for its neighbours of relation r.
func (e *Engine) tellPeers(x *entry, r unit.Relation, old, now unit.State) {
	for _, p := range x.edges[r] {
		if p.to.u != nil {
			e.followUp(peerLater{p.to, x.name, r.Inverse(), old, now})
		}
	}
}

// tellTriggers lets a unit that triggers x look again when a job of x ended badly, which
// need not have changed x's state: a socket must not wait for ever for its service.
func (e *Engine) tellTriggers(x *entry) { e.tellPeers(x, unit.TriggeredBy, x.state, x.state) }

// setState is the only place that sets a unit's state.
func (e *Engine) setState(x *entry, s unit.State) {
	if x.state.Active == unit.Failed {
		e.failed--
	}
	if s.Active == unit.Failed {
		e.failed++
	}
	x.state = s
}

func (e *Engine) stamp(x *entry, old, now unit.ActiveState) {
	t := &x.times
	t.StateChange = e.now
	if old.IsDown() && !now.IsDown() {
		t.InactiveExit = e.now
	}
	if !old.IsDown() && now.IsDown() {
		t.InactiveEnter = e.now
	}
	if !old.IsUp() && now.IsUp() {
		t.ActiveEnter = e.now
	}
	if old.IsUp() && !now.IsUp() {
		t.ActiveExit = e.now
	}
}

// unexpected reports whether the present change of state was not asked for by a job.
func (e *Engine) unexpected(x *entry) bool {
	j := x.job
	if j == nil || !j.running {
		return true
	}
	a := x.state.Active
	switch j.typ {
	case unit.JobStart, unit.JobVerifyActive:
		return a == unit.Deactivating
	case unit.JobStop, unit.JobRestart:
		return !a.IsDown() && a != unit.Deactivating
	}
	return a.IsDown() || a == unit.Deactivating
}

// retroactive does for a change that nobody asked for what a job would have done.
func (e *Engine) retroactive(x *entry, old, now unit.ActiveState) {
	switch {
	case old.IsDown() && !now.IsDown():
		for _, r := range [...]unit.Relation{unit.Requires, unit.BindsTo, unit.Wants, unit.Upholds} {
			mode := unit.ModeReplace
			if r == unit.Wants || r == unit.Upholds {
				mode = unit.ModeFail
			}
			for _, d := range x.edges[r] {
				if d.to.state.Active.IsDown() && !x.hasEdge(unit.After, d.to) {
					e.nextTurn(jobLater{d.to.name, unit.JobStart, mode, "needed by " + string(x.name), byChange(x, r)})
				}
			}
		}
		for _, d := range x.edges[unit.Conflicts] {
			if !d.to.state.Active.IsDown() {
				e.nextTurn(jobLater{d.to.name, unit.JobStop, unit.ModeReplace, "conflicts with " + string(x.name), byChange(x, unit.Conflicts)})
			}
		}
	case !old.IsDown() && old != unit.Deactivating && (now.IsDown() || now == unit.Deactivating || x.resting()):
		for _, d := range x.edges[unit.BoundBy] {
			if !d.to.state.Active.IsDown() && d.to.state.Active != unit.Deactivating {
				e.nextTurn(jobLater{d.to.name, unit.JobStop, unit.ModeReplace, "bound to " + string(x.name), byChange(x, unit.BoundBy)})
			}
		}
	}
}

// consequences are the settings that react to a unit's end.
func (e *Engine) consequences(x *entry, old, now unit.State) {
	if now.Active == unit.Failed && old.Active != unit.Failed {
		e.triggerAll(x, unit.OnFailure, x.common.OnFailureJobMode)
		if !x.limited {
			e.machineAction(x, "FailureAction", x.common.FailureAction, x.common.FailureActionExit, string(x.name)+" failed")
		}
	}
	if now.Active == unit.Inactive && old.Active != unit.Inactive {
		if old.Active != unit.Failed && old.Sub != autoRestart && x.condition {
			e.triggerAll(x, unit.OnSuccess, x.common.OnSuccessJobMode)
			e.machineAction(x, "SuccessAction", x.common.SuccessAction, x.common.SuccessActionExit, string(x.name)+" ended")
		}
	}
	if !now.Active.IsUp() && old.Active.IsUp() || now.Active.IsDown() {
		e.checkNeeded(x)
	}
	if now.Active == unit.Active {
		e.stopUnneeded(x)
	}
	if !now.Active.IsDown() && old.Active.IsDown() {
		x.limited = false
	}
	if now.Active.IsDown() && !old.Active.IsDown() && x.job == nil {
		for _, d := range x.edges[unit.UpheldBy] {
			if d.to.state.Active.IsUp() {
				e.nextTurn(jobLater{x.name, unit.JobStart, unit.ModeFail, "upheld by " + string(d.to.name), byChange(d.to, unit.Upholds)})
			}
		}
	}
}

// checkNeeded stops units with StopWhenUnneeded= that x no longer needs.
func (e *Engine) checkNeeded(x *entry) {
	for _, r := range [...]unit.Relation{unit.Requires, unit.Requisite, unit.Wants, unit.BindsTo} {
		for _, d := range x.edges[r] {
			e.stopUnneeded(d.to)
		}
	}
}

func (e *Engine) stopUnneeded(y *entry) {
	if y.common.StopWhenUnneeded && y.state.Active.IsUp() && y.job == nil && !e.needed(y) {
		e.nextTurn(jobLater{y.name, unit.JobStop, unit.ModeFail, "not needed any more", Cause{Kind: CauseUnneeded}})
	}
}

// autoRestart is the sub state of a service that is down and will start again by itself. It counts as
// activating; systemd lets it pass through failed or inactive on its way, and what hangs on that
// is done here when it arrives.
const autoRestart = "auto-restart"

func (x *entry) resting() bool {
	return x.state.Active == unit.Activating && x.state.Sub == autoRestart
}

func (e *Engine) needed(y *entry) bool {
	for _, r := range [...]unit.Relation{unit.RequiredBy, unit.RequisiteOf, unit.WantedBy, unit.BoundBy} {
		for _, d := range y.edges[r] {
			if !d.to.state.Active.IsDown() || d.to.job != nil {
				return true
			}
		}
	}
	return false
}

func (e *Engine) triggerAll(x *entry, r unit.Relation, mode unit.JobMode) {
	for _, d := range x.edges[r] {
		e.nextTurn(jobLater{d.to.name, unit.JobStart, mode, r.String() + " of " + string(x.name), byChange(x, r)})
	}
}

// indexProcs keeps the maps from PIDs and control groups to units in step with x.
func (e *Engine) indexProcs(x *entry) {
	if x.cgroup != "" && e.cgs[x.cgroup] != x {
		e.cgs[x.cgroup] = x
	}
	e.procScratch = e.procScratch[:0]
	if h, ok := x.u.(unit.ProcHolder); ok {
		h.Procs(e.collectProc)
	}
	if slices.Equal(e.procScratch, x.procs) {
		return
	}
	for _, p := range x.procs {
		if e.procs[p.Proc.PID] == x {
			delete(e.procs, p.Proc.PID)
		}
	}
	x.procs = slices.Clone(e.procScratch)
	for _, p := range x.procs {
		e.procs[p.Proc.PID] = x
	}
}

// peers is the view of other units that a Tx carries.
type peers struct {
	e *Engine
	x *entry
}

// Peer finds a unit by name.
func (p peers) Peer(n unit.Name) (unit.Peer, bool) {
	y := p.e.lookup(n)
	if y == nil {
		return unit.Peer{}, false
	}
	out := unit.Peer{Name: y.name, State: y.state, Limited: y.limited}
	if y.job != nil {
		out.Job = y.job.typ
	}
	if h, ok := y.u.(unit.FDHolder); ok {
		out.FDs = h.FDs()
	}
	return out, true
}

// Related lists the names of one relation.
func (p peers) Related(r unit.Relation) []unit.Name { return p.x.related(r) }
