package linux

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/unit"
)

// ErrInitGone says that init has closed its end of the channel: the core's time is over.
var ErrInitGone = errors.New("init has closed the channel")

// initBatch is how many of init's messages are taken in one go.
const initBatch = 256

// channel is the conversation with init.
type channel struct {
	welcome fdstore.Welcome
	greeted bool // Welcome came
	stored  bool // StoredEnd came
	token   uint64
	writing bool // epoll looks for room to write, too
	gone    bool
	adopted bool                   // Adopted came
	waiting map[uint32]func(error) // answers to Put and Drop
}

// greet says Hello and waits for everything that init keeps.
func (w *World) greet() error {
	if err := w.cfg.Init.Hello(); err != nil {
		return fmt.Errorf("cannot greet init: %w", err)
	}
	deadline := monotonic() + w.cfg.InitTimeout
	for !w.channel.stored {
		left := deadline - monotonic()
		if left <= 0 {
			return fmt.Errorf("cannot greet init: %w", unix.ETIMEDOUT)
		}
		fds := []unix.PollFd{{Fd: int32(w.cfg.Init.FD()), Events: unix.POLLIN}}
		if w.cfg.Init.Pending() > 0 {
			fds[0].Events |= unix.POLLOUT
		}
		if _, err := unix.Poll(fds, int(left/time.Millisecond)+1); err != nil && err != unix.EINTR {
			return fmt.Errorf("cannot greet init: %w", err)
		}
		w.readInit()
		if w.channel.gone {
			return fmt.Errorf("cannot greet init: %w", ErrInitGone)
		}
	}
	if w.channel.welcome.Version == 0 {
		return fmt.Errorf("cannot greet init: %w", fdstore.ErrVersion)
	}
	token, err := w.poll.add(w.cfg.Init.FD(), unix.EPOLLIN, func(uint32) { w.readInit() })
	w.channel.token = token
	return err
}

// AwaitAdoption waits until init lets this core, which is on trial (fdstore.RoleTrial), write and
// act. Before the engine's first turn.
func (w *World) AwaitAdoption(limit time.Duration) error {
	deadline := monotonic() + limit
	for !w.channel.adopted {
		if monotonic() >= deadline {
			return fmt.Errorf("cannot take over: %w", unix.ETIMEDOUT)
		}
		if w.channel.gone {
			return fmt.Errorf("cannot take over: %w", ErrInitGone)
		}
		w.flushInit()
		if err := w.poll.poll(deadline); err != nil {
			return err
		}
	}
	return nil
}

// readInit takes what init has sent, and gives init what was queued for it.
func (w *World) readInit() {
	for range initBatch {
		m, err := w.cfg.Init.Receive()
		switch {
		case err == nil:
			w.fromInit(m)
		case err == fdstore.ErrAgain:
			w.flushInit()
			return
		case errors.Is(err, io.EOF):
			w.initGone()
			return
		case errors.As(err, new(*fdstore.ConnError)):
			w.note("", "init", err)
			w.initGone()
			return
		default:
			w.note("", "init", err) // one bad packet, consumed
		}
	}
}

// flushInit sends what is queued and has epoll tell when the rest can go.
func (w *World) flushInit() {
	if w.cfg.Init == nil || w.channel.gone {
		return
	}
	if w.cfg.Init.Pending() > 0 {
		if err := w.cfg.Init.Flush(); err != nil {
			w.toInit("", err)
			return
		}
	}
	pending := w.cfg.Init.Pending() > 0
	if pending == w.channel.writing || w.channel.token == 0 {
		return
	}
	events := uint32(unix.EPOLLIN)
	if pending {
		events |= unix.EPOLLOUT
	}
	if err := w.poll.change(w.channel.token, w.cfg.Init.FD(), events); err != nil {
		w.note("", "init", err)
		return
	}
	w.channel.writing = pending
}

// toInit looks after the error of a message to init.
func (w *World) toInit(u unit.Name, err error) {
	if err == nil {
		return
	}
	w.note(u, "init", err)
	if errors.Is(err, io.EOF) {
		w.initGone()
	}
}

func (w *World) initGone() {
	if w.channel.gone {
		return
	}
	w.channel.gone = true
	w.poll.remove(w.channel.token, w.cfg.Init.FD())
	for seq, f := range w.channel.waiting {
		delete(w.channel.waiting, seq)
		f(ErrInitGone)
	}
	w.note("", "init", ErrInitGone)
}

func (w *World) fromInit(m fdstore.Message) {
	switch m.Kind {
	case fdstore.KindWelcome:
		w.channel.welcome, w.channel.greeted = m.Welcome, true
	case fdstore.KindStored:
		w.restoreFD(m.Key, m.FD)
	case fdstore.KindStoredEnd:
		w.channel.stored = true
	case fdstore.KindExit:
		w.exitRecord(m.Exit)
	case fdstore.KindSignal:
		w.inputs.push(sys.Input{Body: sys.Signal{Number: m.Signal}}, func() {
			w.toInit("", w.cfg.Init.AckSignal(m.ID))
		})
	case fdstore.KindPutResult:
		f := w.channel.waiting[m.Seq]
		delete(w.channel.waiting, m.Seq)
		if f == nil {
			return // nobody cares, as after DropPrefix of leftovers
		}
		if m.Errno != 0 {
			f(m.Errno)
		} else {
			f(nil)
		}
	case fdstore.KindAdopted:
		w.channel.adopted = true
	case fdstore.KindOutcome, fdstore.KindAbout:
		if w.cfg.Told != nil {
			w.cfg.Told(m)
		}
	default:
		closeFD(m.FD)
	}
}

// exitRecord turns init's record of an exit into an input.
func (w *World) exitRecord(e fdstore.Exit) {
	ack := func() { w.toInit("", w.cfg.Init.AckExit(e.ID)) }
	p := w.followed[e.PID]
	if p != nil && e.StartTime != 0 && p.Start != e.StartTime {
		p = nil // an earlier process with this number
	}
	if p != nil && p.gone {
		ack() // it came too late: its end has been told as unknown
		return
	}
	in := sys.Input{
		CGroup: relative(w.cfg.CGroupPath, e.Cgroup),
		Body: unit.Exited{
			Proc: unit.Proc{PID: e.PID, Start: e.StartTime},
			Exit: unit.Exit{Code: exitCode(e.Code), Status: int(e.Status)},
		},
	}
	if p == nil {
		w.records = append(w.records, record{e, in.CGroup})
		w.pushEnd(in, func() { w.dropRecord(e.ID); ack() })
		return
	}
	if p.alarm != 0 {
		w.alarms.cancel(p.alarm)
		p.alarm = 0
	}
	p.gone = true
	w.pushEnd(p.exited(in.Body.(unit.Exited).Exit), func() {
		ack()
		w.forget(p)
	})
	w.exitTold(p.unit, p.cgroup)
}

// record is an exit of a process that nobody follows (yet): what Probe looks at.
type record struct {
	fdstore.Exit
	cgroup string
}

func (w *World) dropRecord(id uint64) {
	for i := range w.records {
		if w.records[i].ID == id {
			w.records = append(w.records[:i], w.records[i+1:]...)
			return
		}
	}
}

// recorded reports whether init's record of this process's exit waits here.
func (w *World) recorded(p unit.Proc) bool {
	for i := range w.records {
		if w.records[i].PID == p.PID && (w.records[i].StartTime == 0 || w.records[i].StartTime == p.Start) {
			return true
		}
	}
	return false
}

// shutdown hands the machine over.
func (w *World) shutdown(s sys.Shutdown) error {
	verbs := [...]fdstore.Verb{fdstore.VerbPoweroff, fdstore.VerbReboot, fdstore.VerbHalt, fdstore.VerbKexec, fdstore.VerbExit}
	for _, v := range verbs {
		if v.String() != s.Verb {
			continue
		}
		if w.cfg.Init == nil {
			return fmt.Errorf("cannot %s: %w", s.Verb, fdstore.ErrNoInit)
		}
		if err := w.cfg.Init.Shutdown(fdstore.Shutdown{Verb: v, Code: uint8(s.Code)}); err != nil {
			return fmt.Errorf("cannot %s: %w", s.Verb, err)
		}
		return nil
	}
	return fmt.Errorf("cannot shut down: unknown verb %q", s.Verb)
}
