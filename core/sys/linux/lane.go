package linux

import (
	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// lane is one unit's queue of effects. It exists while it has work.
type lane struct {
	busy    bool // an effect was begun and is not answered
	current unit.Effect
	queue   []sys.Intent
	pumping bool
}

// Act begins an effect (sys.Actor). It does not block.
func (w *World) Act(in sys.Intent) {
	switch in.Effect.(type) {
	case sys.Load, sys.Check, sys.Shutdown, sys.Reexec:
		w.actForEngine(in)
		return
	}
	l := w.lanes[in.Unit]
	if _, kill := in.Effect.(unit.Kill); kill {
		// Kill stands behind the last Spawn, before everything else.
		at, wait := l.killPlace()
		if !wait {
			w.carryOut(in, func() {})
			return
		}
		l.queue = append(l.queue[:at], append([]sys.Intent{in}, l.queue[at:]...)...)
		return
	}
	if l == nil {
		l = &lane{}
		w.lanes[in.Unit] = l
	}
	l.queue = append(l.queue, in)
	w.pump(in.Unit, l)
}

// killPlace is where a Kill belongs in the queue; false: it need not wait.
func (l *lane) killPlace() (at int, wait bool) {
	if l == nil {
		return 0, false
	}
	for i := len(l.queue) - 1; i >= 0; i-- {
		if waitsForProcess(l.queue[i].Effect) {
			return i + 1, true
		}
	}
	if l.busy && waitsForProcess(l.current) {
		return 0, true
	}
	return 0, false
}

// waitsForProcess: a Spawn's process must exist before it can be killed, and Kills among
// themselves keep their order behind it.
func waitsForProcess(e unit.Effect) bool {
	switch e.(type) {
	case unit.Spawn, unit.Kill:
		return true
	}
	return false
}

// pump begins effects until one is slow.
func (w *World) pump(u unit.Name, l *lane) {
	if l.pumping {
		return
	}
	l.pumping = true
	for !l.busy && len(l.queue) > 0 {
		in := l.queue[0]
		l.queue = l.queue[1:]
		l.busy, l.current = true, in.Effect
		w.carryOut(in, func() {
			l.busy, l.current = false, nil
			w.pump(u, l)
		})
	}
	l.pumping = false
	if !l.busy && len(l.queue) == 0 && w.lanes[u] == l {
		delete(w.lanes, u)
	}
}
