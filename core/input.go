package core

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Follow-ups: what one step of a turn leaves for a later one.
type (
	// finishLater ends a job that may meanwhile have gone.
	finishLater struct {
		unit   unit.Name
		id     JobID
		result unit.JobResult
		detail string
	}
	// jobLater plans a job that no client asked for.
	jobLater struct {
		unit unit.Name
		typ  unit.JobType
		mode unit.JobMode
		why  string // for messages
		by   Cause
	}
	// peerLater tells a unit of another's change.
	peerLater struct {
		to       *entry
		peer     unit.Name
		rel      unit.Relation
		old, now unit.State
	}
	// answerLater is an answer that recovery found.
	answerLater struct {
		to *entry
		ev unit.Event
	}
	// recoveredLater tells a unit that the core was restarted.
	recoveredLater struct {
		to        *entry
		forgetful bool
	}
)

// unpark forgets a follow-up that has been planned or refused.
func (e *Engine) unpark(f jobLater) {
	if i := slices.Index(e.parked, f); i >= 0 {
		e.parked = slices.Delete(e.parked, i, i+1)
		e.metaDirty = true
	}
}

func (e *Engine) doFollowUp(f any) {
	switch f := f.(type) {
	case finishLater:
		if x := e.lookup(f.unit); x != nil && x.job != nil && x.job.id == f.id {
			e.detail(x.job, f.detail)
			e.finish(x.job, f.result)
		}
	case answerLater:
		e.unitInput(&sys.Input{Unit: f.to.name}, f.ev)
	case recoveredLater:
		e.handle(f.to, unit.Recovered{Forgetful: f.forgetful})
	case jobLater:
		e.parked = append(e.parked, f)
		e.metaDirty = true
		e.request(&Request{
			by: f.by,
			Op: OpJob{Unit: f.unit, Type: f.typ, Mode: f.mode},
			settled: func(err error) {
				e.unpark(f)
				if err != nil {
					e.say(unit.LevelWarning, f.unit, f.why+": cannot queue "+f.typ.String()+": "+err.Error())
				}
			},
		})
	case peerLater:
		e.handle(f.to, unit.PeerChanged{Peer: f.peer, Rel: f.rel, Old: f.old, New: f.now})
	}
}

// take gives an input to whom it concerns, and has it acknowledged.
func (e *Engine) take(in *sys.Input) {
	e.input(in)
	if in.ID != 0 {
		e.acks = append(e.acks, in.ID)
	}
}

// tooEarly reports whether an input is a notification that may be of the very process whose Spawned is still on
// its way: its unit does not know it yet and would not listen. It waits for the answer, and stays with its owner
// meanwhile. A Spawn that the store's failure holds back has made no process.
func (e *Engine) tooEarly(in *sys.Input) bool {
	n, ok := in.Body.(unit.Notified)
	if !ok {
		return false
	}
	x := e.owner(in, n)
	if x == nil || x.u == nil || x.quar != nil || x.holds(n.From) {
		return false
	}
	return slices.ContainsFunc(x.pending, func(em unit.Emitted) bool {
		_, spawn := em.Effect.(unit.Spawn)
		return spawn && !slices.ContainsFunc(e.held, func(h sys.Intent) bool { return h.Unit == x.name && h.Seq == em.Seq })
	})
}

// hearEarly takes the notifications that need not wait any more, in their order.
func (e *Engine) hearEarly() {
	if len(e.early) == 0 {
		return
	}
	list := e.early
	e.early = nil
	for i := range list {
		if e.tooEarly(&list[i]) {
			e.early = append(e.early, list[i])
		} else {
			e.take(&list[i])
		}
	}
}

// input gives one input to whom it concerns.
func (e *Engine) input(in *sys.Input) {
	switch b := in.Body.(type) {
	case sys.Loaded:
		e.filesLoaded(b)
	case sys.Checked:
		if x := e.answeredBy(in.Unit, b.Seq); x != nil {
			e.checked(x, b.Results)
		}
	case sys.Signal:
		n := note{stage: stageSignal, kind: uint8(b.Number)}
		if q := e.poison(&n); q != nil {
			e.say(unit.LevelErr, "", "signal "+strconv.Itoa(b.Number)+" is dropped: "+q.public().String())
			return
		}
		outer := e.rec.begin(n)
		e.signal(b.Number)
		e.rec.end(outer)
	case sys.Request:
		if r, ok := b.Body.(*Request); ok {
			e.request(r)
		}
	case unit.Event:
		e.unitInput(in, b)
	}
}

func (e *Engine) unitInput(in *sys.Input, ev unit.Event) {
	if d, ok := ev.(unit.Done); ok && d.Seq == 0 {
		return // to what nobody asked for: reattach
	}
	if seq := answerSeq(ev); seq != 0 {
		x := e.lookup(in.Unit)
		if x == nil || !e.answer1(x, seq) {
			return // answered before: a replay after a crash
		}
		e.handle(x, ev)
		if _, spawned := ev.(unit.Spawned); spawned {
			e.hearEarly() // before what its process did after that
		}
		return
	}
	x := e.owner(in, ev)
	if x != nil {
		if ex, ok := ev.(unit.Exited); ok && x.holds(ex.Proc) {
			x.ended.add(e.turn, ex.Proc)
		}
		e.handle(x, ev)
	}
	if n, ok := ev.(unit.Notified); ok && len(n.FDs) > 0 {
		e.dropUnclaimed(x, n)
	}
}

// dropUnclaimed drops the descriptors of a notification that nobody has asked to be stored or dropped: everybody
// may write to the socket, and what comes with it is held until then. The next core drops them without being told.
func (e *Engine) dropUnclaimed(x *entry, n unit.Notified) {
	var d unit.DropFD
	for _, f := range n.FDs {
		if x == nil || !x.claims(f.Key) {
			d.Keys = append(d.Keys, f.Key)
		}
	}
	if len(d.Keys) > 0 {
		e.intents = append(e.intents, sys.Intent{Effect: d})
	}
}

// claims reports whether x has said what becomes of a descriptor.
func (x *entry) claims(key string) bool {
	return slices.ContainsFunc(x.pending, func(em unit.Emitted) bool {
		switch f := em.Effect.(type) {
		case unit.StoreFD:
			return f.From == key
		case unit.DropFD:
			return slices.Contains(f.Keys, key)
		}
		return false
	})
}

// owner resolves whom an event is for.
func (e *Engine) owner(in *sys.Input, ev unit.Event) *entry {
	if in.Unit != "" {
		return e.lookup(in.Unit)
	}
	switch ev := ev.(type) {
	case unit.Exited:
		if x := e.procs[ev.Proc.PID]; x != nil && x.holds(ev.Proc) {
			return x
		}
	case unit.Notified:
		if x := e.procs[ev.From.PID]; x != nil && x.holds(ev.From) {
			return x
		}
	}
	return e.cgroupOwner(in.CGroup)
}

// cgroupOwner finds the unit of a control group or of the nearest one above it.
func (e *Engine) cgroupOwner(path string) *entry {
	for path != "" {
		if x := e.cgs[path]; x != nil {
			return x
		}
		i := len(path) - 1
		for i >= 0 && path[i] != '/' {
			i--
		}
		if i < 0 {
			return nil
		}
		path = path[:i]
	}
	return nil
}

func (x *entry) holds(p unit.Proc) bool {
	for i := range x.procs {
		q := x.procs[i].Proc
		if q.PID == p.PID && (q.Start == p.Start || p.Start == 0 || q.Start == 0) {
			return true
		}
	}
	return false
}

// answerSeq is the number of the effect that ev answers; 0 for events that answer none. Execed
// is a second word on a Spawn, and stands on its own.
func answerSeq(ev unit.Event) uint64 {
	switch ev := ev.(type) {
	case unit.Spawned:
		return ev.Seq
	case unit.PIDRead:
		return ev.Seq
	case unit.Done:
		return ev.Seq
	}
	return 0
}

// answer1 takes the effect seq off x's list; false if it is not on it.
func (e *Engine) answer1(x *entry, seq uint64) bool {
	if x.quar != nil {
		return false // what is open stays open until the quarantine is lifted
	}
	for i := range x.pending {
		if x.pending[i].Seq != seq {
			continue
		}
		x.pending = append(x.pending[:i], x.pending[i+1:]...)
		delete(x.asRead, seq)
		e.touch(x)
		return true
	}
	return false
}

// answeredBy is answer1 for the engine's own effects.
func (e *Engine) answeredBy(n unit.Name, seq uint64) *entry {
	x := e.lookup(n)
	if x == nil || !e.answer1(x, seq) {
		return nil
	}
	return x
}

func panicText(p any) string { return fmt.Sprint(p) }
