package linux

import (
	"time"

	"github.com/sysmaster-go/sysmaster/core/sys"
)

// A service may notify and exit at once. The end of a process is noticed by another descriptor than its
// last words, and a unit does not listen to a process that it has seen end. So an end - an exit, an
// emptied control group - waits until everything is read that was in the notify socket when it was noticed.

const (
	// farewellMax is how long an end waits for that at most: init may take its time to keep descriptors,
	// and a store that refuses commits lets no notification be consumed. Stopping must go on.
	farewellMax = time.Second
	// farewellRoom is behind how many notifications an end stands at least, where the limit of the
	// socket cannot be read.
	farewellRoom = 4096
)

// farewell is an end that waits.
type farewell struct {
	in    sys.Input
	ack   func()
	upTo  uint64        // when so many notifications have been peeked in all, those before it are among them
	until time.Duration // monotonic
}

// pushEnd queues an end behind the notifications that were sent before it.
func (w *World) pushEnd(in sys.Input, ack func()) {
	n := &w.notify
	n.more = true // unless it is looked at, nobody knows
	w.farewells = append(w.farewells, farewell{in, ack, n.peeked + n.room, monotonic() + farewellMax})
}

// sayFarewell reads notifications, and queues the ends that need not wait any more.
func (w *World) sayFarewell() {
	n := &w.notify
	w.readNotify()
	for len(w.farewells) > 0 {
		f := &w.farewells[0]
		if read := !n.stall && (!n.more || n.peeked >= f.upTo); !read && monotonic() < f.until {
			w.wakeFor(f.until)
			return
		}
		w.inputs.push(f.in, f.ack)
		w.farewells = w.farewells[1:]
	}
	w.farewells = nil
}

// wakeFor has the loop look again at the time at which the first end waits no longer.
func (w *World) wakeFor(until time.Duration) {
	if w.parting == 0 {
		w.parting = w.alarms.set(until, func() { w.parting = 0 })
	}
}
