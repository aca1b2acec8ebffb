package core

import (
	"math"
	"strconv"
	"time"

	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

// job is the one job that a unit may have. It waits until nothing that is ordered
// before it has a job left, then runs until the unit's state says how it ended.
type job struct {
	id           JobID
	x            *entry
	typ          unit.JobType
	running      bool
	checking     bool // conditions are being evaluated
	irreversible bool
	ignoreOrder  bool
	began        time.Duration // monotonic, when it was queued
	deadline     time.Duration // 0: none; the time it must have ended
	waitsOn      *entry        // a hint: the unit whose job was last seen in the way
	idle         bool          // it found everything as it wants it

	unknown record.Unknown // of a newer version
}

func (j *job) view() JobView {
	return JobView{ID: j.id, Unit: j.x.name, Type: j.typ, Running: j.running, Unordered: j.ignoreOrder}
}

// stopsFirst reports whether a job of type t takes its unit down before anything else.
func stopsFirst(t unit.JobType) bool { return t == unit.JobStop || t == unit.JobRestart }

// waitsFor reports whether job j must wait for job o of a unit that is ordered after
// (after=true: j's unit is After o's) or before j's. A stop always goes first; of two
// that start, the earlier unit goes first; of two that stop, the later one.
func waitsFor(j, o *job, after bool) bool {
	return !j.ignoreOrder && !o.ignoreOrder && goesFirst(j.typ, o.typ, after)
}

// goesFirst is waitsFor for the types alone: a job of type o goes before one of type t.
func goesFirst(t, o unit.JobType, after bool) bool {
	if after {
		return !stopsFirst(t)
	}
	return stopsFirst(o)
}

// blocked reports whether an ordered job is still in the way of j. It first asks the one
// that was in the way last, so that a target is not searched for each of its members.
func blocked(j *job) bool {
	if y := j.waitsOn; y != nil && y.job != nil && y != j.x && (j.x.hasEdge(unit.After, y) && waitsFor(j, y.job, true) ||
		j.x.hasEdge(unit.Before, y) && waitsFor(j, y.job, false)) {
		return true
	}
	j.waitsOn = nil
	for _, n := range j.x.edges[unit.After] {
		if n.to.job != nil && waitsFor(j, n.to.job, true) {
			j.waitsOn = n.to
			return true
		}
	}
	for _, n := range j.x.edges[unit.Before] {
		if n.to.job != nil && waitsFor(j, n.to.job, false) {
			j.waitsOn = n.to
			return true
		}
	}
	return false
}

// tryRun starts the unit's job if nothing is in its way.
func (e *Engine) tryRun(x *entry) {
	j := x.job
	if j == nil || j.running || blocked(j) {
		return
	}
	n := note{stage: stageJob, kind: uint8(j.typ), name: string(x.name)}
	if e.poison(&n) != nil || x.quar != nil {
		e.say(unit.LevelErr, x.name, j.typ.String()+" job cannot run: the manager died of it, or of the unit; reset-failed lifts that")
		e.finish(j, unit.JobFailed)
		return
	}
	outer := e.rec.begin(n)
	e.runJob(j)
	e.rec.end(outer)
}

func (e *Engine) runJob(j *job) {
	x := j.x
	j.running = true
	e.jobChanged(x)
	e.armJob(j, x.common.JobRunningTimeout)
	switch j.typ {
	case unit.JobStart:
		e.runStart(j)
	case unit.JobVerifyActive:
		e.settle(x)
	case unit.JobStop, unit.JobRestart:
		e.runStop(j)
	case unit.JobReload:
		e.runReload(j)
	}
}

func (e *Engine) runStart(j *job) {
	x := j.x
	switch {
	case x.clearing():
		j.running = false
		e.jobChanged(x)
	case x.u == nil:
		e.finish(j, unit.JobFailed)
	case x.state.Active.IsUp():
		j.idle = true
		e.finish(j, unit.JobDone)
	case x.state.Active == unit.Activating && !x.resting():
		// It is on its way for another reason: the job ends when it arrives.
	case x.state.Active == unit.Deactivating:
		// A unit takes a start when it is down; the job is looked at again at each change.
		j.running = false
		e.jobChanged(x)
	case !e.boundPeersUp(x):
		e.finish(j, unit.JobDependency)
	case len(x.common.Conditions) > 0:
		j.checking = true
		e.manage(x, checkEffect(x.common.Conditions))
	default:
		e.begin(j)
	}
}

// boundPeersUp holds systemd's rule that a unit which is bound to, and ordered after, another
// does not start while that one is down.
func (e *Engine) boundPeersUp(x *entry) bool {
	for _, b := range x.edges[unit.BindsTo] {
		if x.hasEdge(unit.After, b.to) && !b.to.state.Active.IsUp() {
			return false
		}
	}
	return true
}

// checked continues a start whose conditions were evaluated.
func (e *Engine) checked(x *entry, results []bool) {
	ok, asserted := conditionsMet(x.common.Conditions, results)
	x.condition, x.assert = ok, asserted
	x.times.Condition, x.times.Assert = e.now, e.now
	e.touch(x)
	j := x.job
	if j == nil || !j.checking {
		return
	}
	j.checking = false
	switch {
	case !ok:
		e.detail(j, unmet(x.common.Conditions, results, false))
		e.handle(x, unit.Request{Kind: unit.RequestConditionFailed})
		if x.job == j {
			e.finish(j, unit.JobDone) // man systemd.unit(5): skipped, and that is no failure
		}
	case !asserted:
		e.detail(j, unmet(x.common.Conditions, results, true))
		e.say(unit.LevelErr, x.name, "assertion failed, not started")
		e.finish(j, unit.JobAssert)
	default:
		e.begin(j)
	}
}

// begin hands a start to the unit, within the start limit.
func (e *Engine) begin(j *job) {
	x := j.x
	if x.typ.StartLimit && !e.withinStartLimit(x) {
		e.say(unit.LevelErr, x.name, "start request repeated too quickly")
		x.limited = true
		e.detail(j, "it was started too often in a short time (StartLimitBurst="+strconv.Itoa(x.common.StartLimitBurst)+")")
		e.handle(x, unit.Request{Kind: unit.RequestStartLimitHit})
		e.machineAction(x, "StartLimitAction", x.common.StartLimitAction, -1, string(x.name)+": start limit hit")
		if x.job == j {
			e.finish(j, unit.JobFailed)
		}
		return
	}
	x.invocation = e.newInvocation(x)
	e.handle(x, unit.Start{})
	e.settle(x)
}

// withinStartLimit counts one start and reports whether it is allowed (StartLimitBurst= within
// StartLimitIntervalSec=).
func (e *Engine) withinStartLimit(x *entry) bool {
	n, window := x.common.StartLimitBurst, x.common.StartLimitInterval
	if n <= 0 || window <= 0 {
		return true
	}
	keep := x.starts[:0]
	for _, t := range x.starts {
		if e.now.Mono-t < window {
			keep = append(keep, t)
		}
	}
	x.starts = keep
	if len(x.starts) >= n {
		return false
	}
	x.starts = append(x.starts, e.now.Mono)
	if i := len(x.changes) - 1; i >= 0 && x.job != nil && x.changes[i].Job == x.job.id {
		e.amend(x, i, func(c *Change) { c.Starts = uint16(min(len(x.starts), math.MaxUint16)) })
	}
	return true
}

func (e *Engine) runStop(j *job) {
	x := j.x
	if x.orphaned() {
		e.revive(x) // and may have ended the job thereby
	}
	if x.clearing() || x.job != j {
		return
	}
	if x.u == nil || x.state.Active.IsDown() {
		j.idle = j.typ == unit.JobStop
		e.settle(x)
		return
	}
	e.handle(x, unit.Stop{})
	e.settle(x)
}

func (e *Engine) runReload(j *job) {
	x := j.x
	if x.u == nil || x.state.Active != unit.Active {
		e.finish(j, unit.JobInvalid)
		return
	}
	e.handle(x, unit.Reload{})
	e.settle(x)
}

// settle ends the unit's job if the unit's state says that it is over. It is called after
// everything that may have changed the state.
func (e *Engine) settle(x *entry) {
	j := x.job
	if j == nil || !j.running || j.checking {
		return
	}
	a := x.state.Active
	switch j.typ {
	case unit.JobStart, unit.JobVerifyActive:
		switch {
		case a.IsUp():
			e.finish(j, unit.JobDone)
		case a == unit.Failed:
			e.finish(j, unit.JobFailed)
		case x.resting():
			e.finish(j, unit.JobFailed) // this attempt is over; the next one is a job of its own
		case a == unit.Inactive && j.typ == unit.JobStart:
			e.finish(j, unit.JobDone) // a oneshot that ran through
		case a == unit.Inactive:
			e.finish(j, unit.JobSkipped)
		}
	case unit.JobStop, unit.JobRestart:
		if !x.clearing() && (a.IsDown() || x.u == nil) {
			e.finish(j, unit.JobDone)
		}
	case unit.JobReload:
		if a.IsDown() {
			e.finish(j, unit.JobFailed)
		}
	}
}

// finish ends a job. What follows from it - the jobs of dependants, those that waited - is
// queued, never called.
func (e *Engine) finish(j *job, result unit.JobResult) {
	x := j.x
	if x.job != j {
		return
	}
	if j.typ == unit.JobRestart && result == unit.JobDone {
		e.jobChanged(x)
		j.typ, j.running, j.deadline = unit.JobStart, false, 0
		e.armJob(j, x.common.JobTimeout)
		e.queueRun(x)
		e.queueNeighbours(x)
		return
	}
	e.remove(j, result)
	if result != unit.JobDone && result != unit.JobCanceled {
		e.say(unit.LevelWarning, x.name, j.typ.String()+" job ended: "+result.String())
	}
	starts := j.typ == unit.JobStart || j.typ == unit.JobVerifyActive
	if result != unit.JobDone {
		e.failDependants(x, j.typ)
		e.tellTriggers(x)
		e.checkNeeded(x)
	} else if j.typ == unit.JobStart && !x.state.Active.IsUp() {
		// A oneshot that is over, or a condition not met: nothing to be active for Requisite=.
		e.failJobs(x, unit.RequisiteOf)
	}
	if starts && (result == unit.JobTimeout || result == unit.JobDependency) {
		e.triggerAll(x, unit.OnFailure, x.common.OnFailureJobMode)
	}
}

// jobChanged marks x's job as changed, for the store and for the view.
func (e *Engine) jobChanged(x *entry) {
	e.touch(x)
	e.pub.jobs = true
}

// remove takes a job away. It is the only place that does. A job that is replaced by another
// one ends here, and its dependants live on.
func (e *Engine) remove(j *job, result unit.JobResult) {
	x := j.x
	e.touch(x)
	e.noteEnd(j, result)
	x.job = nil
	delete(e.jobs, j.id)
	e.pub.jobs = true
	v := j.view()
	v.Result = result
	e.publish(JobRemoved{v})
	e.repeats.ended(j.id, result, e.now.Mono)
	e.queueNeighbours(x)
}

// failDependants ends the jobs that needed this one.
func (e *Engine) failDependants(x *entry, t unit.JobType) {
	var rels []unit.Relation
	switch t {
	case unit.JobStart, unit.JobVerifyActive:
		rels = []unit.Relation{unit.RequiredBy, unit.RequisiteOf, unit.BoundBy}
	case unit.JobStop:
		rels = []unit.Relation{unit.ConflictedBy}
	}
	for _, r := range rels {
		e.failJobs(x, r)
	}
}

// failJobs ends the start jobs of x's neighbours of relation r.
func (e *Engine) failJobs(x *entry, r unit.Relation) {
	for _, d := range x.edges[r] {
		if j := d.to.job; j != nil && (j.typ == unit.JobStart || j.typ == unit.JobVerifyActive) {
			e.followUp(finishLater{d.to.name, j.id, unit.JobDependency, "its job needed " + string(x.name)})
		}
	}
}

// queueNeighbours looks again at every job that may have waited for x's.
func (e *Engine) queueNeighbours(x *entry) {
	for _, r := range [...]unit.Relation{unit.Before, unit.After} {
		for _, n := range x.edges[r] {
			if n.to.job != nil && !n.to.job.running {
				e.queueRun(n.to)
			}
		}
	}
}

func (e *Engine) queueRun(x *entry) {
	if !x.inRun {
		x.inRun = true
		e.run = append(e.run, x)
	}
}

// armJob gives a job a deadline if its unit has one.
func (e *Engine) armJob(j *job, d time.Duration) {
	if d == 0 || d == unit.Infinity {
		return
	}
	if at := e.now.Deadline(d); j.deadline == 0 || at < j.deadline {
		j.deadline = at
		e.heapPush(at, j.x, "")
	}
}

// jobTimedOut cancels a job for good: whatever the unit does on its behalf is stopped too.
func (e *Engine) jobTimedOut(j *job) {
	x := j.x
	running, t := j.running, j.typ
	e.say(unit.LevelErr, x.name, t.String()+" job timed out")
	e.finish(j, unit.JobTimeout)
	if running && t == unit.JobStart && x.state.Active == unit.Activating {
		e.followUp(jobLater{x.name, unit.JobStop, unit.ModeReplace, "job timeout", Cause{Kind: CauseJobTimeout}})
	}
	e.machineAction(x, "JobTimeoutAction", x.common.JobTimeoutAction, -1, string(x.name)+": job timed out")
}
