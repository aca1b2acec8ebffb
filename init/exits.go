package pid1

import "github.com/sysmaster-go/sysmaster/state/fdstore"

// record is one exit. Unwanted ones belong to processes that nobody has
// registered yet: the core may still do so, having just read their PID file.
type record struct {
	exit         fdstore.Exit
	wanted, sent bool
	gone         bool // acknowledged or given up; a hole until it is at the head
}

// exitLog keeps exits until they are acknowledged: a ring of fixed size,
// ordered by id, with holes.
type exitLog struct {
	ring     []record
	head, n  int
	nextID   uint64
	unwanted int
	waiting  int // sent and not acknowledged
	unsent   int // index from head before which nothing is to be sent
}

func newExitLog(size int) *exitLog { return &exitLog{ring: make([]record, max(size, 4)), nextID: 1} }

func (l *exitLog) at(i int) *record { return &l.ring[(l.head+i)%len(l.ring)] }

// room reports whether another exit can be kept.
func (l *exitLog) room() bool {
	if l.n == len(l.ring) {
		l.compact()
	}
	if l.n == len(l.ring) {
		l.forgetUnwanted()
		l.compact()
	}
	return l.n < len(l.ring)
}

// add keeps an exit and gives it its id. There must be room.
func (l *exitLog) add(e fdstore.Exit, wanted bool) fdstore.Exit {
	e.ID = l.nextID
	l.nextID++
	*l.at(l.n) = record{exit: e, wanted: wanted}
	l.n++
	if !wanted {
		if l.unwanted++; l.unwanted > len(l.ring)/4 {
			l.forgetUnwanted()
		}
	}
	return e
}

// forgetUnwanted gives the oldest unwanted exit up.
func (l *exitLog) forgetUnwanted() {
	for i := range l.n {
		if r := l.at(i); !r.gone && !r.wanted {
			l.drop(r)
			return
		}
	}
}

func (l *exitLog) drop(r *record) {
	if !r.wanted {
		l.unwanted--
	}
	if r.sent {
		l.waiting--
	}
	*r = record{exit: fdstore.Exit{ID: r.exit.ID}, gone: true}
	for l.n > 0 && l.ring[l.head].gone {
		l.head = (l.head + 1) % len(l.ring)
		l.n--
		l.unsent = max(l.unsent-1, 0)
	}
}

// compact closes the holes.
func (l *exitLog) compact() {
	kept := 0
	for i := range l.n {
		if r := l.at(i); !r.gone {
			*l.at(kept) = *r
			kept++
		}
	}
	l.n, l.unsent = kept, 0
}

// ack forgets an exit that was sent; an unknown id is an old one.
func (l *exitLog) ack(id uint64) {
	low, high := 0, l.n
	for low < high {
		mid := (low + high) / 2
		if l.at(mid).exit.ID < id {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < l.n && l.at(low).exit.ID == id && !l.at(low).gone && l.at(low).sent {
		l.drop(l.at(low))
	}
}

// want marks a process's exit, if it is here, as to be reported.
func (l *exitLog) want(pid int, start uint64) bool {
	for i := l.n - 1; i >= 0; i-- {
		r := l.at(i)
		if r.gone || r.exit.PID != pid || !sameStart(r.exit.StartTime, start) {
			continue
		}
		if !r.wanted {
			r.wanted = true
			l.unwanted--
			l.unsent = min(l.unsent, i)
		}
		return true
	}
	return false
}

// sameStart compares two start times; 0 is unknown and fits all.
func sameStart(a, b uint64) bool { return a == b || a == 0 || b == 0 }

// next is the oldest exit that is to be sent, or nil.
func (l *exitLog) next() *record {
	for ; l.unsent < l.n; l.unsent++ {
		if r := l.at(l.unsent); !r.gone && r.wanted && !r.sent {
			return r
		}
	}
	return nil
}

// markSent notes that the core has been told.
func (l *exitLog) markSent(r *record) { r.sent = true; l.waiting++ }

// resend begins anew for another core.
func (l *exitLog) resend() {
	for i := range l.n {
		l.at(i).sent = false
	}
	l.unsent, l.waiting = 0, 0
}
