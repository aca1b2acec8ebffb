package sim

import (
	"fmt"

	"github.com/sysmaster-go/sysmaster/core"
)

// crashing notes what the next core must find: what the last one published, if that is what it
// had committed.
func (c *checker) crashing(m *Machine) {
	c.removed, c.reload = c.removed[:0], false
	if m.turnless() {
		return // it died before it did anything: what the one before had published still stands
	}
	c.view = nil
	published := !m.committed || m.stage == core.StageReplied
	if m.engine != nil && published && m.store.works() {
		c.view = m.engine.View()
	}
}

// turnless: the core is dying inside of its recovery.
func (m *Machine) turnless() bool { return m.stage == core.StageRecovered }

// recovered compares the new core with the last one.
func (c *checker) recovered(m *Machine) error {
	if m.cfg.Unchecked {
		return nil
	}
	v := m.engine.View()
	if c.view != nil && m.store.works() {
		if c.early != nil { // what readers were given before recovery was through
			if bad := m.sameView(RuleRecover, c.view, c.early); bad != nil {
				return bad
			}
		}
		if bad := m.sameView(RuleRecover, c.view, v); bad != nil {
			return bad
		}
	}
	for id := range c.acked { // gone with the turn that died: its end could not be told
		if !m.hasJob(id) {
			delete(c.acked, id)
		}
	}
	next := make(map[core.JobID]seenJob)
	for _, j := range v.Jobs() {
		s := c.jobs[j.ID]
		if s.unit == "" {
			s.began, s.reloads = m.now, c.reloads
		}
		s.unit, s.typ, s.running = j.Unit, j.Type, j.Running
		next[j.ID] = s
	}
	c.jobs = next
	return nil
}

// sameView compares all that clients can see of two cores.
func (m *Machine) sameView(rule Rule, old, now *core.View) (bad *Violation) {
	a, b := old.Jobs(), now.Jobs()
	for i := range max(len(a), len(b)) {
		if i < len(a) && i < len(b) && sameJob(a[i], b[i]) {
			continue
		}
		if i < len(a) && (i >= len(b) || b[i].ID > a[i].ID) {
			if _, ok := m.check.acked[a[i].ID]; ok && rule == RuleRecover {
				rule = RuleJobKept
			}
			return m.violated(rule, a[i].Unit, fmt.Sprintf("job %d %v is not there after the crash", a[i].ID, a[i].Type))
		}
		return m.violated(rule, b[i].Unit, fmt.Sprintf("job %d %v (running: %v) is another one after the crash", b[i].ID, b[i].Type, b[i].Running))
	}
	old.Units(func(u *core.UnitView) bool {
		if u.Spec == nil {
			return true
		}
		if diff := differs(u, now.Unit(u.Name)); diff != "" {
			bad = m.violated(rule, u.Name, diff)
		}
		return bad == nil
	})
	return bad
}

func sameJob(a, b *core.JobView) bool {
	return a.ID == b.ID && a.Unit == b.Unit && a.Type == b.Type && a.Running == b.Running
}

// differs says what is not the same; empty for nothing.
func differs(a, b *core.UnitView) string {
	switch {
	case b == nil:
		return "it is not loaded any more"
	case a.Quarantine == nil && b.Quarantine != nil: // what it is from now on: its stored state is not even read
	case a.State != b.State:
		return fmt.Sprintf("it was %v, and is %v", a.State, b.State)
	case a.Load != b.Load:
		return fmt.Sprintf("its load state was %s, and is %s (%s)", a.Load, b.Load, b.LoadError)
	case a.CGroup != b.CGroup:
		return fmt.Sprintf("its control group was %q, and is %q", a.CGroup, b.CGroup)
	case a.Invocation != b.Invocation:
		return "its invocation is another one"
	case a.Times != b.Times:
		return fmt.Sprintf("its times were %v, and are %v", a.Times, b.Times)
	case a.ConditionResult != b.ConditionResult || a.AssertResult != b.AssertResult:
		return "the results of its conditions are others"
	case len(a.Procs) != len(b.Procs):
		return fmt.Sprintf("its processes were %v, and are %v", a.Procs, b.Procs)
	}
	for i := range a.Procs {
		if a.Procs[i] != b.Procs[i] {
			return fmt.Sprintf("its processes were %v, and are %v", a.Procs, b.Procs)
		}
	}
	return ""
}

// RecoverTwice lets the core die and recover without anything happening in the world, and then
// once more, and compares what the two cores have made of it. The machine itself is not touched.
// It may be called between turns.
func (m *Machine) RecoverTwice() error {
	if m.cfg.Unchecked || !m.store.works() {
		return nil
	}
	m.stats.Doubled++
	n := m.clone()
	n.ready, n.muted = nil, true
	n.planned, n.hangNext = nil, false
	n.cfg.Faults = Faults{}
	n.queue = nil
	var first *core.View
	for range 2 {
		n.stage, n.committed = core.StageReplied, false
		if err := n.crash("recover twice", 0); err != nil {
			return err
		}
		n.stats.Crashes--
		if err := n.settleMuted(); err != nil {
			return err
		}
		if first == nil {
			first = n.engine.View()
		}
	}
	if bad := n.sameView(RuleTwice, first, n.engine.View()); bad != nil {
		return bad
	}
	return nil
}

// settleMuted turns until nothing is left to do inside the core.
func (m *Machine) settleMuted() error {
	for range 32 {
		m.acted, m.committed = 0, false
		more, err := m.turn()
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
	return m.violated(RuleBounded, "", "a recovered core does not come to rest though nothing happens")
}
