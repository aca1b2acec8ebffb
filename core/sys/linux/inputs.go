package linux

import "github.com/sysmaster-go/sysmaster/core/sys"

// inputs is what waits for Peek, and what was peeked and waits for Ack.
type inputs struct {
	last   uint64
	ready  []pending
	peeked map[uint64]func()
}

type pending struct {
	in  sys.Input
	ack func() // consumes it at its owner; nil: nothing to consume
}

// push queues an input. With ack it gets an id.
func (q *inputs) push(in sys.Input, ack func()) {
	if ack != nil {
		q.last++
		in.ID = q.last
	}
	q.ready = append(q.ready, pending{in, ack})
}

// pop appends at most max inputs to buf.
func (q *inputs) pop(buf []sys.Input, max int) []sys.Input {
	n := min(max, len(q.ready))
	for _, p := range q.ready[:n] {
		buf = append(buf, p.in)
		if p.ack != nil {
			q.peeked[p.in.ID] = p.ack
		}
	}
	if q.ready = q.ready[n:]; len(q.ready) == 0 {
		q.ready = nil // lets go of the array
	}
	return buf
}

func (q *inputs) ack(ids []uint64) {
	for _, id := range ids {
		if ack := q.peeked[id]; ack != nil {
			delete(q.peeked, id)
			ack()
		}
	}
}

// pushFirst queues an input, without ack, before all that wait.
func (q *inputs) pushFirst(in sys.Input) {
	q.ready = append([]pending{{in, nil}}, q.ready...)
}
