package main

import (
	"context"
	"fmt"
	"time"
)

// talkersPerKill is how many services notify during one kill. They wake up while the next core starts, and what they take of
// the processors is not to be taken for its recovery: over the rounds all of them have their turn, and the attack storm has
// all of them speak at once.
const talkersPerKill = 4

// talk is what some steady services say while there is no core.
type talk struct {
	no   int // what they say
	list []member
	sent []time.Time // by when it was seen that it had been sent; zero: it was not
	over chan struct{}
}

// talk has the next few steady services notify, beside the caller. The core must be dead.
func (b *bench) talk(ctx context.Context) *talk {
	all := b.talkers()
	b.noteNo++
	t := &talk{no: b.noteNo, over: make(chan struct{})}
	for range min(talkersPerKill, len(all)) {
		t.list = append(t.list, all[b.talked%len(all)])
		b.talked++
	}
	t.sent = make([]time.Time, len(t.list))
	go func() {
		defer close(t.over)
		for i, m := range t.list {
			if l, err := readLife(b.o.dir, m.name); err != nil || !l.alive {
				continue // verifySteady says so
			}
			err := command(ctx, b.o.dir, m.name, fmt.Sprintf("note %d 0", t.no))
			if err == nil && b.awaitNote(m, t.no, time.Now().Add(b.o.patience)) {
				t.sent[i] = time.Now()
			}
		}
	}()
	return t
}

// heard waits until the manager shows all that was said, and counts what was said before answer, when the first core answered.
func (b *bench) heard(t *talk, answer time.Time) {
	<-t.over
	ctx, stop := context.WithTimeout(context.Background(), b.o.patience)
	defer stop()
	c := b.connect()
	defer c.Close()
	for i, m := range t.list {
		if t.sent[i].IsZero() {
			continue
		}
		if t.sent[i].Before(answer) {
			b.counts.notifications.Add(1)
		}
		if got, ok := b.shown(ctx, c, m, t.no); !ok {
			b.ledger.add(finding{Loss: lostNotification, Unit: m.unit(), Text: fmt.Sprintf("it sent %d, and the manager shows %q", t.no, got)})
		}
	}
}

// talkers are the services that notify and that nobody touches.
func (b *bench) talkers() (list []member) {
	for _, m := range b.fleet {
		if !m.churn && m.kind.notifies() {
			list = append(list, m)
		}
	}
	return list
}
