package linux

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
)

// PostMax is how many requests wait at most for the engine.
const PostMax = 4096

// ErrBusy says that too many requests wait already.
var ErrBusy = errors.New("too many requests are waiting")

// ErrClosed says that the World has been closed.
var ErrClosed = errors.New("the world is closed")

// mailbox is the only way from other goroutines to the engine's.
type mailbox struct {
	fd int // eventfd in the engine's epoll

	mu     sync.Mutex
	rung   bool
	closed bool
	done   []func()
	posts  []any
}

func newMailbox() (*mailbox, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot make an eventfd: %w", err)
	}
	return &mailbox{fd: fd}, nil
}

// deliver has f run on the engine's goroutine. Never refused but after close: what is
// delivered is bounded by what was begun.
func (m *mailbox) deliver(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	m.done = append(m.done, f)
	m.ring()
}

func (m *mailbox) post(body any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return ErrClosed
	case len(m.posts) >= PostMax:
		return ErrBusy
	}
	m.posts = append(m.posts, body)
	m.ring()
	return nil
}

// ring wakes the engine, once per take. Called with mu held.
func (m *mailbox) ring() {
	if m.rung {
		return
	}
	m.rung = true
	// Adding 1 to a non-blocking eventfd fails only at 2^64-1.
	_, _ = unix.Write(m.fd, []byte{1, 1, 1, 1, 1, 1, 1, 1})
}

// take empties the mailbox.
func (m *mailbox) take() (done []func(), posts []any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rung {
		var b [8]byte
		_, _ = unix.Read(m.fd, b[:]) // resets the counter; EAGAIN says that it is
		m.rung = false
	}
	done, posts = m.done, m.posts
	m.done, m.posts = nil, nil
	return done, posts
}

func (m *mailbox) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.done, m.posts = nil, nil
	return unix.Close(m.fd)
}

// Post queues a client's request; it comes out of Peek as sys.Request{Body: body}. Safe
// for concurrent use. Errors: ErrBusy, ErrClosed.
func (w *World) Post(body any) error { return w.mail.post(body) }

func (w *World) takeMail() {
	done, posts := w.mail.take()
	for _, f := range done {
		f()
	}
	for _, body := range posts {
		w.inputs.push(sys.Input{Body: sys.Request{Body: body}}, nil)
	}
}
