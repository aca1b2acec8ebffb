package core

import (
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Where the engine writes down what changed and why.

// causeOf says what the event means as a cause.
func (e *Engine) causeOf(x *entry, ev unit.Event) Cause {
	switch ev := ev.(type) {
	case unit.Exited:
		c := Cause{Kind: CauseExit, PID: int32(ev.Proc.PID), Code: ev.Exit.Code, Status: int32(ev.Exit.Status)}
		for i := range x.procs {
			if x.procs[i].Proc.PID == ev.Proc.PID {
				c.Text = x.procs[i].Role
			}
		}
		if n := len(x.changes); n > 0 && ev.Exit.Code != unit.ExitExited && x.changes[n-1].Kind == ChangeKill && int(x.changes[n-1].Status) == ev.Exit.Status {
			c.Change = x.changes[n-1].N
		}
		return c
	case unit.TimerFired:
		return Cause{Kind: CauseTimeLimit, Text: ev.ID}
	case unit.OOM:
		return Cause{Kind: CauseOOM}
	case unit.Spawned:
		if ev.Err != nil {
			return Cause{Kind: CauseSetup, Text: ev.Err.Error()}
		}
	case unit.Execed:
		if ev.Err != nil {
			return Cause{Kind: CauseSetup, Text: ev.Err.Error()}
		}
	case unit.Done:
		if ev.Err != "" {
			return Cause{Kind: CauseSetup, Text: ev.Err}
		}
	case unit.PIDRead:
		if ev.Err != "" {
			return Cause{Kind: CauseSetup, Text: ev.Err}
		}
	case unit.Notified:
		return Cause{Kind: CauseNotify}
	case unit.CgroupEmpty:
		return Cause{Kind: CauseEmpty}
	case unit.FDReady, unit.PathChanged:
		return Cause{Kind: CauseActivity}
	case unit.PeerChanged:
		c := Cause{Kind: CauseUnit, Unit: ev.Peer, Rel: ev.Rel.Inverse()}
		if y := e.lookup(ev.Peer); y != nil {
			c.Change = y.last()
		}
		return c
	case unit.Recovered:
		return Cause{Kind: CauseRecovery}
	case unit.Request:
		switch ev.Kind {
		case unit.RequestStartLimitHit:
			return Cause{Kind: CauseStartLimit}
		case unit.RequestResetFailed, unit.RequestKill:
			return Cause{Kind: CauseUnit, Unit: x.name, Change: x.last()}
		}
	}
	return Cause{}
}

// noteState writes down that x's state changed. What a running job brings about is told by the job's
// entry; why it fails is added there.
func (e *Engine) noteState(x *entry, old, now unit.ActiveState) {
	wrong := now == unit.Failed || now == unit.Deactivating || x.resting()
	if j := x.job; j != nil && j.running {
		if wrong && (now == unit.Failed || !stopsFirst(j.typ)) {
			e.detail(j, e.because.words())
		}
		return
	}
	if old == now && !x.resting() || old.IsUp() && now.IsUp() {
		return
	}
	over := now.IsUp() || now.IsDown() || x.resting()
	n := len(x.changes)
	if n > 0 && x.changes[n-1].Kind == ChangeState && x.changes[n-1].Open() {
		e.amend(x, n-1, func(c *Change) { e.reached(c, now, over) })
		return
	}
	c := Change{Kind: ChangeState, By: e.because}
	e.reached(&c, now, over)
	e.note(x, c)
}

func (e *Engine) reached(c *Change, now unit.ActiveState, over bool) {
	c.State = now
	if over {
		c.Ended = e.now.Mono
	}
}

// detail says more about how j ends; the first word counts.
func (e *Engine) detail(j *job, text string) {
	for i := len(j.x.changes) - 1; i >= 0 && text != ""; i-- {
		c := &j.x.changes[i]
		if c.Kind == ChangeJob && c.Job == j.id && c.Open() {
			if c.Detail == "" {
				e.amend(j.x, i, func(c *Change) { c.Detail = text })
			}
			return
		}
	}
}

// noteJob writes down that a job was queued, or that a queued one became t for another reason.
func (e *Engine) noteJob(j *job, t unit.JobType, op *OpJob, by Cause) {
	e.note(j.x, Change{Kind: ChangeJob, Type: t, Mode: op.Mode, Job: j.id, State: j.x.state.Active, By: by})
}

// noteEnd writes down how a job ended.
func (e *Engine) noteEnd(j *job, result unit.JobResult) {
	x := j.x
	list := make([]Change, 0, len(x.changes))
	for _, c := range x.changes {
		if j.idle && c.Idle {
			continue // one is enough
		}
		if c.Kind == ChangeJob && c.Job == j.id && c.Open() {
			c.Result, c.State, c.Ended, c.Idle = result, x.state.Active, e.now.Mono, j.idle
		}
		list = append(list, c)
	}
	x.changes = list
}

// noteRequest writes down what a client did to a unit without a job. Doing it again and again leaves one entry.
func (e *Engine) noteRequest(x *entry, r *Request, c Change) {
	c.By, c.Ended, c.State = e.causeOfRequest(r), e.now.Mono, x.state.Active
	if n := len(x.changes); n > 0 && x.changes[n-1].Kind == c.Kind && x.changes[n-1].Status == c.Status && c.Kind != ChangeCancel {
		c.N, c.Real, c.Mono = x.changes[n-1].N, e.now.Real, e.now.Mono
		e.amend(x, n-1, func(old *Change) { *old = c })
		return
	}
	e.note(x, c)
}

// causeOfRequest says who asked.
func (e *Engine) causeOfRequest(r *Request) Cause {
	if r.by.Kind != CauseUnknown {
		return r.by
	}
	caller := r.Caller
	return Cause{Kind: CauseClient, Caller: &caller, Text: r.Words}
}

// causeIn says why the plan has j: the request for its own unit, else the job that pulled it in, and is
// nearest to the request. A unit in between that is up already has no job: it is named in Text.
func (p *plan) causeIn(j *planned, root Cause) Cause {
	if j.x == p.anchor.x {
		return root
	}
	var through []string
	var first *pull
	for at := j; len(through) < maxChanges; {
		by := at.nearest()
		if by == nil {
			break
		}
		if first == nil {
			first = by
		}
		if y := by.p.x; p.merged[y] != nil {
			c := Cause{Kind: CauseUnit, Unit: y.name, Rel: first.rel, Text: strings.Join(through, ", ")}
			if first.isolate {
				c.Kind = CauseIsolate
			}
			if y.job != nil {
				c.Change = y.lastOf(y.job.id)
			}
			return c
		}
		through = append(through, string(by.p.x.name))
		at = by.p
	}
	return root
}

// nearest is the edge to the job that pulled j in and is nearest to the request.
func (j *planned) nearest() (best *pull) {
	for i := range j.in {
		if q := &j.in[i]; !q.p.dead && q.p.depth < j.depth && (best == nil || q.p.depth < best.p.depth) {
			best = q
		}
	}
	return best
}

// noteQuarantine writes down, once, that x brought the manager down.
func (e *Engine) noteQuarantine(x *entry) {
	n := len(x.changes)
	if x.untouched() || n > 0 && x.changes[n-1].By.Kind == CauseQuarantine {
		return
	}
	e.note(x, Change{Kind: ChangeState, State: x.state.Active, Ended: e.now.Mono, By: Cause{Kind: CauseQuarantine, Text: x.quar.note.what()}})
}

// closeLost ends the entries of jobs that were lost with a part of x's record.
func (e *Engine) closeLost(x *entry) {
	for i := range x.changes {
		if c := &x.changes[i]; c.Kind == ChangeJob && c.Open() && (x.job == nil || x.job.id != c.Job) {
			e.amend(x, i, func(c *Change) {
				c.Result, c.Ended, c.State, c.Detail = unit.JobCanceled, e.now.Mono, x.state.Active, "its job was lost"
			})
		}
	}
}
