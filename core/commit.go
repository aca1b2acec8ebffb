package core

import (
	"errors"
	"slices"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/unit"
)

// When the store refuses, stopping must go on and starting must not. Three cases:
//
//   - The store has a reserve, and takes commits after UseReserve. Everything is still recorded, but
//     new start requests are refused, and spawns held, until the store is whole again.
//   - The reserve is used up, or nothing can be written at all. A state.Log takes commits nevertheless and keeps
//     them in memory. Inputs are acknowledged: notifications that stay in their socket would close it to all others,
//     watchdogs' too, and init ends the machine itself, and at once, if the core does not take the signal that
//     asks for that. If the core dies before they are written, what they say is forgotten, but that signal: init
//     has it carried out after its EndTimeout.
//   - The store does not even do that (state.LimitError, or another Store). Then nothing is recorded: all that
//     changed stays dirty for the next turn, inputs are acted on and not acknowledged, so that a new core would
//     see them again, and the view shows what is true rather than what is recorded.
//
// In all of them what stops, kills or takes the machine down is done. A start belongs to that only as a part of a
// transaction that takes the machine down; that it was asked for in a mode that such transactions use says nothing.

// commit is step 3. It reports whether anything was written.
func (e *Engine) commit() bool {
	if len(e.dirty) == 0 && !e.metaDirty && len(e.gone) == 0 && !e.quarDirty && !e.repeats.changed() {
		e.lookAtStore()
		return false
	}
	e.encodeDirty()
	wrote := len(e.records) > 0
	err := e.record()
	for _, x := range e.dirty {
		e.pub.changed(x.index)
	}
	if e.unsaved = err != nil; err != nil {
		e.storeFailed(err)
		return false
	}
	for _, x := range e.dirty {
		x.dirty, x.specDirty = false, false
	}
	e.dropBuffers()
	clear(e.dirty)
	e.dirty, e.gone = e.dirty[:0], e.gone[:0]
	e.metaDirty = false
	e.quarantineStored()
	e.repeats.committed()
	e.lookAtStore()
	return wrote
}

// record gives the store what was encoded. That may be nothing: some units' records stay as they are.
func (e *Engine) record() error {
	if len(e.records) == 0 {
		return nil
	}
	err := e.cfg.Store.Commit(e.records)
	var refused *state.CommitError
	if err != nil && errors.As(err, &refused) {
		e.storeFailed(err)
		e.cfg.Store.UseReserve()
		err = e.cfg.Store.Commit(e.records)
	}
	return err
}

func (e *Engine) storeFailed(err error) {
	if e.storeErr == nil {
		e.say(unit.LevelErr, "", "cannot record the state, nothing new is started until it works again: "+err.Error())
	}
	e.storeErr = err
}

// lookAtStore ends the time in which nothing new is started.
func (e *Engine) lookAtStore() {
	if e.storeErr == nil || e.unsaved || e.cfg.Store.Health().Urgent {
		return
	}
	e.storeErr = nil
	e.say(unit.LevelNotice, "", "the state is recorded again")
}

// acknowledge is the first half of step 4. What is not recorded stays with its owner.
func (e *Engine) acknowledge() {
	if len(e.acks) > 0 && !e.unsaved {
		e.cfg.World.Source.Ack(e.acks)
		e.acks = e.acks[:0]
	}
}

// act is the second half of step 4.
func (e *Engine) act() error {
	if len(e.held) > 0 && e.storeErr == nil { // else hold decides: a unit may be stopped by now
		e.intents = append(e.held, e.intents...)
		e.held = nil
	}
	for _, in := range e.intents {
		if e.storeErr != nil && e.hold(in) {
			continue
		}
		outer := e.rec.begin(intentNote(stageAct, &in))
		e.cfg.World.Actor.Act(in)
		e.rec.end(outer)
		if !e.checkpoint(StageEffect) {
			return ErrCrashed
		}
	}
	clear(e.intents)
	e.intents = e.intents[:0]
	return nil
}

// hold keeps back what would start something new, and, because effects of a unit are done in
// order, what the unit asked for after that. A unit that is stopped meanwhile gets its answer: the
// process was never made.
func (e *Engine) hold(in sys.Intent) bool {
	x := e.lookup(in.Unit)
	if x == nil {
		return false
	}
	at := -1
	for i := range e.held {
		if e.held[i].Unit == in.Unit {
			at = i
			break
		}
	}
	if e.ending(x) {
		if at >= 0 {
			e.refuseHeld(x)
		}
		return false
	}
	if at < 0 && in.Effect.Class() != unit.Probe {
		return false
	}
	e.held = append(e.held, in)
	return true
}

// ending reports whether what x does now serves to end something.
func (e *Engine) ending(x *entry) bool {
	return e.shutdown != nil || x.state.Active == unit.Deactivating || x.state.Active.IsDown() ||
		x.job != nil && (x.job.irreversible && e.goingDown() || stopsFirst(x.job.typ))
}

// downTargets are the units whose start takes the machine down (man systemd.special(7)).
var downTargets = [...]unit.Name{"shutdown.target", "umount.target", "final.target", "poweroff.target", "reboot.target", "halt.target", "kexec.target", "exit.target"}

// goingDown reports whether the machine is being taken down.
func (e *Engine) goingDown() bool {
	for _, n := range downTargets {
		if x := e.lookup(n); x != nil && (x.state.Active.IsUp() || x.job != nil && x.job.typ == unit.JobStart) {
			return true
		}
	}
	return e.shutdown != nil
}

// takesDown reports whether the plan is one that takes the machine down.
func (p *plan) takesDown() bool {
	return slices.ContainsFunc(p.order, func(j *planned) bool {
		return j.typ == unit.JobStart && slices.Contains(downTargets[:], j.x.name)
	})
}

// refuseHeld answers what was kept back of x: spawns as failed, the rest is done.
func (e *Engine) refuseHeld(x *entry) {
	keep := e.held[:0]
	for _, in := range e.held {
		switch s, spawn := in.Effect.(unit.Spawn); {
		case in.Unit != x.name:
			keep = append(keep, in)
		case spawn:
			e.followUp(answerLater{x, unit.Spawned{Seq: in.Seq, Role: s.Role, Err: &unit.SpawnError{Status: exitResources, Step: "state", Msg: ErrStore.Error()}}})
		default:
			e.cfg.World.Actor.Act(in)
		}
	}
	e.held = keep
}

// exitResources is a set-up that failed before anything else could (systemd.exec(5): EXIT_MEMORY is the
// nearest of systemd's words).
const exitResources = 204

func (e *Engine) maintain() bool {
	outer := e.doing(stageTidy, "")
	more, err := e.cfg.Store.Maintain(maintainBudget)
	e.rec.end(outer)
	if err != nil {
		if text := err.Error(); text != e.untidy { // once, not at each try
			e.untidy = text
			e.say(unit.LevelWarning, "", "cannot tidy the state store: "+text)
			e.answer()
		}
		return false
	}
	e.untidy = ""
	return more // Run turns once more before the next slice, so that inputs never wait for tidying
}

const maintainBudget = 64 << 10
