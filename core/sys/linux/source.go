package linux

import (
	"time"

	"github.com/sysmaster-go/sysmaster/core/sys"
)

// Peek gives at most max inputs without consuming them (sys.Source).
func (w *World) Peek(buf []sys.Input, max int) []sys.Input {
	w.collect(0)
	return w.inputs.pop(buf, max)
}

// Ack consumes inputs at their owners (sys.Source).
func (w *World) Ack(ids []uint64) {
	w.inputs.ack(ids)
	w.flushInit()
}

// Wait returns when Peek has something, or at the deadline (sys.Source).
func (w *World) Wait(deadline time.Duration) {
	for {
		w.settle()
		if len(w.inputs.ready) > 0 {
			return
		}
		if len(w.unwatched) > 0 {
			w.watchSome()
			w.collect(0)
			continue
		}
		now := monotonic()
		if now >= deadline {
			w.hasWork(now)
			return
		}
		until := min(deadline, w.alarms.next())
		if at, ok := w.pool.next(now); ok {
			until = min(until, at)
		}
		w.beat(now, until)
		w.collect(min(until, w.nextPulse()))
	}
}

// collect takes in what has happened, waiting for it at most until the deadline.
func (w *World) collect(deadline time.Duration) {
	if err := w.poll.poll(deadline); err != nil {
		// epoll_wait on our own descriptor fails only when this process is broken; a
		// fresh core starts from the store.
		panic("linux: " + err.Error())
	}
	w.settle()
}

// woken runs before what has happened is looked at: if that hangs, init knows since when.
func (w *World) woken() { w.hasWork(monotonic()) }

// settle does what follows from what was taken in, and what is due.
func (w *World) settle() {
	now := monotonic()
	if w.alarms.next() <= now {
		w.hasWork(now)
		w.alarms.run(now)
	}
	w.sayFarewell()
	w.pool.fill(now)
	w.reapStrays(now)
	w.flushInit()
}
