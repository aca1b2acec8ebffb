package control

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// readBuffer serves the handshake and message headers; bodies are read past it.
const readBuffer = 512

// pauseAt is how much may be left to write before the reader stops taking calls.
const pauseAt = 256 << 10

// conn is one client's connection.
type conn struct {
	s        *Server
	nc       *net.UnixConn
	uid, pid int
	comm     string // the peer's name for itself
	lastUsed uint64 // under Server.mu

	ready      atomic.Bool // authenticated
	subscribed atomic.Bool
	commands   chan struct{} // one entry per command under way
	gone       chan struct{} // closed with the connection

	mu      sync.Mutex
	drained *sync.Cond // unsent shrank, or the connection closed
	queue   [][]byte
	unsent  int // bytes in queue and in the writer's hands
	writing bool
	closed  bool
}

func newConn(s *Server, nc *net.UnixConn, uid, pid int) *conn {
	c := &conn{
		s: s, nc: nc, uid: uid, pid: pid, comm: processName(pid),
		commands: make(chan struct{}, s.cfg.Limits.Commands), gone: make(chan struct{}),
	}
	c.drained = sync.NewCond(&c.mu)
	return c
}

// busy says that closing c would hurt somebody.
func (c *conn) busy() bool {
	if c.subscribed.Load() || len(c.commands) > 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writing
}

func (c *conn) lessMissed(d *conn) bool {
	if a, b := c.ready.Load(), d.ready.Load(); a != b {
		return b
	}
	return c.lastUsed < d.lastUsed
}

// serve runs the connection from the handshake to its end.
func (c *conn) serve() {
	defer c.s.leave(c)
	defer c.close()
	defer func() {
		// A bug in a handler costs its connection, not the machine's service manager.
		if p := recover(); p != nil {
			c.s.observe(c, fmt.Errorf("connection closed: internal error: %v\n%s", p, debug.Stack()))
		}
	}()
	err := c.run()
	if err != nil && !peerGone(err) {
		c.s.observe(c, fmt.Errorf("connection closed: %w", err))
	}
}

func (c *conn) run() error {
	lim := &c.s.cfg.Limits
	if err := c.nc.SetDeadline(time.Now().Add(lim.AuthTime)); err != nil {
		return err
	}
	br := bufio.NewReaderSize(c.nc, readBuffer)
	if _, err := wire.Accept(br, c.nc, c.uid, c.s.guid, false); err != nil {
		return err
	}
	if err := c.nc.SetDeadline(time.Time{}); err != nil {
		return err
	}
	c.ready.Store(true)
	c.s.pub.listeners.Add(1)
	defer c.forget()
	r := &wire.Reader{
		R: br, Max: lim.Frame, Reserve: c.s.reserve,
		// A deadline that cannot be set shows in the read that follows.
		Begun: func() { _ = c.nc.SetReadDeadline(time.Now().Add(lim.FrameTime)) },
		Ended: func() { _ = c.nc.SetReadDeadline(time.Time{}) },
	}
	for {
		frame, reserved, err := r.Next()
		if err == nil {
			err = c.message(frame)
		}
		c.s.frames.Add(-int64(reserved))
		if err != nil {
			return err
		}
		c.s.used(c)
		if !c.waitDrained() {
			return net.ErrClosed
		}
	}
}

// forget takes back what the publisher counts of c.
func (c *conn) forget() {
	c.s.pub.listeners.Add(-1)
	if c.subscribed.Swap(false) {
		c.s.pub.subscribers.Add(-1)
	}
}

// reserve accounts for the memory of frames that are being received.
func (s *Server) reserve(n int) error {
	if s.frames.Add(int64(n)) > int64(s.cfg.Limits.AllFrames) {
		s.frames.Add(-int64(n))
		return errors.New("too much is being received at once")
	}
	return nil
}

// message handles one frame; an error ends the connection.
func (c *conn) message(frame []byte) error {
	m, err := wire.Decode(frame)
	if err != nil {
		return err
	}
	if m.FDs != 0 {
		return errors.New("descriptors were sent, but not agreed on")
	}
	if m.Type != dbus.TypeMethodCall {
		return nil // nobody here waits for answers or signals
	}
	c.s.dispatch(c, m)
	return nil
}

// send queues a frame. A signal that does not fit closes the connection; an answer always
// fits, because the reader waits until most of the last ones are gone.
func (c *conn) send(frame []byte, signal bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if signal && c.unsent+len(frame) > c.s.cfg.Limits.Unsent {
		c.s.observe(c, fmt.Errorf("connection closed: the peer does not read, %d bytes are waiting", c.unsent))
		c.closeLocked()
		return
	}
	c.queue = append(c.queue, frame)
	c.unsent += len(frame)
	if !c.writing {
		c.writing = true
		c.s.wg.Add(1)
		go c.write()
	}
}

// write drains the queue and ends; the next send starts it again.
func (c *conn) write() {
	defer c.s.wg.Done()
	for {
		c.mu.Lock()
		batch := c.queue
		c.queue = nil
		if len(batch) == 0 || c.closed {
			c.writing = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		for _, frame := range batch {
			if err := c.writeFrame(frame); err != nil {
				c.fail(fmt.Errorf("connection closed: cannot write: %w", err))
				return
			}
			c.mu.Lock()
			c.unsent -= len(frame)
			c.drained.Broadcast()
			c.mu.Unlock()
		}
	}
}

// writeSlice is written under one deadline, so that a long answer to a slow but living peer passes.
const writeSlice = 64 << 10

func (c *conn) writeFrame(frame []byte) error {
	for len(frame) > 0 {
		part := frame[:min(len(frame), writeSlice)]
		if err := c.nc.SetWriteDeadline(time.Now().Add(c.s.cfg.Limits.WriteTime)); err != nil {
			return err
		}
		n, err := c.nc.Write(part)
		if err != nil {
			return err
		}
		frame = frame[n:]
	}
	return nil
}

func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
	if !c.closed && !peerGone(err) {
		c.s.observe(c, err)
	}
	c.closeLocked()
}

// peerGone says that err is only how a connection ends when either side closes it.
func peerGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, syscall.ECONNRESET)
}

// waitDrained pauses the reader while much is left to write; false when the connection closed.
func (c *conn) waitDrained() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.unsent > pauseAt && !c.closed {
		c.drained.Wait()
	}
	return !c.closed
}

func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked()
}

func (c *conn) closeLocked() {
	if c.closed {
		return
	}
	c.closed = true
	c.queue = nil
	close(c.gone)
	c.drained.Broadcast()
	// The connection is given up whatever close(2) says.
	_ = c.nc.Close()
}
