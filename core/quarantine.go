package core

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Poison is what the core dies of each time: an event that a kind's code goes into a loop over, a
// stored state that it crashes on, an effect whose execution hangs. After poisonDeaths of them it is
// quarantined:
//
//   - A unit keeps its processes, its descriptors and its stored state, all untouched. It handles
//     nothing: events for it are consumed, jobs on it fail, what is not known of its effects stays
//     open. It shows as failed, and nothing is made to follow from that: nothing that needs it
//     is stopped.
//   - A request is refused, a signal is dropped, a job ends in failure.
//
// reset-failed lifts it: the unit is restored and recovers by itself, as all do after a crash.
//
// A death about which the recorder says nothing of the kind - in the store, in the graph, before there
// was a recorder - condemns nobody: init's retry budget and the rescue that follows are for those. The recorder
// knows the loop only. Whoever works beside it for a unit or a client catches his own panics (core/sys/linux,
// core/control); a fatal error of Go's runtime there is nobody's, or that of what the loop did at that moment.

// Quarantine says that the core keeps its hands off a unit.
type Quarantine struct {
	What   string // what the core died of: "handling Notified"
	Deaths int
	Since  unit.Stamp
}

func (q *Quarantine) String() string {
	return fmt.Sprintf("quarantined: the manager died %d times %s; reset-failed lifts it", q.Deaths, q.What)
}

// quarantine is a Quarantine as the engine has it.
type quarantine struct {
	note
	deaths int
	since  unit.Stamp

	unknown record.Unknown // of a newer version
}

func (q *quarantine) public() *Quarantine {
	return &Quarantine{What: q.what(), Deaths: q.deaths, Since: q.since}
}

// quarantineState is how a quarantined unit shows.
var quarantineState = unit.State{Active: unit.Failed, Sub: "quarantined", Result: "quarantine"}

const (
	quarantineKey     = "quarantine" // of the record, in state.Meta
	quarantineVersion = 1
	maxPoison         = 64 // requests, jobs and signals; the oldest is forgotten
)

// condemn takes over what the recorder found. It comes before anything is read.
func (e *Engine) condemn() {
	if e.rec == nil {
		return
	}
	if s := e.rec.last; s != nil && (s.deaths < poisonDeaths || !s.condemns()) {
		e.say(unit.LevelWarning, unit.Name(s.name), "the manager died "+s.what()+" ("+strconv.Itoa(s.deaths)+" of "+strconv.Itoa(poisonDeaths)+")")
	}
	for i := range e.rec.suspects {
		s := &e.rec.suspects[i]
		if s.deaths < poisonDeaths || !s.condemns() {
			continue
		}
		q := &quarantine{note: s.note, deaths: s.deaths, since: e.now}
		e.addQuarantine(q)
		e.quarDirty = true
		e.say(unit.LevelErr, unit.Name(q.name), q.public().String())
		e.publish(Quarantined{Unit: unit.Name(q.name), Quarantine: *q.public()})
	}
}

func (e *Engine) addQuarantine(q *quarantine) {
	if q.stage.ofUnit() {
		if e.quar == nil {
			e.quar = make(map[unit.Name]*quarantine)
		}
		e.quar[unit.Name(q.name)] = q
		return
	}
	if e.poison(&q.note) == nil {
		if len(e.poisons) == maxPoison {
			e.poisons = e.poisons[1:]
		}
		e.poisons = append(e.poisons, q)
	}
}

// poison is why n is not done; nil nearly always.
func (e *Engine) poison(n *note) *quarantine {
	for _, q := range e.poisons {
		if q.stage == n.stage && q.kind == n.kind && q.id == n.id && q.name == n.name {
			return q
		}
	}
	return nil
}

// confine makes x a quarantined unit, if it is to be one. Its machine is not made.
func (e *Engine) confine(x *entry) bool {
	q := e.quar[x.name]
	if q == nil {
		return false
	}
	x.quar, x.u = q, nil
	e.setState(x, quarantineState)
	return true
}

// restoreConfined is restore for a quarantined unit: only the engine's share of it is read, or, if that
// was the poison, not even that.
func (e *Engine) restoreConfined(x *entry, data []byte) {
	if x.quar.stage == stageDecode {
		x.verbatim = slices.Clone(data)
		return
	}
	s, err := decodeUnit(data, x, e.shared)
	e.setState(x, quarantineState)
	x.saved = s
	if err != nil {
		x.verbatim = slices.Clone(data)
	}
}

// untouched: x's record must stay as it is.
func (x *entry) untouched() bool { return x.verbatim != nil }

// lift ends x's quarantine and recovers x alone.
func (e *Engine) lift(x *entry) {
	q := x.quar
	delete(e.quar, x.name)
	x.quar = nil
	e.quarDirty = true
	e.rec.drop(func(s *suspect) bool { return s.stage.ofUnit() && s.name == string(x.name) })
	e.say(unit.LevelNotice, x.name, "quarantine lifted")
	if data := x.verbatim; data != nil {
		x.verbatim = nil
		x.pending, x.timers, x.starts = nil, nil, nil
		e.restore(x, x.spec, data, new(decodedUnit), true)
	} else {
		e.setState(x, deadState)
		e.setSpecOnly(x, x.spec)
		e.decodeShare(x)
		e.remake(x, x.saved)
		if !x.saved.hasUnit && x.u == nil && !x.orphaned() { // it never had a machine
			e.fresh(x)
		}
	}
	if x.u != nil {
		x.saved = stored{}
		e.setState(x, x.u.State())
	}
	e.touch(x)
	e.relink()
	e.publish(UnitChanged{x.name, quarantineState, x.state})
	e.reindex(x)
	for _, em := range slices.Clone(x.pending) {
		f := finding{x: x, em: em, in: e.intent(x, em)}
		if q.stage == stageAct && q.arg == em.Seq {
			f.out = sys.Outcome{State: sys.Done, Event: failedAnswer(em, "the manager died of it")}
		} else {
			f.out = e.look(x, f.in)
		}
		e.repairOne(f)
	}
	e.reconnectOne(x)
}

// pardon forgets poisoned requests, jobs and signals, and all suspicion.
func (e *Engine) pardon() {
	if len(e.poisons) > 0 {
		e.poisons, e.quarDirty = nil, true
	}
	e.rec.drop(func(s *suspect) bool { return !s.stage.ofUnit() || e.quar[unit.Name(s.name)] == nil })
}

// encodeQuarantine adds the record of all quarantines to the commit.
func (e *Engine) encodeQuarantine() {
	r := state.Record{Segment: state.Meta, Key: quarantineKey, Version: e.formats.version("quarantine")}
	if len(e.quar)+len(e.poisons) > 0 {
		var enc record.Encoder
		for _, n := range slices.Sorted(maps.Keys(e.quar)) {
			enc.Message(1, func(enc *record.Encoder) { enc.Encode(e.quar[n].layout) })
		}
		for _, q := range e.poisons {
			enc.Message(1, func(enc *record.Encoder) { enc.Encode(q.layout) })
		}
		r.Data = enc.Data()
	}
	e.records = append(e.records, r)
}

// quarantineStored: the page need not remember any more what the store does. What the store itself
// cannot be read for stays in both.
func (e *Engine) quarantineStored() {
	if e.quarDirty {
		e.quarDirty = false
		e.rec.drop(func(s *suspect) bool { return s.deaths >= poisonDeaths && s.condemns() && s.stage != stageDecode })
	}
}

// layout tells the fields, whose tags are never used twice.
func (q *quarantine) layout(w *record.Walk) {
	record.WalkUint(w, 1, &q.stage)
	record.WalkUint(w, 2, &q.kind)
	record.WalkUint(w, 3, &q.id)
	record.WalkUint(w, 4, &q.arg)
	record.WalkString(w, 5, &q.name)
	record.WalkInt(w, 6, &q.deaths)
	record.WalkInt(w, 7, &q.since.Real)
	record.WalkInt(w, 8, &q.since.Mono)
	record.WalkInt(w, 9, &q.since.Boot)
	w.Unknown(&q.unknown)
}

// readQuarantine reads the record; one that cannot be read quarantines nothing.
func (e *Engine) readQuarantine(data []byte) {
	err := record.Decode(data, func(f record.Field) error {
		if f.Tag != 1 {
			return nil
		}
		q := new(quarantine)
		if err := f.Walk(q.layout); err != nil {
			return err
		}
		if _, err := unit.ParseName(q.name); q.name != "" && err != nil {
			return nil
		}
		if q.stage < numStages && q.condemns() && (q.stage.ofUnit() && e.quar[unit.Name(q.name)] == nil || !q.stage.ofUnit()) {
			e.addQuarantine(q)
		}
		return nil
	})
	if err != nil {
		e.say(unit.LevelErr, "", "cannot read what is quarantined: "+err.Error())
	}
}

// refusal is the error of what is not done because of q.
func (q *quarantine) refusal(n unit.Name) error {
	p := q.public()
	return &RequestError{n, ErrQuarantined, "the manager died " + strconv.Itoa(p.Deaths) + " times " + p.What + "; reset-failed lifts it"}
}
