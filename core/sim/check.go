package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// checker holds what the rules need to remember between two turns.
type checker struct {
	at      time.Duration // of the last turn
	jobs    map[core.JobID]seenJob
	removed []core.JobView // in this turn
	reload  bool           // ... the files were read again
	reloads int            // how often that was so
	acked   map[core.JobID]ackedJob
	exempt  map[unit.Name]bool // a client asked for it without its dependencies
	since   map[unit.Proc]time.Duration
	known   map[unit.Proc]bool      // the unit has listed it
	ready   map[unit.Name]unit.Proc // whose READY=1 was acknowledged
	main    *mainTwice
	stored  string     // that a descriptor is stored twice
	view    *core.View // what the next core must find; nil: not known
	early   *core.View // what this core has shown first; nil: nothing before its recovery was through
}

type seenJob struct {
	unit    unit.Name
	typ     unit.JobType
	running bool
	began   time.Duration
	reloads int
}

type ackedJob struct {
	unit unit.Name
	at   time.Duration
}

// mainTwice is a main process that was made while another one lives.
type mainTwice struct {
	unit     unit.Name
	old, new unit.Proc
}

func newChecker() *checker {
	return &checker{jobs: make(map[core.JobID]seenJob), acked: make(map[core.JobID]ackedJob), exempt: make(map[unit.Name]bool),
		since: make(map[unit.Proc]time.Duration), known: make(map[unit.Proc]bool), ready: make(map[unit.Name]unit.Proc)}
}

func (c *checker) clone() *checker {
	d := *c
	d.jobs, d.acked, d.exempt = maps.Clone(c.jobs), maps.Clone(c.acked), maps.Clone(c.exempt)
	d.since, d.known = maps.Clone(c.since), maps.Clone(c.known)
	d.ready = maps.Clone(c.ready)
	d.removed = slices.Clone(c.removed)
	return &d
}

// observe takes what the core tells.
func (c *checker) observe(ev core.Event) {
	switch ev := ev.(type) {
	case core.JobRemoved:
		c.removed = append(c.removed, ev.Job)
		delete(c.acked, ev.Job.ID)
	case core.Reloading:
		c.reload = true
	}
}

func (c *checker) acknowledged(id core.JobID, n unit.Name, at time.Duration) {
	c.acked[id] = ackedJob{n, at}
}

// born looks at each process that is made.
func (c *checker) born(m *Machine, p *process) {
	if p.role != "main" {
		return
	}
	if m.leaves(m.engine.View().Unit(p.unit), p) {
		return // it may give up a process that does not end
	}
	late := m.cfg.MaxDelay >= time.Second // SIGKILL and its effect may take longer than the unit waits
	for _, q := range m.procs {
		if q != p && q.unit == p.unit && q.role == "main" && !q.dead && !q.stubborn && (!q.killed || c.known[q.proc] && !late) {
			c.main = &mainTwice{p.unit, q.proc, p.proc}
		}
	}
}

// verify checks all rules after a turn.
func (m *Machine) verify() error {
	if m.cfg.Unchecked {
		return nil
	}
	c, v := m.check, m.engine.View()
	defer func() { c.removed, c.reload, c.at = c.removed[:0], false, m.now }()
	if c.reload {
		c.reloads++
	}
	for _, check := range [...]func(*core.View) *Violation{m.checkTurn, m.checkMain, m.checkReady, m.checkUnits, m.checkProcs, m.checkJobs} {
		if bad := check(v); bad != nil {
			return bad
		}
	}
	return nil
}

// checkTurn bounds what one turn does, and how many there are at one time.
func (m *Machine) checkTurn(v *core.View) *Violation {
	if m.now != m.check.at {
		m.sameTime = 0
	}
	m.sameTime++
	switch {
	case m.acted > m.cfg.Limits.Effects+64*v.Len():
		return m.violated(RuleBounded, "", fmt.Sprintf("%d effects in one turn", m.acted))
	case m.sameTime > m.cfg.Limits.Turns:
		return m.violated(RuleBounded, "", fmt.Sprintf("%d turns without a move of the clock", m.sameTime))
	case len(m.peeked) > 0 && m.store.works():
		for _, in := range m.peeked {
			if _, said := in.Body.(unit.Notified); said && m.spawning(receiver(in)) {
				continue // it waits for the answer to the Spawn
			}
			return m.violated(RuleExit, unitOf(in.CGroup), fmt.Sprintf("%T was looked at and not acknowledged", in.Body))
		}
	}
	return nil
}

// spawning: a Spawn of a unit is under way, or its answer is.
func (m *Machine) spawning(n unit.Name) bool {
	if l := m.lanes[n]; l != nil {
		return true
	}
	return slices.ContainsFunc(m.ready, func(in sys.Input) bool { _, is := in.Body.(unit.Spawned); return is && in.Unit == n })
}

func (m *Machine) checkMain(*core.View) *Violation {
	if text := m.check.stored; text != "" {
		return m.violated(RuleStored, "", text)
	}
	if t := m.check.main; t != nil {
		return m.violated(RuleMain, t.unit, fmt.Sprintf("process %d was started while %d lives", t.new.PID, t.old.PID))
	}
	return nil
}

// heard takes a message that was acknowledged. The first assignment of a name counts, and STOPPING=1 goes before READY=1.
func (c *checker) heard(n unit.Name, msg unit.Notified) {
	first := func(key string) string {
		if i := slices.IndexFunc(msg.Fields, func(f unit.Field) bool { return f.Key == key }); i >= 0 {
			return msg.Fields[i].Value
		}
		return ""
	}
	if first("READY") == "1" && first("STOPPING") != "1" {
		c.ready[n] = msg.From
	}
}

// checkReady: who was heard to be ready is not waited for, by no core.
func (m *Machine) checkReady(v *core.View) *Violation {
	if !m.store.works() {
		clear(m.check.ready)
	}
	for n, p := range m.check.ready {
		u := v.Unit(n)
		if u == nil || !isMain(u, p) {
			delete(m.check.ready, n)
			continue
		}
		if u.Quarantine == nil && u.State.Sub == "start" && u.Spec != nil && slices.ContainsFunc(u.Spec.Settings, func(s unit.Setting) bool { return s.Key == "Type" && s.Value == "notify" }) {
			return m.violated(RuleReady, n, fmt.Sprintf("process %d said READY=1, which was acknowledged, and the start still waits for it", p.PID))
		}
	}
	return nil
}

func isMain(u *core.UnitView, p unit.Proc) bool {
	return slices.ContainsFunc(u.Procs, func(q core.ProcView) bool { return q.Proc == p && q.Role == "main" })
}

// checkUnits compares what units say with the processes that there are.
func (m *Machine) checkUnits(v *core.View) (bad *Violation) {
	owner := make(map[int]unit.Name, 16)
	v.Units(func(u *core.UnitView) bool {
		if u.Quarantine != nil {
			return true // nothing is done to it on purpose
		}
		mains := 0
		for _, p := range u.Procs {
			m.check.known[p.Proc] = true
			if p.Role == "main" {
				mains++
			}
			if n := owner[p.Proc.PID]; n != "" {
				bad = m.violated(RuleOwner, u.Name, fmt.Sprintf("process %d is also one of %s", p.Proc.PID, n))
			}
			owner[p.Proc.PID] = u.Name
			if bad == nil {
				bad = m.checkKnown(u, p.Proc)
			}
		}
		switch {
		case bad != nil:
		case mains > 1:
			bad = m.violated(RuleMain, u.Name, fmt.Sprintf("it lists %d main processes", mains))
		case u.State.Sub == "running" && u.Name.Kind() == unit.KindService && mains == 0 && len(u.Procs) == 0:
			bad = m.checkRunning(u)
		}
		return bad == nil
	})
	return bad
}

// checkKnown: a process that a unit counts on is there, or its end is on its way.
func (m *Machine) checkKnown(u *core.UnitView, p unit.Proc) *Violation {
	if q := m.procs[p.PID]; q != nil && q.proc == p && !q.dead || m.exitComes(p) {
		delete(m.check.since, p)
		return nil
	}
	if m.lasts(p) {
		rule := RuleExit
		if u.State.Active.IsUp() {
			rule = RuleActive
		}
		return m.violated(rule, u.Name, fmt.Sprintf("it is %v/%s and counts on process %d, which is gone; nobody tells it any more", u.State.Active, u.State.Sub, p.PID))
	}
	return nil
}

// checkRunning: a service that runs and knows no process has one in its group.
func (m *Machine) checkRunning(u *core.UnitView) *Violation {
	if m.populated(u.CGroup) || m.emptied[u.CGroup] != "" {
		return nil
	}
	for _, in := range m.ready {
		if receiver(in) == u.Name {
			return nil
		}
	}
	if l := m.lanes[u.Name]; l != nil {
		return nil // what it has asked for will tell
	}
	return m.violated(RuleActive, u.Name, "it runs, and there is no process in its control group "+u.CGroup)
}

// lasts reports whether what is wrong about p has been so for longer than the grace, or can
// never change.
func (m *Machine) lasts(p unit.Proc) bool {
	if m.store.broken != "" {
		delete(m.check.since, p) // effects are held back
		return false
	}
	first, ok := m.check.since[p]
	if !ok {
		m.check.since[p] = m.now
		return false
	}
	return m.now-first > m.cfg.Limits.Grace
}

// checkProcs: each live process has a unit that knows of it, by its number or its control group.
func (m *Machine) checkProcs(v *core.View) *Violation {
	for _, p := range m.procs {
		if p.dead || p.stubborn {
			continue
		}
		u := v.Unit(p.unit)
		why := ""
		switch {
		case u == nil:
			why = "its unit is not loaded"
		case u.CGroup != p.cgroup && !lists(u, p.proc):
			why = "its unit's control group is " + u.CGroup
		case u.State.Active.IsDown() && u.Job == nil && !lists(u, p.proc):
			why = "its unit is " + u.State.Sub
		}
		if why == "" || m.keeps(u, p) {
			delete(m.check.since, p.proc)
			continue
		}
		if m.lasts(p.proc) {
			return m.violated(RuleOwner, p.unit, fmt.Sprintf("process %d in %s lives, but %s", p.proc.PID, p.cgroup, why))
		}
	}
	return nil
}

func lists(u *core.UnitView, p unit.Proc) bool {
	for i := range u.Procs {
		if u.Procs[i].Proc == p {
			return true
		}
	}
	return false
}

// keeps: some settings leave processes behind on purpose, and a unit whose state was lost keeps
// what it has until an administrator decides.
func (m *Machine) keeps(u *core.UnitView, p *process) bool {
	return u != nil && m.store.damaged || m.leaves(u, p)
}

// leaves is keeps for a store that is not damaged: a record that is lost is no excuse for a second process.
func (m *Machine) leaves(u *core.UnitView, p *process) bool {
	if u == nil {
		return false
	}
	if u.Quarantine != nil || u.State.Result == "resources" && u.Load != unit.LoadLoaded || m.frozen[p.cgroup] > m.now {
		return true
	}
	if u.Spec == nil {
		return false
	}
	for _, s := range u.Spec.Settings {
		if s.Key == "KillMode" && s.Value != "control-group" && s.Value != "mixed" || s.Key == "SendSIGKILL" && s.Value != "yes" {
			return true
		}
	}
	return false
}

// quiet checks what must be so when nothing can happen any more.
func (m *Machine) quiet() error {
	if m.cfg.Unchecked || m.store.broken != "" {
		return nil
	}
	v := m.engine.View()
	var bad *Violation
	v.Units(func(u *core.UnitView) bool {
		for _, p := range u.Procs {
			if q := m.procs[p.Proc.PID]; (q == nil || q.proc != p.Proc || q.dead) && u.Quarantine == nil {
				bad = m.violated(RuleExit, u.Name, fmt.Sprintf("the end of process %d is never told", p.Proc.PID))
			}
		}
		return bad == nil
	})
	if bad != nil {
		return bad
	}
	for p := range m.check.since {
		if q := m.procs[p.PID]; q != nil && q.proc == p && !q.dead && (v.Unit(q.unit) == nil || !lists(v.Unit(q.unit), p)) {
			return m.violated(RuleOwner, q.unit, fmt.Sprintf("process %d will live for ever without an owner", p.PID))
		}
	}
	for _, j := range v.Jobs() {
		return m.violated(RuleJobEnds, j.Unit, fmt.Sprintf("job %d %v can never end: nothing is left to happen", j.ID, j.Type))
	}
	return nil
}
