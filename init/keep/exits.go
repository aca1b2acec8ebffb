package keep

import (
	"cmp"
	"slices"

	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// Exits keeps exits until they are acknowledged, ordered by id. Unwanted ones belong to processes
// that nobody has registered yet: the core may still do so, having just read their PID file. There
// is room for all that it may keep from the beginning, but for exits of registered processes,
// whose number the caller bounds. What is acknowledged leaves a hole, an exit without a PID.
type Exits struct {
	list     []handover.Exit
	head     int // before it is nothing
	unsent   int // before it is nothing that is to be sent
	holes    int // from head on
	size     int // for all but the registered
	sure     int
	unwanted int
	waiting  int // sent and not acknowledged
	nextID   uint64
}

// NewExits makes room for size exits, 4 at least.
func NewExits(size int) *Exits {
	size = max(size, 4)
	return &Exits{list: make([]handover.Exit, 0, 2*size), size: size, nextID: 1}
}

// Room reports whether another exit can be kept.
func (l *Exits) Room() bool {
	if l.bounded() >= l.size && l.unwanted > 0 {
		l.forgetUnwanted()
	}
	return l.bounded() < l.size
}

// bounded is how many exits are kept that size bounds.
func (l *Exits) bounded() int { return len(l.list) - l.head - l.holes - l.sure }

// Registered is how many exits of registered processes are kept.
func (l *Exits) Registered() int { return l.sure }

// AddRegistered keeps the exit of a registered process, for which there is
// always room, and gives it its id.
func (l *Exits) AddRegistered(e fdstore.Exit) fdstore.Exit {
	l.sure++
	return l.add(handover.Exit{Exit: e, Wanted: true, Sure: true})
}

// Add keeps an exit and gives it its id. There must be room.
func (l *Exits) Add(e fdstore.Exit, wanted bool) fdstore.Exit {
	e = l.add(handover.Exit{Exit: e, Wanted: wanted})
	if !wanted {
		if l.unwanted++; l.unwanted > l.size/4 {
			l.forgetUnwanted()
		}
	}
	return e
}

func (l *Exits) add(r handover.Exit) fdstore.Exit {
	if len(l.list) == cap(l.list) && l.head+l.holes >= len(l.list)/2 {
		live := slices.DeleteFunc(l.list[l.head:], gone)
		l.list = l.list[:copy(l.list, live)]
		l.head, l.unsent, l.holes = 0, 0, 0
	}
	r.ID = l.nextID
	l.nextID++
	l.list = append(l.list, r)
	return r.Exit
}

func gone(r handover.Exit) bool { return r.PID == 0 }

// forgetUnwanted gives the oldest unwanted exit up.
func (l *Exits) forgetUnwanted() {
	for i := l.head; i < len(l.list); i++ {
		if r := &l.list[i]; !gone(*r) && !r.Wanted {
			l.drop(r)
			return
		}
	}
}

func (l *Exits) drop(r *handover.Exit) {
	if !r.Wanted {
		l.unwanted--
	}
	if r.Sent {
		l.waiting--
	}
	if r.Sure {
		l.sure--
	}
	*r = handover.Exit{Exit: fdstore.Exit{ID: r.ID}}
	l.holes++
	for l.head < len(l.list) && gone(l.list[l.head]) {
		l.head++
		l.holes--
	}
	if l.head < len(l.list) {
		return
	}
	l.list, l.head, l.unsent = l.list[:0], 0, 0 // again from the beginning: less memory is touched
	if cap(l.list) > 2*l.size {                 // a storm is over
		l.list = make([]handover.Exit, 0, 2*l.size)
	}
}

// Ack forgets an exit that was sent; an unknown id is an old one.
func (l *Exits) Ack(id uint64) {
	i, known := slices.BinarySearchFunc(l.list[l.head:], id, func(r handover.Exit, id uint64) int { return cmp.Compare(r.ID, id) })
	if known && l.list[l.head+i].Sent {
		l.drop(&l.list[l.head+i])
	}
}

// Want marks a process's exit, if it is here, as to be reported.
func (l *Exits) Want(pid int, start uint64) bool {
	for i := len(l.list) - 1; i >= l.head; i-- {
		r := &l.list[i]
		if r.PID != pid || !SameStart(r.StartTime, start) {
			continue
		}
		if !r.Wanted {
			r.Wanted = true
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
	for i := l.head; i < len(l.list); i++ {
		l.list[i].Wanted = true
	}
	l.unwanted, l.unsent = 0, l.head
}

// SameStart compares two start times; 0 is unknown and fits all.
func SameStart(a, b uint64) bool { return a == b || a == 0 || b == 0 }

// Next is the oldest exit that is to be sent, or nil.
func (l *Exits) Next() *handover.Exit {
	for l.unsent = max(l.unsent, l.head); l.unsent < len(l.list); l.unsent++ {
		if r := &l.list[l.unsent]; !gone(*r) && r.Wanted && !r.Sent {
			return r
		}
	}
	return nil
}

// MarkSent notes that the core has been told.
func (l *Exits) MarkSent(r *handover.Exit) { r.Sent = true; l.waiting++ }

// Resend begins anew for another core.
func (l *Exits) Resend() {
	for i := range l.list {
		l.list[i].Sent = false
	}
	l.unsent, l.waiting = l.head, 0
}

// Waiting is how many exits were sent and not acknowledged.
func (l *Exits) Waiting() int { return l.waiting }

// All gives what is kept, in order, and the id of the next exit.
func (l *Exits) All() (list []handover.Exit, nextID uint64) {
	return slices.DeleteFunc(slices.Clone(l.list[l.head:]), gone), l.nextID
}

// Restore adds what All has given, to a log that is empty.
func (l *Exits) Restore(list []handover.Exit, nextID uint64) {
	l.list = append(l.list, list...)
	l.nextID = max(l.nextID, nextID)
	for _, r := range list {
		if !r.Wanted {
			l.unwanted++
		}
		if r.Sent {
			l.waiting++
		}
		if r.Sure {
			l.sure++
		}
		l.nextID = max(l.nextID, r.ID+1)
	}
}
