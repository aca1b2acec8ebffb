package sys

import (
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// World is everything outside the engine.
type World struct {
	Clock  Clock
	Source Source
	Actor  Actor
	Prober Prober
	Pulse  Pulse
}

// Clock reads all clocks at once.
type Clock interface {
	Now() unit.Stamp
}

// Source delivers what happened. An input stays with its owner (the kernel, init, the
// client) until Ack, so that a core that dies in between sees it again. What a process says may come
// before the Spawned that tells of it; its Exited does not.
type Source interface {
	// Peek appends at most max ready inputs to buf without consuming them. An input that
	// was peeked and not yet acknowledged is not delivered again by the same Source.
	Peek(buf []Input, max int) []Input
	// Ack consumes inputs: reaps, receives, tells init. IDs of 0 never occur.
	Ack(ids []uint64)
	// Wait returns when Peek would deliver something, or when the monotonic clock reaches
	// deadline (unit.Infinity: never).
	Wait(deadline time.Duration)
}

// Actor carries out effects. Act must not block: what may be slow runs beside the loop.
// Effects of one unit are carried out in the order of the calls, those of different units
// in any order. Each effect that has an answer is answered exactly once by an Input with
// the Intent's Unit and Seq.
type Actor interface {
	Act(Intent)
}

// Prober tells recovery what became of an effect that was committed before a crash.
type Prober interface {
	Probe(Intent) Outcome
	// Remains looks at the live processes of the Intent's unit, after damage to the store: its record may be
	// too old to know them. Known are those that it counts on.
	Remains(Intent) Remains
}

// Remains is what there is of a unit.
type Remains struct {
	Known    bool   // one of the Intent's Known lives
	Newest   uint64 // the greatest Seq of a Spawn that made one of the processes, or an ancestor of it; 0: none
	Nameless bool   // there are processes of which nobody can tell what made them
}

// Pulse shows that the engine turns; busy means that work is waiting.
type Pulse interface {
	Turned(turn uint64, busy bool)
	// Further says that the present turn, which may take long, got one step further. It is called often, and
	// means something only so often in a turn that one without end is still noticed.
	Further()
}

// Input is one thing that happened. Who it is for is known by Unit, else by CGroup, else
// (Exited, Notified) by the process; the engine resolves it.
type Input struct {
	ID     uint64    // for Ack; 0 needs none
	Unit   unit.Name // empty when the source does not know it
	CGroup string    // relative to the managed root; empty when not known
	Body   any       // a unit.Event, or Loaded, Checked, Signal, Request
}

// Intent is one committed effect with all that its execution needs.
type Intent struct {
	Unit       unit.Name // empty for the manager's own effects
	Seq        uint64    // unique within Unit; 0: it need not be answered
	CGroup     string    // the unit's control group relative to the managed root; empty: none
	Invocation [16]byte  // the unit's present invocation id
	Spec       *unit.Spec
	Effect     unit.Effect // of package unit, or Load, Check, Shutdown, Reexec
	// Known, for Probe only, are the unit's processes that the store knows, and those whose ends it
	// heard of last: none of them is what a Spawn without an answer started.
	Known []unit.Proc
	// Recorded, for Probe only, reports whether the store knows a process with this number, of whatever unit; nil: it
	// knows none. Such a one is not what a Spawn without an answer started, and need not be looked at.
	Recorded func(pid int) bool
}

// OutcomeState is what a probe found.
type OutcomeState uint8

const (
	Unknown OutcomeState = iota
	Done
	NotDone
)

// Outcome answers a probe.
type Outcome struct {
	State OutcomeState
	Event unit.Event // with Done: the answer that was lost; may be nil if it will arrive by itself
}

type (
	// Load reads unit files. Answered by Loaded, with one Spec per name in the same order.
	// Refresh: what the loader remembers of the directories is forgotten first.
	Load struct {
		Names   []unit.Name
		Refresh bool
	}
	// Loaded answers Load.
	Loaded struct {
		Seq   uint64
		Specs []*unit.Spec
	}
	// Check evaluates conditions and assertions in order. Answered by Checked.
	Check struct{ Conditions []unit.Condition }
	// Checked answers Check, one result per condition (the negation already applied).
	Checked struct {
		Seq     uint64
		Results []bool
	}
	// Shutdown hands the machine over to init: "poweroff", "reboot", "halt", "exit". The
	// core goes on living until init ends it.
	Shutdown struct {
		Verb string
		Code int
	}
	// Reexec asks init to replace the core by a fresh one.
	Reexec struct{}

	// Signal is one of PID 1's signals that init passes on.
	Signal struct{ Number int }
	// Request is a call of the control API; Body is defined by package core.
	Request struct{ Body any }
)

func (Load) Class() unit.Class     { return unit.Idempotent }
func (Check) Class() unit.Class    { return unit.Idempotent }
func (Shutdown) Class() unit.Class { return unit.Idempotent }
func (Reexec) Class() unit.Class   { return unit.AtMostOnce }
