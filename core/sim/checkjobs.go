package sim

import (
	"fmt"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/unit"
)

// checkJobs: jobs run in order, end, and take with them what needs them.
func (m *Machine) checkJobs(v *core.View) *Violation {
	c := m.check
	m.noteExempt()
	now := v.Jobs()
	for _, j := range now {
		old, known := c.jobs[j.ID]
		if j.Running && known && !old.running && !c.reload {
			if bad := m.checkOrder(v, j); bad != nil {
				return bad
			}
		}
		if known && m.now-old.began > m.cfg.Limits.Job && m.store.broken == "" {
			return m.violated(RuleJobEnds, j.Unit, fmt.Sprintf("job %d %v is queued for %v", j.ID, j.Type, m.now-old.began))
		}
	}
	for _, j := range c.removed {
		if bad := m.checkRemoved(v, j); bad != nil {
			return bad
		}
	}
	for id, a := range c.acked {
		if !m.hasJob(id) {
			return m.violated(RuleJobKept, a.unit, fmt.Sprintf("job %d was acknowledged, and is gone without a result", id))
		}
	}
	c.remember(m, now)
	return nil
}

// remember keeps the jobs for the next turn.
func (c *checker) remember(m *Machine, now []*core.JobView) {
	if len(now) == 0 && len(c.jobs) == 0 {
		return
	}
	next := make(map[core.JobID]seenJob, len(now))
	for _, j := range now {
		s, ok := c.jobs[j.ID]
		if !ok {
			s.began, s.reloads = m.now, c.reloads
		}
		s.unit, s.typ, s.running = j.Unit, j.Type, j.Running
		next[j.ID] = s
	}
	c.jobs = next
}

// noteExempt remembers the units that a client asked for without their dependencies.
func (m *Machine) noteExempt() {
	for _, cl := range m.clients {
		if op, ok := cl.op.(core.OpJob); ok && (op.Mode == unit.ModeIgnoreDependencies || op.Mode == unit.ModeIgnoreRequirements) {
			m.check.exempt[op.Unit] = true
		}
	}
}

func stopsFirst(t unit.JobType) bool { return t == unit.JobStop || t == unit.JobRestart }

// checkOrder: j began to run in this turn, so no job that goes before it was there before and
// is there still (man systemd.unit(5), Before=: a stop goes before a start; of two starts the
// earlier unit, of two stops the later one).
func (m *Machine) checkOrder(v *core.View, j *core.JobView) *Violation {
	u := v.Unit(j.Unit)
	if u == nil || j.Unordered || m.check.exempt[j.Unit] {
		return nil
	}
	related := u.Relations()
	for _, r := range [...]unit.Relation{unit.After, unit.Before} {
		for _, n := range related[r] {
			w := v.Unit(n)
			if w == nil || w.Job == nil || w.Job.Unordered || w.Name == j.Unit || m.check.exempt[w.Name] {
				continue
			}
			old, ok := m.check.jobs[w.Job.ID]
			if !ok {
				continue
			}
			first := func(t unit.JobType) bool {
				if r == unit.After {
					return !stopsFirst(j.Type)
				}
				return stopsFirst(t)
			}
			if first(old.typ) && first(w.Job.Type) {
				return m.violated(RuleOrder, j.Unit, fmt.Sprintf("its job %d %v runs, it is %v %s, and that unit's job %d %v has not ended",
					j.ID, j.Type, r, w.Name, w.Job.ID, w.Job.Type))
			}
		}
	}
	return nil
}

// checkRemoved: what needs a unit whose start failed fails with it; what needs a unit that was
// stopped goes down with it.
func (m *Machine) checkRemoved(v *core.View, j core.JobView) *Violation {
	c := m.check
	u := v.Unit(j.Unit)
	if u == nil || c.exempt[j.Unit] || c.reload || j.Result == unit.JobCanceled {
		return nil
	}
	starts := j.Type == unit.JobStart || j.Type == unit.JobVerifyActive
	failed := starts && j.Result != unit.JobDone
	stopped := j.Type == unit.JobStop && j.Result == unit.JobDone && u.State.Active.IsDown() && u.Job == nil
	if !failed && !stopped {
		return nil
	}
	related := u.Relations()
	for _, r := range [...]unit.Relation{unit.RequiredBy, unit.RequisiteOf, unit.BoundBy} {
		for _, n := range related[r] {
			w := v.Unit(n)
			if w == nil || c.exempt[w.Name] {
				continue
			}
			if failed && w.Job != nil && w.Job.Type == unit.JobStart {
				if old, ok := c.jobs[w.Job.ID]; ok && old.typ == unit.JobStart {
					return m.violated(RuleRequire, w.Name, fmt.Sprintf("its start goes on, though it requires %s, whose start ended: %v", j.Unit, j.Result))
				}
			}
			if stopped && w.State.Active == unit.Active && w.Job == nil && c.jobs[j.ID].reloads == c.reloads && w.Name.Kind() != unit.KindSlice {
				return m.violated(RuleRequire, w.Name, fmt.Sprintf("it is active, though it requires %s, which was stopped", j.Unit))
			}
		}
	}
	return nil
}
