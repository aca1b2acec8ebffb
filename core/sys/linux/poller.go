package linux

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/unit"
)

// poller is the engine's epoll: handlers by token, so that an event of a descriptor that
// was removed in the same batch finds nobody instead of a stranger with the same number.
type poller struct {
	fd       int
	last     uint64
	handlers map[uint64]func(events uint32)
	woken    func() // called before the handlers, if anything has happened; may be nil
	buf      [128]unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make an epoll: %w", err)
	}
	return &poller{fd: fd, handlers: make(map[uint64]func(uint32))}, nil
}

// add watches fd and returns the token for change and remove.
func (p *poller) add(fd int, events uint32, f func(events uint32)) (uint64, error) {
	p.last++
	ev := tokenEvent(p.last, events)
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return 0, fmt.Errorf("cannot watch descriptor %d: %w", fd, err)
	}
	p.handlers[p.last] = f
	return p.last, nil
}

func (p *poller) change(token uint64, fd int, events uint32) error {
	ev := tokenEvent(token, events)
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, fd, &ev); err != nil {
		return fmt.Errorf("cannot watch descriptor %d: %w", fd, err)
	}
	return nil
}

// remove ends a watch; call it before the descriptor is closed, because a duplicate
// elsewhere would keep the watch alive in the kernel.
func (p *poller) remove(token uint64, fd int) {
	if _, ok := p.handlers[token]; !ok {
		return
	}
	delete(p.handlers, token)
	// It was added and is still open: the call has no other way to fail.
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil)
}

// poll runs the handlers of what is ready, waiting at most until the deadline on the
// monotonic clock (0: not at all, unit.Infinity: for ever).
func (p *poller) poll(deadline time.Duration) error {
	n, err := unix.EpollWait(p.fd, p.buf[:], timeout(deadline))
	if err == unix.EINTR {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot wait for events: %w", err)
	}
	if n > 0 && p.woken != nil {
		p.woken()
	}
	for i := range p.buf[:n] {
		ev := &p.buf[i]
		token := uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32
		if f := p.handlers[token]; f != nil {
			f(ev.Events)
		}
	}
	return nil
}

func tokenEvent(token uint64, events uint32) unix.EpollEvent {
	return unix.EpollEvent{Events: events, Fd: int32(uint32(token)), Pad: int32(uint32(token >> 32))}
}

// never is a deadline that does not come.
const never = unit.Infinity

// timeout is epoll_wait's, rounded up so that the deadline has really passed.
func timeout(deadline time.Duration) int {
	if deadline == 0 {
		return 0
	}
	if deadline == never {
		return -1
	}
	left := deadline - monotonic()
	if left <= 0 {
		return 0
	}
	const longest = time.Hour // the loop comes back here anyway
	return int((min(left, longest) + time.Millisecond - 1) / time.Millisecond)
}

// alarms are the World's own deadlines; there are few at any time.
type alarms struct {
	list []alarm
	last uint64
}

type alarm struct {
	id uint64
	at time.Duration // monotonic
	f  func()
}

func (a *alarms) set(at time.Duration, f func()) uint64 {
	a.last++
	a.list = append(a.list, alarm{a.last, at, f})
	return a.last
}

func (a *alarms) cancel(id uint64) {
	for i := range a.list {
		if a.list[i].id == id {
			a.list = append(a.list[:i], a.list[i+1:]...)
			return
		}
	}
}

func (a *alarms) next() time.Duration {
	next := unit.Infinity
	for i := range a.list {
		next = min(next, a.list[i].at)
	}
	return next
}

func (a *alarms) run(now time.Duration) {
	for i := 0; i < len(a.list); {
		if due := a.list[i]; due.at <= now {
			a.list = append(a.list[:i], a.list[i+1:]...)
			due.f()
			i = 0 // f may have changed the list
			continue
		}
		i++
	}
}
