package policy

import "time"

// Limits are the watch's bounds of time.
type Limits struct {
	Hello time.Duration // from a core's start to its first turn
	Idle  time.Duration // the longest that a core may promise to be silent; negative: not watched
	Busy  time.Duration // from work that it does not do to the end of patience
}

// Watch decides when a core's silence is a hang. It knows what the core says of itself -
// the promise to speak again, and within Busy if there is work - and what only others see
// while it cannot speak: something was sent to it and is unacknowledged, somebody waits at a
// door, it is stopped. The zero value is that of no core.
//
//	state      begins with                  patience ends
//	starting   Started                      Hello after the start
//	recovering Spoke before its first turn  twice Busy after that: it may have to wait for a disk
//	busy       Spoke(0)                     Busy after that
//	idle       Spoke(next)                  Busy after the promised time
//	owing      Sent, Knocked; till Spoke    Busy after the first of them, if that is earlier
//	stopped    Stopped; till Continued      Busy after that, if that is earlier
//
// The last fifth of Busy is a second look: whoever was himself not running for a while
// (suspended, starved) sees a core overdue that had no chance to speak.
type Watch struct {
	started, spoke time.Time
	next           time.Duration
	turned         bool
	owing, stopped time.Time // zero: not
	suspect        time.Time // the first look was at; zero: not yet
}

// Started begins with a new core.
func (w *Watch) Started(now time.Time) { *w = Watch{started: now} }

// Spoke notes what the core says: it will speak again within next, 0: it has work. turned: it
// has completed a turn. waiting: something is unacknowledged, so that it must speak soon.
func (w *Watch) Spoke(now time.Time, next time.Duration, turned, waiting bool) {
	w.spoke, w.next, w.turned = now, next, w.turned || turned
	w.owing, w.suspect = time.Time{}, time.Time{}
	if waiting {
		w.owing = now
	}
}

// Sent notes that something was sent that the core has to acknowledge.
func (w *Watch) Sent(now time.Time) {
	if w.owing.IsZero() {
		w.owing = now
	}
}

// Stopped notes that the core's process is stopped, or goes on.
func (w *Watch) Stopped(now time.Time, stopped bool) {
	w.suspect = time.Time{}
	if w.stopped = (time.Time{}); stopped {
		w.stopped = now
	}
}

// Doors reports whether somebody at a door of the core would be news.
func (w *Watch) Doors() bool { return w.turned && w.next > 0 && w.owing.IsZero() }

// Deadline is when to call Overdue next; the zero time: never.
func (w *Watch) Deadline(l Limits) time.Time {
	if l.Idle < 0 {
		return time.Time{}
	}
	if !w.suspect.IsZero() {
		return w.suspect.Add(l.Busy / 5)
	}
	first := l.Busy - l.Busy/5
	due := w.started.Add(l.Hello)
	switch {
	case w.turned:
		due = w.spoke.Add(min(w.next, l.Idle) + first)
	case !w.spoke.IsZero():
		due = w.spoke.Add(l.Busy + first)
	}
	for _, since := range [...]time.Time{w.owing, w.stopped} {
		// What waits for a core that still starts is no hang: it answers after its first turn.
		if at := since.Add(first); !since.IsZero() && (w.turned || since == w.stopped) && at.Before(due) {
			due = at
		}
	}
	return due
}

// Overdue looks at the clock. True: patience has ended.
func (w *Watch) Overdue(l Limits, now time.Time) bool {
	due := w.Deadline(l)
	if due.IsZero() || now.Before(due) {
		return false
	}
	if w.suspect.IsZero() {
		w.suspect = now
		return false
	}
	return true
}
