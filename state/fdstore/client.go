package fdstore

import (
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// QueueMax is how many messages a Client holds back while init does not read.
const QueueMax = 4096

// Client is the core's end. All methods are safe for concurrent use and none
// blocks. What init cannot take at once is queued, in order; while Pending is
// not 0, watch FD for writing too and call Flush.
type Client struct {
	mu      sync.Mutex
	conn    *Conn
	queue   []Message // descriptors in it are our own duplicates
	seq     uint32
	version uint8 // that Welcome agreed on
}

// NewClient takes over the inherited descriptor; see NewConn.
func NewClient(fd int) (*Client, error) {
	conn, err := NewConn(fd)
	if err != nil {
		return nil, err
	}
	return &Client{conn: conn}, nil
}

// ErrNoInit: the environment names no descriptor, so the program was not
// started by init.
var ErrNoInit = errors.New("not started by init: " + EnvFD + " is not set")

// FromEnviron finds the descriptor in the environment, given as os.Getenv, and
// takes it over. The caller should unset the variable, so that its children
// do not see it.
func FromEnviron(getenv func(string) string) (*Client, error) {
	text := getenv(EnvFD)
	if text == "" {
		return nil, ErrNoInit
	}
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 0 {
		return nil, &ConnError{Op: "use " + strconv.QuoteToASCII(text[:min(len(text), 32)]), Err: unix.EBADF}
	}
	return NewClient(fd)
}

// FD is the descriptor for epoll; it stays the client's.
func (c *Client) FD() int { return c.conn.FD() }

// Close closes the channel and drops what is queued.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.queue {
		closeFD(m.FD)
	}
	c.queue = nil
	return c.conn.Close()
}

// Receive gives the next message without waiting. Errors: ErrAgain when there
// is none, io.EOF when init has closed the channel, otherwise see
// Conn.Receive. A received FD belongs to the caller.
func (c *Client) Receive() (Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, err := c.conn.Receive()
	if err == nil && m.Kind.FromCore() {
		closeFD(m.FD)
		return Message{Kind: m.Kind, FD: -1}, ErrUnknownKind
	}
	if err == nil && m.Kind == KindWelcome {
		c.version = m.Welcome.Version
	}
	return m, err
}

// Hello asks for Welcome, everything stored, and what is unacknowledged. Once
// per core, first.
func (c *Client) Hello() error { return c.send(Message{Kind: KindHello, Version: Version}) }

// Alive reports that the engine completed a turn. busy promises the next one
// soon (Welcome.Busy). An Alive that is still queued is replaced.
func (c *Client) Alive(turn uint64, busy bool) error {
	return c.send(Message{Kind: KindAlive, Turn: turn, Busy: busy})
}

// Pulse reports that the engine's loop goes round, with the turns it has completed, and
// promises the next Pulse within next, which is rounded up to milliseconds; 0: there is work
// now (Welcome.Busy). Only its own loop may send it, never another goroutine. To an init of
// protocol 1 it is an Alive. A report that is still queued is replaced.
func (c *Client) Pulse(turn uint64, next time.Duration) error {
	c.mu.Lock()
	old := c.version < 2
	c.mu.Unlock()
	if old {
		return c.Alive(turn, next <= 0)
	}
	next = (max(next, 0) + time.Millisecond - 1).Truncate(time.Millisecond)
	return c.send(Message{Kind: KindPulse, Turn: turn, Next: next})
}

// Put asks init to keep a descriptor under a key. fd stays the caller's. The
// descriptor is kept for certain only when PutResult with this seq and no
// errno has come. Errors: ErrKey, ErrFull, and those of the channel.
func (c *Client) Put(key string, fd int) (seq uint32, err error) {
	return c.change(Message{Kind: KindPut, Key: key, FD: fd})
}

// Drop asks init to close what it keeps under key.
func (c *Client) Drop(key string) (seq uint32, err error) {
	return c.change(Message{Kind: KindDrop, Key: key})
}

// DropPrefix asks init to close all descriptors whose key begins with prefix.
func (c *Client) DropPrefix(prefix string) (seq uint32, err error) {
	return c.change(Message{Kind: KindDropPrefix, Key: prefix})
}

// Register asks for the exit of a process that init will reap, by pid and
// start time (clock ticks, proc(5)). It also finds a recent exit of it.
func (c *Client) Register(pid int, start uint64) error {
	return c.send(Message{Kind: KindRegister, PID: pid, Start: start})
}

// Unregister takes Register back.
func (c *Client) Unregister(pid int, start uint64) error {
	return c.send(Message{Kind: KindUnregister, PID: pid, Start: start})
}

// AckExit lets init forget an exit. Call it after the commit.
func (c *Client) AckExit(id uint64) error { return c.send(Message{Kind: KindAckExit, ID: id}) }

// AckSignal tells init that a signal is the core's now. Call it after the commit.
func (c *Client) AckSignal(id uint64) error { return c.send(Message{Kind: KindAckSignal, ID: id}) }

// Shutdown hands the machine to init, which stops every process - the core
// too - and ends as s says.
func (c *Client) Shutdown(s Shutdown) error {
	return c.send(Message{Kind: KindShutdown, Shutdown: s})
}

// Upgrade asks init to replace the core, or init itself, by the program fd, which stays the
// caller's. The core then ends by itself, with nothing under way; for init it lives on. Init
// answers a refusal, and the end, by Outcome. Only if Welcome's version is 2.
func (c *Client) Upgrade(id uint64, t Target, version string, fd int) error {
	u := Upgrade{ID: id, Target: t, To: Shorten(version, MaxVersion)}
	return c.send(Message{Kind: KindUpgrade, FD: fd, Upgrade: u})
}

// Healthy tells init that this core has recovered and what its version is. A core on trial
// does nothing else until Adopted comes. Only if Welcome's version is 2.
func (c *Client) Healthy(version string) error {
	return c.send(Message{Kind: KindHealthy, Upgrade: Upgrade{To: Shorten(version, MaxVersion)}})
}

// Pending is the number of queued messages.
func (c *Client) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// Flush sends what is queued, as far as init takes it. The error is io.EOF
// when init has closed the channel; ErrAgain is not an error here.
func (c *Client) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flush()
}

func (c *Client) change(m Message) (uint32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.Seq = c.seq + 1
	if err := c.enqueue(m); err != nil {
		return 0, err
	}
	c.seq++
	return m.Seq, nil
}

func (c *Client) send(m Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.enqueue(m)
}

// enqueue sends at once if nothing waits before it, else queues.
func (c *Client) enqueue(m Message) error {
	if !m.Kind.HasFD() {
		m.FD = -1
	}
	if err := c.flush(); err != nil {
		return err
	}
	if len(c.queue) == 0 {
		if err := c.conn.Send(m); err != ErrAgain {
			return err
		}
	}
	// What cannot be encoded must fail now: in the queue it would stop all behind it.
	if _, err := Append(nil, m); err != nil {
		return err
	}
	if m.Kind == KindAlive || m.Kind == KindPulse {
		c.queue = slices.DeleteFunc(c.queue, func(q Message) bool { return q.Kind == m.Kind })
	}
	if len(c.queue) >= QueueMax {
		return ErrFull
	}
	if m.FD >= 0 {
		fd, err := unix.FcntlInt(uintptr(m.FD), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return &ConnError{Op: "send", Err: err}
		}
		m.FD = fd
	}
	c.queue = append(c.queue, m)
	return nil
}

func (c *Client) flush() error {
	sent := 0
	var failure error
	for _, m := range c.queue {
		err := c.conn.Send(m)
		if err == ErrAgain {
			break
		}
		if err != nil {
			failure = err
			break
		}
		closeFD(m.FD)
		sent++
	}
	c.queue = append(c.queue[:0], c.queue[sent:]...)
	return failure
}
