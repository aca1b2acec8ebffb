package linux

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pulseBusy is how often init is told that the loop goes round while there is work ...
	pulseBusy = time.Second
	// ... and pulseLinger for how long there must have been none before it is told so: a
	// burst of work costs two messages, and a long one one a second.
	pulseLinger = time.Second
)

// pulse is what init knows of the loop (fdstore.Client.Pulse). All of it is done by the
// engine's goroutine, so that what init hears is what the engine does. Times are monotonic.
//
//	told     then, with work             then, without
//	nothing  recovery begins: busy       -
//	busy     busy once in pulseBusy      idle after pulseLinger, if nobody stands at a door
//	idle     busy, before it is done     idle again at the promised time
type pulse struct {
	turn    uint64
	begun   bool // a turn was completed
	recover bool // recovery began, from which on init watches (package policy: recovering)
	further int  // how often init was told that this turn goes on
	busy    bool // what was said last
	told    time.Duration
	worked  time.Duration // when there was work last
	promise time.Duration // when it is said again that there is none
	silence time.Duration // the longest one between two that init allows while there is nothing to do
	doors   []*door
}

// door is a socket at which somebody may stand.
type door struct {
	key    string
	fd     int
	served func() uint64 // nil: the engine serves it
	count  uint64        // what that said when ...
	since  time.Duration // ... somebody stood here and nobody was let in, first; 0: not
}

// Door tells init and this World of a socket at which clients are served by other
// goroutines; it must have been kept (Keep) under a key that begins with fdstore.DoorPrefix.
// served counts the attempts to accept. If somebody stands at the door for longer than
// init waits for a busy core, while nobody is let in, the World panics: a core that nobody
// can talk to is not alive. Before the engine's first turn.
func (w *World) Door(key string, served func() uint64) error {
	h := w.fds[key]
	if h == nil {
		return fmt.Errorf("cannot watch door %q: it is not held", key)
	}
	// Only to be woken: whoever comes in has to be let in by somebody.
	if _, err := w.poll.add(h.fd, unix.EPOLLIN|unix.EPOLLET, func(uint32) {}); err != nil {
		return err
	}
	w.pulse.doors = append(w.pulse.doors, &door{key: key, fd: h.fd, served: served})
	return nil
}

// watched reports whether somebody wants to know.
func (w *World) watched() bool {
	return (w.pulse.begun || w.pulse.recover) && w.cfg.Init != nil && !w.channel.gone && w.channel.welcome.Idle > 0
}

// Turned tells init that the engine turns (sys.Pulse).
func (w *World) Turned(turn uint64, busy bool) {
	p := &w.pulse
	first := !p.begun
	p.turn, p.begun, p.further = turn, true, 0
	p.silence = w.channel.welcome.Idle / 3 * 2
	now := monotonic()
	p.worked = now
	if first || now-p.told >= pulseBusy {
		w.sayBusy(now)
	}
	if !busy {
		w.dropLeftovers()
	}
}

// hasWork is called when the loop is about to do something.
func (w *World) hasWork(now time.Duration) {
	w.pulse.worked = now
	if !w.pulse.busy {
		w.sayBusy(now)
	}
}

// progress is called with each effect: a turn that starts a thousand services on a slow machine
// takes its time, and its effects are finite.
func (w *World) progress() {
	if now := monotonic(); w.pulse.busy && now-w.pulse.told >= pulseBusy {
		w.pulse.worked = now
		w.sayBusy(now)
	}
}

// Further tells init that a long turn goes on (sys.Pulse): once in pulseBusy, and as often as furtherMax in one turn, so
// that one which goes on for ever is a hang all the same.
func (w *World) Further() {
	p := &w.pulse
	if !p.begun {
		p.recover = true
	}
	if p.further >= furtherMax {
		return
	}
	if now := monotonic(); now-p.told >= pulseBusy {
		p.further++
		p.worked = now
		w.sayBusy(now)
	}
}

// furtherMax is for how many seconds a turn may compute at least: reading 10,000 units again takes about two here.
const furtherMax = 120

func (w *World) sayBusy(now time.Duration) {
	if w.watched() {
		w.pulse.busy, w.pulse.told = true, now
		w.toInit("", w.cfg.Init.Pulse(w.pulse.turn, 0))
	}
}

// nextPulse is when beat has something to do.
func (w *World) nextPulse() time.Duration {
	p := &w.pulse
	switch {
	case !w.watched():
		return never
	case p.busy:
		return min(p.worked+pulseLinger, p.told+pulseBusy)
	}
	return p.promise
}

// beat says what is due while the loop waits; next is when it will have work by itself.
func (w *World) beat(now, next time.Duration) {
	p := &w.pulse
	if now < w.nextPulse() {
		return
	}
	if p.busy && (now-p.worked < pulseLinger || w.atDoor(now)) {
		if now-p.told >= pulseBusy {
			w.sayBusy(now)
		}
		if now-p.worked >= pulseLinger { // for the next look
			p.worked = now
		}
		return
	}
	p.busy, p.told = false, now
	p.promise = min(next, now+p.silence)
	w.toInit("", w.cfg.Init.Pulse(p.turn, max(p.promise-now, time.Millisecond)))
}

// atDoor reports whether somebody stands at a door. Init looks at the doors while the core
// idles, and would take whoever stood there before for news.
func (w *World) atDoor(now time.Duration) bool {
	found := false
	for _, d := range w.pulse.doors {
		fds := [1]unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds[:], 0)
		if n == 0 && err == nil {
			d.since = 0
			continue
		}
		found = true
		if d.served == nil {
			continue
		}
		if count := d.served(); d.since == 0 || count != d.count {
			d.count, d.since = count, now
		}
		if now-d.since >= w.channel.welcome.Busy && w.channel.welcome.Busy > 0 {
			panic("linux: clients wait at " + d.key + " and nobody lets them in")
		}
	}
	return found
}
