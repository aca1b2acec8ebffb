package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// admit checks who connects and whether there is room, and starts the reader.
func (s *Server) admit(nc *net.UnixConn) {
	uid, pid, err := peer(nc)
	c := newConn(s, nc, uid, pid)
	if err == nil && !s.cfg.Allow(uid) {
		err = fmt.Errorf("user %d may not use the control socket", uid)
	}
	if err == nil {
		err = s.enter(c)
	}
	if err != nil {
		s.observe(c, fmt.Errorf("connection refused: %w", err))
		c.close()
		return
	}
	go c.serve()
}

// enter takes c into the table, displacing another connection if it is full.
func (s *Server) enter(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if c.uid != 0 && s.perUID[c.uid] >= s.cfg.Limits.ConnsPerUID {
		return fmt.Errorf("user %d has %d connections already", c.uid, s.perUID[c.uid])
	}
	if len(s.conns) >= s.cfg.Limits.Conns && !s.evictLocked(c.uid) {
		return fmt.Errorf("there are %d connections, none of them idle", len(s.conns))
	}
	s.conns[c] = struct{}{}
	s.perUID[c.uid]++
	s.clock++
	c.lastUsed = s.clock
	s.wg.Add(1)
	return nil
}

// leave is the counterpart of enter. It may be called for a connection that was displaced.
func (s *Server) leave(c *conn) {
	s.mu.Lock()
	s.removeLocked(c)
	s.mu.Unlock()
	s.wg.Done()
}

func (s *Server) removeLocked(c *conn) {
	if _, ok := s.conns[c]; !ok {
		return
	}
	delete(s.conns, c)
	if s.perUID[c.uid]--; s.perUID[c.uid] == 0 {
		delete(s.perUID, c.uid)
	}
}

func (s *Server) evict(uid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.evictLocked(uid)
}

// evictLocked closes the connection that is missed least, for a newcomer of the given user: who has
// not authenticated before who has, who is idle before who used it lately. Those who wait
// for an answer or follow signals stay, and only root displaces root.
func (s *Server) evictLocked(uid int) bool {
	var victim *conn
	for c := range s.conns {
		if c.busy() || (c.uid == 0 && uid != 0) {
			continue
		}
		if victim == nil || c.lessMissed(victim) {
			victim = c
		}
	}
	if victim == nil {
		return false
	}
	s.removeLocked(victim)
	s.observe(victim, errors.New("connection closed: it was idle and its place was needed"))
	victim.close()
	return true
}

// used notes that c did something.
func (s *Server) used(c *conn) {
	s.mu.Lock()
	s.clock++
	c.lastUsed = s.clock
	s.mu.Unlock()
}

// peer asks the kernel who is at the other end (man unix(7), SO_PEERCRED).
func peer(c *net.UnixConn) (uid, pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, -1, fmt.Errorf("cannot ask for the peer's credentials: %w", err)
	}
	var cred *syscall.Ucred
	var sockErr error
	err = raw.Control(func(fd uintptr) {
		cred, sockErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, sockErr); err != nil {
		return -1, -1, fmt.Errorf("cannot ask for the peer's credentials: %w", err)
	}
	return int(cred.Uid), int(cred.Pid), nil
}

func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// temporary says that a failed accept(2) may succeed later (man accept(2), ERRORS).
func temporary(err error) bool {
	return outOfDescriptors(err) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ENOBUFS) ||
		errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EPROTO)
}

// acceptPause keeps a failing accept from spinning.
const acceptPause = 100 * time.Millisecond

func (s *Server) pauseAccept() {
	t := time.NewTimer(acceptPause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.pub.done:
	}
}

// processName is what the process calls itself (man proc_pid_comm(5): at most 15 bytes), made fit to be shown. It is
// asked for when the process connects, and may be gone: then it is empty.
func processName(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return ""
	}
	name := strings.TrimSuffix(string(text[:min(len(text), 16)]), "\n")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return '?'
		}
		return r
	}, name)
}
