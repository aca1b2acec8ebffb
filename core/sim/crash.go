package sim

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/unit"
)

const (
	causeCrash = "crash"
	causeHang  = "hang"

	stageCommitted = core.StageCommitted
)

// CrashAfter lets the core die at the n-th checkpoint from now (0: the next). The machine
// starts a new one by itself.
func (m *Machine) CrashAfter(n int) { m.crashAfter, m.cause = n, causeCrash }

// Points is how many checkpoints have been passed: the number of places for a crash.
func (m *Machine) Points() int { return m.points }

// Crash kills the core now and starts a new one.
func (m *Machine) Crash() error { return m.crash(causeCrash, 0) }

// checkpoint is called between the steps of a turn, and after each effect.
func (m *Machine) checkpoint(s core.Stage) bool {
	m.stage = s
	m.points++
	m.stats.Points++
	if s == core.StageCommitted {
		m.committed = true
	}
	if m.onPoint != nil && m.pointErr == nil {
		m.pointErr = m.onPoint(m, s)
	}
	if m.pointErr != nil {
		return false
	}
	if m.hangNext {
		m.hangNext, m.cause = false, causeHang
		return false
	}
	f := &m.cfg.Faults
	dies := m.chance(f.Crash) && (f.MaxCrashes == 0 || m.crashed < f.MaxCrashes) // drawn in any case: a replay must draw the same
	hangs := dies && m.chance(f.Hang)
	switch {
	case m.crashAfter >= 0:
		m.crashAfter--
		return m.crashAfter >= 0
	case hangs:
		m.cause = causeHang
	case dies:
		m.cause = causeCrash
	}
	return !dies
}

// crash ends the core. Its children, the descriptors and the messages that it did not acknowledge
// stay; its clients, watches and effects under way do not. down is how long it takes until the
// next one begins.
func (m *Machine) crash(cause string, down time.Duration) error {
	m.check.crashing(m)
	m.unspawned()
	m.again()
	clear(m.watched)
	clear(m.paths)
	clear(m.groups)
	clear(m.lanes)
	clear(m.emptied)
	if down > 0 { // the world goes on without a core
		m.coreDown = true
		end := m.now + down
		for len(m.queue) > 0 && m.queue[0].at <= end {
			m.now = max(m.now, m.queue[0].at)
			m.arrive()
		}
		m.now = end
		m.coreDown = false
	}
	if err := m.die(cause); err != nil {
		return err
	}
	if err := m.start(); err != nil {
		return err
	}
	m.disconnected()
	return m.check.recovered(m)
}

// die counts a death, and hands the store over to the next core.
func (m *Machine) die(cause string) error {
	m.note("core dies: "+cause, "", int64(m.coreGen), int64(m.stage), nil)
	m.crashed++
	m.stats.Crashes++
	if cause == causeHang {
		m.stats.Hangs++
	}
	m.flight.blame = cause == causeHang || cause == causePoison
	m.crashAfter, m.cause = -1, causeCrash
	m.path = append(m.path, m.points-m.pathFrom-1)
	m.pathFrom = m.points
	if len(m.planned) > 0 {
		m.crashAfter, m.planned = m.planned[0], m.planned[1:]
	}
	m.again() // what the probes of a recovery found dies with it
	clear(m.groups)
	if err := m.bug.forgets(m); err != nil {
		return err
	}
	return m.store.crash(m)
}

// Fork gives an independent copy of the machine in which the core has died at this moment, and a
// new one has begun. It may be called at any time, also from a checkpoint.
func (m *Machine) Fork() (*Machine, error) { return m.fork1(causeCrash, 0) }

func (m *Machine) fork1(cause string, down time.Duration) (*Machine, error) {
	n := m.clone()
	n.stats.Forks++
	return n, n.crash(cause, down)
}

// clone copies everything but the engine, which is to die at once.
func (m *Machine) clone() *Machine {
	n := *m
	pcg := *m.pcg
	n.pcg = &pcg
	n.rng = rand.New(n.pcg)
	n.queue = slices.Clone(m.queue)
	n.peeked = maps.Clone(m.peeked)
	n.ready = slices.Clone(m.ready)
	n.specs = maps.Clone(m.specs)
	n.procs = make(map[int]*process, len(m.procs))
	for pid, p := range m.procs {
		q := *p
		n.procs[pid] = &q
	}
	n.programs = maps.Clone(m.programs)
	n.fds, n.taken, n.conns = maps.Clone(m.fds), maps.Clone(m.taken), maps.Clone(m.conns)
	n.served, n.refused = maps.Clone(m.served), maps.Clone(m.refused)
	n.watched, n.paths = maps.Clone(m.watched), maps.Clone(m.paths)
	n.files, n.exists = maps.Clone(m.files), maps.Clone(m.exists)
	n.groups, n.emptied = maps.Clone(m.groups), maps.Clone(m.emptied)
	n.frozen, n.runs = maps.Clone(m.frozen), maps.Clone(m.runs)
	n.flight, n.poison = m.flight.clone(), maps.Clone(m.poison)
	n.lanes = make(map[unit.Name]*lane)
	n.started = slices.Clone(m.started)
	n.failSpawns = slices.Clone(m.failSpawns)
	n.messages, n.path = slices.Clip(m.messages), slices.Clip(m.path)
	n.clients = make([]*client, len(m.clients))
	for i, c := range m.clients {
		d := *c
		d.reply = nil // the original's
		n.clients[i] = &d
	}
	n.check = m.check.clone()
	n.store = m.store.clone()
	n.onPoint, n.pointErr = nil, nil
	return &n
}
