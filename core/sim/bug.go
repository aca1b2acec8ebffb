package sim

import (
	"slices"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/unit"
)

// plantedBug breaks the machine or the way between it and the core, so that tests can show that
// each rule can fail. Nothing outside of this package's tests sets it.
type plantedBug string

const (
	bugNone      plantedBug = ""
	bugLoseExit  plantedBug = "an exit is never delivered"
	bugDropKill  plantedBug = "a kill is not carried out, but answered"
	bugDropSpawn plantedBug = "a spawn is never answered"
	bugTwice     plantedBug = "a spawn is carried out twice"
	bugDropAck   plantedBug = "an acknowledgement gets lost on its way"
	bugDropReady plantedBug = "a READY=1 is acknowledged, and nobody hears it"
	bugLoseJob   plantedBug = "a crash loses the job that was acknowledged last"
	bugPanic     plantedBug = "the world panics"
)

// loses reports whether p's end gets lost.
func (b plantedBug) loses(m *Machine, p *process) bool {
	return b == bugLoseExit && p.role == "main" && m.rng.IntN(4) == 0
}

// muffles takes READY=1 out of a message on its way to the core.
func (b plantedBug) muffles(in sys.Input) sys.Input {
	if n, ok := in.Body.(unit.Notified); ok && b == bugDropReady {
		n.Fields = slices.DeleteFunc(slices.Clone(n.Fields), func(f unit.Field) bool { return f.Key == "READY" })
		in.Body = n
	}
	return in
}

// forgets loses the records of units whose jobs were acknowledged.
func (b plantedBug) forgets(m *Machine) error {
	if b != bugLoseJob || m.store.mem == nil {
		return nil
	}
	for _, a := range m.check.acked {
		if err := m.store.mem.Commit([]state.Record{{Segment: state.Units, Key: string(a.unit)}}); err != nil {
			return err
		}
	}
	return nil
}

// drops reports whether an effect is not to be carried out.
func (b plantedBug) drops(m *Machine, in sys.Intent) bool {
	if m.muted {
		return true
	}
	switch b {
	case bugDropKill:
		if _, ok := in.Effect.(unit.Kill); ok {
			m.answer(in, unit.Done{Seq: in.Seq, None: true})
			return true
		}
	case bugDropSpawn:
		_, ok := in.Effect.(unit.Spawn)
		return ok && m.rng.IntN(8) == 0
	case bugPanic:
		if _, ok := in.Effect.(unit.Spawn); ok {
			panic("planted")
		}
	case bugTwice:
		if _, ok := in.Effect.(unit.Spawn); ok && m.rng.IntN(8) == 0 {
			m.carryOut(in)
		}
	}
	return false
}
