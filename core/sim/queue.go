package sim

import (
	"sort"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// deed is what a happening does.
type deed uint8

const (
	doDeliver deed = iota // in becomes ready
	doEnd                 // a program ends by itself
	doExit                // a process ends with exit
	doNotice              // a process sends notice n
	doPing                // a process sends WATCHDOG=1
	doPIDFile             // a daemon's PID file is written
	doSpawned             // the core hears of a process that was made
	doEffect              // an effect of a unit is carried out
	doManager             // an effect of the engine is carried out
	doAsk                 // client n asks
	doReexec              // init replaces the core
	doHeal                // the disk works again
	doNothing             // only the clock moves there
)

// happening is something that comes later. It is data, so that a machine can be copied, and is
// not changed once it is queued.
type happening struct {
	at   time.Duration
	seq  uint64
	gen  int // 0: happens whatever becomes of the core; else only to that core
	do   deed
	proc unit.Proc
	n    int
	exit unit.Exit
	in   sys.Input
	act  sys.Intent
}

// after queues h, d from now and as much later as chance wants it.
func (m *Machine) after(d time.Duration, h happening) {
	if d == Forever || m.now > Forever-d {
		return
	}
	m.at(m.now+d+m.delay(), h)
}

// delay is a random part of MaxDelay.
func (m *Machine) delay() time.Duration {
	if m.cfg.MaxDelay <= 0 {
		return 0
	}
	return time.Duration(m.rng.Int64N(int64(m.cfg.MaxDelay)))
}

func (m *Machine) at(t time.Duration, h happening) {
	m.seq++
	h.at, h.seq = t, m.seq
	i := sort.Search(len(m.queue), func(i int) bool { return m.queue[i].at > t })
	m.queue = append(m.queue, nil)
	copy(m.queue[i+1:], m.queue[i:])
	m.queue[i] = &h
}

// arrive lets happen what is due.
func (m *Machine) arrive() {
	for len(m.queue) > 0 && m.queue[0].at <= m.now {
		h := m.queue[0]
		m.queue = m.queue[1:]
		if h.gen == 0 || h.gen == m.coreGen && !m.coreDown {
			m.happen(h)
		}
	}
}

func (m *Machine) happen(h *happening) {
	p := m.procs[h.proc.PID]
	if p != nil && p.proc != h.proc {
		p = nil // its number is another's now
	}
	switch h.do {
	case doDeliver:
		m.deliver(h.in)
		if x, ok := h.in.Body.(unit.Exited); ok {
			m.exitTold(h.in.CGroup, x)
		}
	case doEffect:
		if m.carryOut(h.act) {
			m.laneDone(h.act.Unit)
		}
	case doSpawned:
		if p != nil {
			m.tellSpawned(h.act, p)
		}
		m.laneDone(h.act.Unit)
	case doManager:
		m.manage(h.act)
	case doAsk:
		m.ask(h.n)
	case doReexec:
		m.crashAfter, m.cause = 0, "re-exec"
	case doHeal:
		m.store.heal()
	case doNothing:
	default:
		if p != nil && !p.dead {
			m.processDoes(p, h)
		}
	}
}

func (m *Machine) processDoes(p *process, h *happening) {
	if until := m.frozen[p.cgroup]; until > m.now && p.cgroup != "" {
		m.at(until, *h) // when it thaws
		return
	}
	if p.killed && h.do != doExit {
		return // its SIGKILL is pending: it runs no more of its program (signal(7))
	}
	switch h.do {
	case doEnd:
		m.end(p)
	case doExit:
		m.exit(p, h.exit)
	case doNotice:
		if h.n < 0 {
			m.notify(p, Notice{Text: "READY=1"})
		} else {
			m.notify(p, p.prog.Notices[h.n])
		}
	case doPing:
		m.notify(p, Notice{Text: "WATCHDOG=1"})
		if next := m.now - p.began + p.prog.Ping; p.prog.PingUntil == 0 || next <= p.prog.PingUntil {
			m.after(p.prog.Ping, happening{do: doPing, proc: p.proc})
		}
	case doPIDFile:
		m.writePIDFile(p, h.n)
	}
}
