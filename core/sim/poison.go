package sim

import (
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/unit"
)

const causePoison = "poison"

// flight is what of a dead core tells the next one what it died of.
type flight struct {
	page  []byte
	blame bool // the last core died by itself
}

func newFlight() flight { return flight{page: make([]byte, core.RecorderSize)} }

func (f flight) clone() flight { return flight{slices.Clone(f.page), f.blame} }

func (f *flight) recorder(gen int) core.Recorder {
	return core.Recorder{Page: f.page, Generation: uint64(gen), Blame: f.blame}
}

// caught is what a panic of the core comes to: core.Fatal is a death that the next core may learn from,
// anything else a broken rule.
func (m *Machine) caught(p any, what string) error {
	if _, fatal := p.(core.Fatal); fatal {
		m.cause = causePoison
		return core.ErrCrashed
	}
	return m.violated(RulePanic, "", fmt.Sprintf("%s%v\n%s", what, p, debug.Stack()))
}

// Quarantined is why the core keeps its hands off a unit; empty: it does not.
func (m *Machine) Quarantined(n unit.Name) string {
	if u := m.engine.View().Unit(n); u != nil && u.Quarantine != nil {
		return u.Quarantine.String()
	}
	return ""
}

// Poison wraps a kind so that the core dies when a unit of it handles an event that deadly says: as it
// would of a fatal error of Go's runtime in the kind's code, or of a loop in it that init ends. Kinds whose
// units need interfaces beyond unit.Unit and unit.ProcHolder cannot be wrapped.
func Poison(t *unit.Type, deadly func(unit.Name, unit.Event) bool) *unit.Type {
	p := *t
	p.New = func(s *unit.Spec) (unit.Unit, error) {
		u, err := t.New(s)
		return poisoned{u, s.Name, deadly}, err
	}
	p.Restore = func(s *unit.Spec, v uint32, b []byte) (unit.Unit, error) {
		u, err := t.Restore(s, v, b)
		return poisoned{u, s.Name, deadly}, err
	}
	return &p
}

type poisoned struct {
	unit.Unit
	name   unit.Name
	deadly func(unit.Name, unit.Event) bool
}

// Handle implements unit.Unit.
func (u poisoned) Handle(tx *unit.Tx, ev unit.Event) {
	if u.deadly(u.name, ev) {
		panic(core.Fatal{What: fmt.Sprintf("%s handles %T", u.name, ev)})
	}
	u.Unit.Handle(tx, ev)
}

// Procs implements unit.ProcHolder.
func (u poisoned) Procs(f func(string, unit.Proc)) {
	if h, ok := u.Unit.(unit.ProcHolder); ok {
		h.Procs(f)
	}
}
