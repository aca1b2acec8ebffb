package pid1

import (
	"io"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/event"
	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/init/keep"
	"github.com/sysmaster-go/sysmaster/init/process"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

const (
	resultsMax = 256   // answers to Put and Drop that wait for room
	badMax     = 1000  // packets that a core may send wrong before it counts as broken
	backlogMax = 128   // descriptors that wait to be closed
	drainMax   = 65536 // packets of a dead core; more cannot lie in a socket
)

// receive handles what the core sent, but not more than the answers have room
// for, and not so much that others wait.
func (k *keeper) receive(now time.Time) {
	for range 256 {
		if k.core.Deaf {
			k.core.results = k.core.results[:0]
		}
		if !k.listens() {
			return
		}
		if !k.receiveOne(now) {
			return
		}
	}
	k.again = true
}

// listens reports whether the core is to be heard: not while what it has already
// asked for waits for its answer, or for closes that hang.
func (k *keeper) listens() bool {
	return k.core.conn != nil && len(k.core.results) < resultsMax && k.store.Backlog() < backlogMax
}

// drain takes the last words of a dead core: what it sent counts, nobody answers.
func (k *keeper) drain(now time.Time) {
	for range drainMax {
		k.core.results = k.core.results[:0]
		if !k.listens() || !k.receiveOne(now) {
			return
		}
	}
}

func (k *keeper) receiveOne(now time.Time) bool {
	m, err := k.core.conn.Receive()
	switch {
	case err == nil && m.Kind.FromCore():
		k.handle(now, m)
	case err == fdstore.ErrAgain:
		return false
	case err == io.EOF:
		k.closeChannel() // if it lives on without it, the watch for hangs ends that
		return false
	default:
		if m.FD >= 0 {
			k.store.Close(m.FD)
		}
		if err == nil {
			err = fdstore.ErrMalformed // our own kinds, from the core
		}
		k.bad(now, err)
	}
	return true
}

// bad notes a packet that cannot be understood. Each is dropped for itself; a
// core that sends nothing else is treated like one that hangs.
func (k *keeper) bad(now time.Time, err error) {
	c := &k.core
	if c.Bad++; c.Bad == 1 {
		k.tell(event.Event{Kind: event.BadMessage, Err: err})
	}
	if c.Bad == badMax && c.killAt.IsZero() {
		k.abort(now)
	}
}

func (k *keeper) handle(now time.Time, m fdstore.Message) {
	c := &k.core
	switch m.Kind {
	case fdstore.KindHello:
		if c.Hello {
			k.bad(now, fdstore.ErrMalformed)
			return
		}
		c.Hello, c.Version = true, min(m.Version, fdstore.Version)
		c.Unsent = k.store.Keys()
		k.programs.aboutSent = false
	case fdstore.KindPulse:
		k.spoke(now, m.Next, m.Turn > 0)
	case fdstore.KindAlive:
		next := k.cfg.HangIdle
		if m.Busy {
			next = 0
		}
		k.spoke(now, next, true)
	case fdstore.KindPut:
		if keep.Own(m.Key) {
			keep.Release(m.FD) // -1 does no harm
			k.answer(m, unix.EPERM)
			return
		}
		k.answer(m, k.store.Put(m.Key, m.FD))
	case fdstore.KindDrop:
		if keep.Own(m.Key) {
			k.answer(m, unix.EPERM)
			return
		}
		k.answer(m, k.store.Drop(m.Key))
	case fdstore.KindDropPrefix:
		k.answer(m, k.store.DropPrefix(m.Key))
	case fdstore.KindRegister:
		k.register(m.PID, m.Start)
	case fdstore.KindUnregister:
		if start, ok := k.registered[m.PID]; ok && keep.SameStart(start, m.Start) {
			delete(k.registered, m.PID)
		}
	case fdstore.KindAckExit:
		k.exits.Ack(m.ID)
	case fdstore.KindAckSignal:
		k.signalTaken(now, m.ID)
	case fdstore.KindShutdown:
		k.endWith(m.Shutdown, "the core asks for it")
	case fdstore.KindUpgrade:
		k.upgradeAsked(now, m)
	case fdstore.KindHealthy:
		k.healthy(now, m.Upgrade.To)
	}
}

// spoke notes that the core's loop goes round.
func (k *keeper) spoke(now time.Time, next time.Duration, turned bool) {
	c := &k.core
	c.watch.Spoke(now, next, turned, k.exits.Waiting() > 0 || k.signalsWaiting())
	if turned && !c.Turned {
		c.Turned = true
		c.oomKills, c.oomKnown = k.oomKills()
		if c.hurried && process.CalmChild(c.PID) {
			k.hurry = hurryNever
			k.tell(event.Event{Kind: event.Internal, Text: "the core does not give its real-time priority up", Err: unix.ENOTSUP})
		}
		k.tell(event.Event{Kind: event.CoreReady, PID: c.PID, Generation: k.Generation})
	}
}

func (k *keeper) answer(m fdstore.Message, errno syscall.Errno) {
	k.core.results = append(k.core.results, fdstore.Message{Kind: fdstore.KindPutResult, Seq: m.Seq, Errno: errno})
	if errno != 0 {
		k.tell(event.Event{Kind: event.Store, Text: "cannot change what is kept as " + m.Key, Err: errno})
	}
}

func (k *keeper) register(pid int, start uint64) {
	if k.exits.Want(pid, start) {
		return // it is dead already; here is the exit
	}
	if _, known := k.registered[pid]; !known && !k.mayRegister() {
		k.tell(event.Event{Kind: event.Registration, PID: pid, Err: unix.ENOSPC})
		return
	}
	k.registered[pid] = start
}

// mayRegister bounds the registered processes, living and dead. Those that the
// core reaped itself, and never took back, make room.
func (k *keeper) mayRegister() bool {
	if len(k.registered)+k.exits.Registered() < k.cfg.MaxRegistered {
		return true
	}
	if k.pruned++; k.pruned%1024 != 1 { // it looks at them all: not for each refusal
		return false
	}
	for pid := range k.registered {
		if unix.Kill(pid, 0) == unix.ESRCH {
			delete(k.registered, pid)
		}
	}
	return len(k.registered)+k.exits.Registered() < k.cfg.MaxRegistered
}

// send sends what the core does not know yet, as far as it takes it. Nothing
// is queued for it but results: all else is state, looked up when there is room.
func (k *keeper) send(now time.Time) {
	c := &k.core
	progress := false
	for c.conn != nil && c.Hello && !c.Deaf {
		m, sent := k.nextMessage(now)
		if sent == nil {
			c.blocked, c.stuck = false, false
			return
		}
		switch err := c.conn.Send(m); err {
		case nil:
			sent()
			progress = true
		case fdstore.ErrAgain:
			// Writable and yet refused: a limit of the kernel that poll does not show.
			c.stuck = c.blocked && !progress
			c.blocked = true
			return
		case io.EOF: // what it sent before is still to be read: only receive closes
			c.Deaf, c.blocked = true, false
			return
		default:
			k.tell(event.Event{Kind: event.BadMessage, Err: err})
			sent() // it will not do better a second time
		}
	}
}

// nextMessage gives the next message and what to note once it is sent.
func (k *keeper) nextMessage(now time.Time) (fdstore.Message, func()) {
	c := &k.core
	if !c.Welcomed {
		return fdstore.Message{Kind: fdstore.KindWelcome, Welcome: k.welcome()}, func() { c.Welcomed = true }
	}
	for ; len(c.Unsent) > 0; c.Unsent = c.Unsent[1:] {
		if fd, ok := k.store.Get(c.Unsent[0]); ok {
			return fdstore.Message{Kind: fdstore.KindStored, Key: c.Unsent[0], FD: fd}, func() {
				c.Unsent = c.Unsent[1:]
				c.Stored++
			}
		}
	}
	if !c.Complete {
		// What ended while no core ran comes before it: a core that looks for the process of a
		// spawn that the one before may have made must not miss it among the dead.
		if r := k.exits.Next(); r != nil {
			return k.exitMessage(now, r)
		}
		return fdstore.Message{Kind: fdstore.KindStoredEnd, Count: c.Stored}, func() { c.Complete = true }
	}
	if c.adopted {
		return fdstore.Message{Kind: fdstore.KindAdopted, Upgrade: fdstore.Upgrade{ID: k.Outcome.ID}}, func() { c.adopted = false }
	}
	if k.Outcome.Result != fdstore.ResultNone && !c.outcomeSent && !c.trial && c.Version >= 2 {
		return fdstore.Message{Kind: fdstore.KindOutcome, Upgrade: k.Outcome}, func() { c.outcomeSent = true }
	}
	if c.Healthy && !k.programs.aboutSent {
		return fdstore.Message{Kind: fdstore.KindAbout, About: k.about(now)}, func() { k.programs.aboutSent = true }
	}
	if len(c.results) > 0 {
		return c.results[0], func() { c.results = c.results[:copy(c.results, c.results[1:])] }
	}
	for n := 1; n <= process.SignalMax; n++ {
		if p := &k.pending[n]; p.id != 0 && !p.sent {
			return fdstore.Message{Kind: fdstore.KindSignal, ID: p.id, Signal: n}, func() { p.sent = true; c.watch.Sent(now) }
		}
	}
	if r := k.exits.Next(); r != nil {
		return k.exitMessage(now, r)
	}
	return fdstore.Message{}, nil
}

func (k *keeper) exitMessage(now time.Time, r *handover.Exit) (fdstore.Message, func()) {
	return fdstore.Message{Kind: fdstore.KindExit, Exit: r.Exit}, func() { k.exits.MarkSent(r); k.core.watch.Sent(now) }
}

func (k *keeper) welcome() fdstore.Welcome {
	w := fdstore.Welcome{
		Version: k.core.Version, Generation: k.Generation, Cause: k.LastCause,
		Code: k.LastExit.Code, Status: k.LastExit.Status, Lost: k.Lost,
		Idle: k.cfg.HangIdle, Busy: k.cfg.HangBusy,
	}
	if w.Idle < 0 {
		w.Idle, w.Busy = 0, 0
	}
	return w
}

func (k *keeper) closeChannel() {
	if k.core.conn != nil {
		keep.Release(k.core.conn.FD())
		k.core.conn = nil
	}
}
