package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/sysmaster-go/sysmaster/core/client"
)

// worker starts, stops and ends the members that are its own, one after the other, until
// nobody wants it any more. It ends with all of them up.
func (b *bench) worker(ctx context.Context, mine []member, rng *rand.Rand) {
	c := b.connect()
	defer c.Close()
	for ctx.Err() == nil && len(mine) > 0 {
		m := mine[rng.IntN(len(mine))]
		o := choose(m.kind, rng)
		wait := time.Duration(rng.IntN(20)) * time.Millisecond
		b.quiet.RLock()
		b.do(c, m, o)
		if o.leavesDown(m.kind) {
			b.do(c, m, order{verb: verbStart})
		}
		b.quiet.RUnlock()
		pause(ctx, wait)
	}
}

// choose picks what is done to a service next.
func choose(k kind, rng *rand.Rand) order {
	n := rng.IntN(10)
	switch {
	case k == kindOneshot && n < 5:
		return order{verb: verbRestart}
	case k == kindOneshot:
		return order{verb: verbStop}
	case n < 3:
		return order{verb: verbRestart}
	case n < 5 && k != kindSocket: // clients would start it again
		return order{verb: verbStop}
	case n < 6:
		return order{verb: verbDie, status: 9, delay: rng.IntN(20000)}
	}
	return order{verb: verbExit, status: rng.IntN(40), delay: rng.IntN(20000)}
}

// leavesDown says whether a service has to be started again after an order.
func (o order) leavesDown(k kind) bool {
	return o.verb == verbStop || (o.verb == verbExit || o.verb == verbDie) && !k.returns()
}

// do carries out one order and judges it. It does not end early with the program: what was
// begun is judged.
func (b *bench) do(c *client.Client, m member, o order) {
	before, err := readLife(b.o.dir, m.name)
	if err != nil {
		b.ledger.add(finding{Loss: lostSight, Unit: m.unit(), Text: err.Error()})
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), b.o.patience)
	defer stop()
	switch o.verb {
	case verbExit, verbDie:
		err = command(ctx, b.o.dir, m.name, fmt.Sprintf("%s %d %d", o.verb, o.status, o.delay))
		b.counts.exits.Add(1)
	default:
		err = b.job(ctx, c, m, &o)
	}
	if err != nil {
		b.ledger.add(finding{Loss: lostJob, Unit: m.unit(), Text: fmt.Sprintf("%s service, %s: %v", m.kind, o.verb, err)})
		return
	}
	b.ledger.addAll(b.settle(c, m, o, before, b.o.patience))
}

// job asks for a job and waits for its end.
func (b *bench) job(ctx context.Context, c *client.Client, m member, o *order) error {
	v := map[verb]client.Verb{verbStart: client.Start, verbStop: client.Stop, verbRestart: client.Restart}[o.verb]
	j, err := c.Enqueue(ctx, v, m.unit(), "replace")
	var lost *client.LostError
	if errors.As(err, &lost) {
		o.maybe = true
		b.counts.unacknowledged.Add(1)
		return nil
	}
	if err != nil {
		return fmt.Errorf("it was refused: %w", err)
	}
	b.counts.jobs.Add(1)
	out, err := c.Wait(ctx, j)
	if err != nil {
		return fmt.Errorf("job %d was acknowledged and did not end: %w", j.ID, err)
	}
	o.result = out.Result
	if out.Result != "done" {
		return fmt.Errorf("job %d was acknowledged and ended with %q", j.ID, out.Result)
	}
	return nil
}

// settle judges until nothing is wrong any more, or the patience, limit, ends. What is too much once
// stays too much, so that it ends the wait.
func (b *bench) settle(c *client.Client, m member, o order, before life, limit time.Duration) []finding {
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	wait := time.Millisecond
	var list, last []finding
	for {
		after, err := readLife(b.o.dir, m.name)
		var s said
		// The manager is asked when the facts are there.
		if list = facts(m, o, before, after); err == nil && len(list) == 0 {
			if s, err = ask(ctx, c, m.unit()); err == nil && !s.job {
				after, err = readLife(b.o.dir, m.name) // not older than the manager's word
				list = judge(m, o, before, after, s)
			}
		}
		switch {
		case err != nil && ctx.Err() != nil && len(last) > 0:
			return last // what is wrong, and not that the time was up in the middle of a question
		case err != nil:
			list = []finding{{Loss: lostSight, Unit: m.unit(), Text: err.Error()}}
		case len(list) == 0 && s.job:
			list = []finding{{Loss: lostSight, Unit: m.unit(), Text: "it has a job that does not end, and the manager calls it " + s.active}}
		}
		last = list
		if err == nil && len(list) == 0 || ctx.Err() != nil || final(m, o, before, after) {
			return list
		}
		pause(ctx, wait)
		wait = min(2*wait, 50*time.Millisecond)
	}
}

// command tells a service what to do; one that is coming up is waited for.
func command(ctx context.Context, dir, name, text string) error {
	for {
		c, err := net.Dial("unixgram", controlPath(dir, name))
		if err == nil {
			if end, limited := ctx.Deadline(); limited { // its queue may be full
				err = c.SetDeadline(end)
			}
			if err == nil {
				_, err = c.Write([]byte(text))
			}
			err = errors.Join(err, c.Close())
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, time.Millisecond)
	}
}
