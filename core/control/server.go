package control

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/sysmaster-go/sysmaster/core"
)

// ErrClosed is what Serve returns after Close.
var ErrClosed = errors.New("the control server is closed")

// Server serves the control API on any number of listeners.
type Server struct {
	cfg     Config
	methods map[string][]*method // by member
	guid    string
	serial  atomic.Uint32 // of messages, over all connections, so that a signal is encoded once
	noJob   atomic.Uint32 // counts jobs that were not needed
	frames  atomic.Int64  // bytes of frames being received
	accepts atomic.Uint64
	pub     publisher

	mu        sync.Mutex
	conns     map[*conn]struct{}
	perUID    map[int]int
	listeners map[*net.UnixListener]struct{}
	closed    bool
	clock     uint64 // counts activity, for "idle for longest"
	wg        sync.WaitGroup
}

// New makes a server; it serves nothing before Serve.
func New(cfg Config) (*Server, error) {
	if cfg.Manager == nil {
		return nil, errors.New("cannot make a control server: Config.Manager is missing")
	}
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Info == nil {
		cfg.Info = func() Info { return Info{} }
	}
	if cfg.Allow == nil {
		cfg.Allow = func(uid int) bool { return uid == 0 }
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Record) {}
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("cannot make a control server: %w", err)
	}
	s := &Server{
		cfg: cfg, guid: hex.EncodeToString(id[:]), methods: make(map[string][]*method),
		conns: make(map[*conn]struct{}), perUID: make(map[int]int),
		listeners: make(map[*net.UnixListener]struct{}),
	}
	for _, m := range allMethods() {
		s.methods[m.name] = append(s.methods[m.name], m)
	}
	s.pub.init(s)
	return s, nil
}

// Listen makes the private socket at path, for root only. A stale socket is replaced.
func Listen(path string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot replace socket %s: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	// Until the mode is set somebody else may connect: Serve turns everybody away whom
	// Config.Allow does not want, so the mode only saves them the attempt.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot protect %s: %w", path, err), l.Close())
	}
	return l, nil
}

// FromFD makes a listener of an inherited listening socket and takes the descriptor over.
func FromFD(fd int) (*net.UnixListener, error) {
	f := os.NewFile(uintptr(fd), "control")
	if f == nil {
		return nil, fmt.Errorf("cannot use descriptor %d as control socket: it is not one", fd)
	}
	l, err := net.FileListener(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("cannot use descriptor %d as control socket: %w", fd, err)
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("cannot use descriptor %d as control socket: not a unix socket", fd), l.Close())
	}
	u.SetUnlinkOnClose(false)
	return u, nil
}

// Serve accepts connections until l fails or Close is called; then it returns ErrClosed.
// The listener is closed, its file stays. May be called for several listeners at once.
func (s *Server) Serve(l *net.UnixListener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.Join(ErrClosed, l.Close())
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	for {
		c, err := l.AcceptUnix()
		s.accepts.Add(1)
		if err == nil {
			s.admit(c)
			continue
		}
		if s.isClosed() {
			return ErrClosed
		}
		if outOfDescriptors(err) && s.evict(0) {
			continue // the next attempt finds a descriptor
		}
		if temporary(err) {
			s.observe(nil, fmt.Errorf("cannot accept a connection: %w", err))
			s.pauseAccept()
			continue
		}
		return fmt.Errorf("cannot accept connections: %w", err)
	}
}

// Accepts counts the attempts to accept a connection, also those that failed: while
// somebody waits to be let in it grows, or the server is stuck.
func (s *Server) Accepts() uint64 { return s.accepts.Load() }

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Close ends all listeners and connections and waits for their goroutines. Answers that
// were queued may be lost.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	var errs []error
	for l := range s.listeners {
		errs = append(errs, l.Close())
	}
	for c := range s.conns {
		c.close()
	}
	s.mu.Unlock()
	s.pub.stop()
	s.wg.Wait()
	return errors.Join(errs...)
}

// Publish tells the clients of an event. Called from the engine's goroutine after
// the commit; it never blocks, and costs next to nothing while nobody is connected.
func (s *Server) Publish(ev core.Event) {
	if s.pub.listeners.Load() == 0 {
		return
	}
	s.pub.event(ev)
}

func (s *Server) observe(c *conn, err error) {
	r := Record{UID: -1, PID: -1, Err: err}
	if c != nil {
		r.UID, r.PID = c.uid, c.pid
	}
	s.cfg.Observe(r)
}
