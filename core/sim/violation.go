package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Rule names one thing that holds in every turn.
type Rule string

// The rules. doc.go says what each means.
const (
	RuleMain    Rule = "no unit has two main processes"
	RuleActive  Rule = "no unit is active without its process"
	RuleOwner   Rule = "no process is without an owner"
	RuleOrder   Rule = "ordering is respected"
	RuleRequire Rule = "requirements are respected"
	RuleJobEnds Rule = "every job ends"
	RuleJobKept Rule = "no acknowledged job is lost"
	RuleExit    Rule = "no exit is lost"
	RuleReady   Rule = "no READY=1 is lost"
	RuleStored  Rule = "no descriptor is stored twice"
	RuleRecover Rule = "recovery finds what was committed"
	RuleTwice   Rule = "recovering twice equals once"
	RuleBounded Rule = "a turn is bounded"
	RulePanic   Rule = "the core does not panic"
	RuleSame    Rule = "same seed, same trace"
	RuleOutcome Rule = "a crash changes no outcome"
)

// Violation says which rule was broken, where, and what happened before.
type Violation struct {
	Rule  Rule
	Unit  unit.Name // empty: the whole machine
	Turn  uint64
	At    time.Duration // virtual monotonic time
	Text  string
	Trace []string // the last lines, oldest first
}

// Error is the violation with its trace.
func (v *Violation) Error() string {
	var b strings.Builder
	b.WriteString(v.Short())
	for _, l := range v.Trace {
		b.WriteString("\n\t" + l)
	}
	return b.String()
}

// Short is one line without the trace.
func (v *Violation) Short() string {
	s := fmt.Sprintf("rule broken in turn %d at %v: %s", v.Turn, v.At, v.Rule)
	if v.Unit != "" {
		s += ": " + string(v.Unit)
	}
	return s + ": " + v.Text
}

func (m *Machine) violated(r Rule, n unit.Name, text string) *Violation {
	return &Violation{Rule: r, Unit: n, Turn: m.turns, At: m.now, Text: text, Trace: m.LastLines()}
}

// Limits bound what a correct machine may do.
type Limits struct {
	// Job is the longest that a job may be queued, in virtual time; default 24 hours. A machine in
	// which nothing can happen any more must have no job at all.
	Job time.Duration
	// Grace is how long a process may live without an owner, or an end be unknown to its unit,
	// while a kill or a message is under way; default 15 seconds.
	Grace time.Duration
	// Effects of one turn; default 256 and 64 for each unit.
	Effects int
	// Turns without a move of the clock; default 20000.
	Turns int
}

func (l Limits) orDefaults() Limits {
	if l.Job == 0 {
		l.Job = 24 * time.Hour
	}
	if l.Grace == 0 {
		l.Grace = 15 * time.Second
	}
	l.Effects = or(l.Effects, 256)
	l.Turns = or(l.Turns, 20000)
	return l
}
