package keep

import "github.com/sysmaster-go/sysmaster/state/fdstore"

// Record is one exit. Unwanted ones belong to processes that nobody has
// registered yet: the core may still do so, having just read their PID file.
type Record struct {
	Exit         fdstore.Exit
	wanted, sent bool
	sure         bool // registered while it lived: takes no room from the others, nor they from it
	gone         bool // acknowledged or given up; a hole until it is at the head
}

// Exits keeps exits until they are acknowledged: a ring ordered by id, with
// holes. It grows only for exits of registered processes, whose number the
// caller bounds.
type Exits struct {
	ring     []Record
	size     int // for all but the registered
	head, n  int // n: with holes
	holes    int
	sure     int
	nextID   uint64
	unwanted int
	waiting  int // sent and not acknowledged
	unsent   int // index from head before which nothing is to be sent
}

// NewExits makes room for size exits, 4 at least.
func NewExits(size int) *Exits {
	size = max(size, 4)
	return &Exits{ring: make([]Record, size), size: size, nextID: 1}
}

func (l *Exits) at(i int) *Record { return &l.ring[(l.head+i)%len(l.ring)] }

// Room reports whether another exit can be kept.
func (l *Exits) Room() bool {
	if l.n-l.sure >= l.size {
		l.compact()
	}
	if l.n-l.sure >= l.size && l.unwanted > 0 {
		l.forgetUnwanted()
		l.compact()
	}
	return l.n-l.sure < l.size
}

// Registered is how many exits of registered processes are kept.
func (l *Exits) Registered() int { return l.sure }

// AddRegistered keeps the exit of a registered process, for which there is
// always room, and gives it its id.
func (l *Exits) AddRegistered(e fdstore.Exit) fdstore.Exit {
	l.sure++
	return l.add(Record{Exit: e, wanted: true, sure: true})
}

// Add keeps an exit and gives it its id. There must be room.
func (l *Exits) Add(e fdstore.Exit, wanted bool) fdstore.Exit {
	e = l.add(Record{Exit: e, wanted: wanted})
	if !wanted {
		if l.unwanted++; l.unwanted > l.size/4 {
			l.forgetUnwanted()
		}
	}
	return e
}

func (l *Exits) add(r Record) fdstore.Exit {
	if l.n == len(l.ring) {
		l.compact()
	}
	if l.n == len(l.ring) {
		ring := make([]Record, 2*len(l.ring))
		for i := range l.n {
			ring[i] = *l.at(i)
		}
		l.ring, l.head = ring, 0
	}
	r.Exit.ID = l.nextID
	l.nextID++
	*l.at(l.n) = r
	l.n++
	return r.Exit
}

// forgetUnwanted gives the oldest unwanted exit up.
func (l *Exits) forgetUnwanted() {
	for i := range l.n {
		if r := l.at(i); !r.gone && !r.wanted {
			l.drop(r)
			return
		}
	}
}

func (l *Exits) drop(r *Record) {
	if !r.wanted {
		l.unwanted--
	}
	if r.sent {
		l.waiting--
	}
	if r.sure {
		l.sure--
	}
	*r = Record{Exit: fdstore.Exit{ID: r.Exit.ID}, gone: true}
	l.holes++
	for l.n > 0 && l.ring[l.head].gone {
		l.head = (l.head + 1) % len(l.ring)
		l.n--
		l.holes--
		l.unsent = max(l.unsent-1, 0)
	}
	if l.n == 0 && len(l.ring) > l.size { // a storm is over
		l.ring, l.head = make([]Record, l.size), 0
	}
}

// compact closes the holes.
func (l *Exits) compact() {
	if l.holes == 0 {
		return
	}
	kept := 0
	for i := range l.n {
		if r := l.at(i); !r.gone {
			*l.at(kept) = *r
			kept++
		}
	}
	l.n, l.unsent, l.holes = kept, 0, 0
}

// Ack forgets an exit that was sent; an unknown id is an old one.
func (l *Exits) Ack(id uint64) {
	low, high := 0, l.n
	for low < high {
		mid := (low + high) / 2
		if l.at(mid).Exit.ID < id {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < l.n && l.at(low).Exit.ID == id && !l.at(low).gone && l.at(low).sent {
		l.drop(l.at(low))
	}
}

// Want marks a process's exit, if it is here, as to be reported.
func (l *Exits) Want(pid int, start uint64) bool {
	for i := l.n - 1; i >= 0; i-- {
		r := l.at(i)
		if r.gone || r.Exit.PID != pid || !SameStart(r.Exit.StartTime, start) {
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

// WantAll marks everything as to be reported. A dying core's children become
// init's a moment before its own death can be seen (the kernel's exit_notify):
// their exits look like those of processes that a living core did not care for.
func (l *Exits) WantAll() {
	for i := range l.n {
		if r := l.at(i); !r.gone {
			r.wanted = true
		}
	}
	l.unwanted, l.unsent = 0, 0
}

// SameStart compares two start times; 0 is unknown and fits all.
func SameStart(a, b uint64) bool { return a == b || a == 0 || b == 0 }

// Next is the oldest exit that is to be sent, or nil.
func (l *Exits) Next() *Record {
	for ; l.unsent < l.n; l.unsent++ {
		if r := l.at(l.unsent); !r.gone && r.wanted && !r.sent {
			return r
		}
	}
	return nil
}

// MarkSent notes that the core has been told.
func (l *Exits) MarkSent(r *Record) { r.sent = true; l.waiting++ }

// Resend begins anew for another core.
func (l *Exits) Resend() {
	for i := range l.n {
		l.at(i).sent = false
	}
	l.unsent, l.waiting = 0, 0
}

// Waiting is how many exits were sent and not acknowledged.
func (l *Exits) Waiting() int { return l.waiting }

// Each calls fn with all that is kept, in order, and gives the id of the next exit.
func (l *Exits) Each(fn func(e fdstore.Exit, wanted, sent bool)) (nextID uint64) {
	for i := range l.n {
		if r := l.at(i); !r.gone {
			fn(r.Exit, r.wanted, r.sent)
		}
	}
	return l.nextID
}

// Restore adds one exit that Each has given, to a log of no others but such.
func (l *Exits) Restore(e fdstore.Exit, wanted, sent bool) {
	if l.n == len(l.ring) { // this init was told to keep fewer
		ring := make([]Record, 2*len(l.ring))
		copy(ring, l.ring)
		l.ring = ring
	}
	l.ring[l.n] = Record{Exit: e, wanted: wanted, sent: sent}
	l.n++
	if !wanted {
		l.unwanted++
	}
	if sent {
		l.waiting++
	}
	l.nextID = max(l.nextID, e.ID+1)
}

// Continue sets the id of the next exit.
func (l *Exits) Continue(nextID uint64) { l.nextID = max(l.nextID, nextID) }
