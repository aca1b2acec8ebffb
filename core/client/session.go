package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// frameMax is the longest answer accepted: thousands of units fit many times.
const frameMax = 128 << 20

// resultsKept bounds how many ended jobs a session remembers for those who ask later.
const resultsKept = 4096

// session is one connection. Once it is lost it stays so.
type session struct {
	nc net.Conn

	mu      sync.Mutex
	serial  uint32
	pending map[uint32]chan *wire.Message
	results map[dbus.ObjectPath]string // of jobs that ended while connected
	order   []dbus.ObjectPath          // of results, oldest first
	changed chan struct{}              // closed and replaced at every signal
	lost    chan struct{}              // closed when the connection is gone
	err     error                      // why, after lost
}

func newSession(ctx context.Context, nc net.Conn) (*session, error) {
	s := &session{
		nc: nc, pending: map[uint32]chan *wire.Message{}, results: map[dbus.ObjectPath]string{},
		changed: make(chan struct{}), lost: make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) }) // ends the handshake
	br := bufio.NewReader(nc)
	err := wire.Connect(br, nc, os.Getuid())
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot authenticate: %w", err), nc.Close())
	}
	go s.read(&wire.Reader{R: br, Max: frameMax})
	return s, nil
}

// read takes messages until the connection ends.
func (s *session) read(r *wire.Reader) {
	for {
		frame, _, err := r.Next()
		var m *wire.Message
		if err == nil {
			m, err = wire.Decode(frame)
		}
		if err == nil {
			err = m.DecodeBody()
		}
		if err != nil {
			s.end(err)
			return
		}
		s.deliver(m)
	}
}

func (s *session) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = &LostError{Err: err}
	close(s.lost)
	_ = s.nc.Close() // it is of no use whatever close(2) says
}

func (s *session) deliver(m *wire.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.Type {
	case dbus.TypeMethodReply, dbus.TypeError:
		if ch := s.pending[m.ReplySerial]; ch != nil {
			delete(s.pending, m.ReplySerial)
			ch <- m
		}
	case dbus.TypeSignal:
		if m.Member == "JobRemoved" && m.Signature == "uoss" {
			s.remember(m.Body[1].(dbus.ObjectPath), m.Body[3].(string))
		}
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

func (s *session) remember(job dbus.ObjectPath, result string) {
	if len(s.order) == resultsKept {
		delete(s.results, s.order[0])
		s.order = s.order[1:]
	}
	s.results[job] = result
	s.order = append(s.order, job)
}

// result tells how a job ended, if it has; changed is closed at the next signal.
func (s *session) result(job dbus.ObjectPath) (result string, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.results[job], s.changed
}

// call sends m and waits for its answer.
func (s *session) call(ctx context.Context, m *wire.Message) ([]any, error) {
	ch := make(chan *wire.Message, 1)
	serial, err := s.send(m, ch)
	if err != nil {
		return nil, err
	}
	select {
	case a := <-ch:
		return answer(a)
	case <-s.lost:
		select { // the answer may have been the last that arrived
		case a := <-ch:
			return answer(a)
		default:
			return nil, s.err
		}
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.pending, serial)
		s.mu.Unlock()
		return nil, fmt.Errorf("cannot wait for the answer to %s: %w", m.Member, ctx.Err())
	}
}

func answer(m *wire.Message) ([]any, error) {
	if m.Type == dbus.TypeMethodReply {
		return m.Body, nil
	}
	e := &Error{Name: m.ErrorName}
	if len(m.Body) > 0 {
		e.Text, _ = m.Body[0].(string)
	}
	return nil, e
}

// sendTime bounds how long the manager may refuse to take a call of ours.
const sendTime = 30 * time.Second

func (s *session) send(m *wire.Message, ch chan *wire.Message) (uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, &notSentError{s.err}
	}
	s.serial++
	m.Serial = s.serial
	frame, err := m.Encode()
	if err != nil {
		return 0, err
	}
	s.pending[m.Serial] = ch
	if err := s.nc.SetWriteDeadline(time.Now().Add(sendTime)); err == nil {
		_, err = s.nc.Write(frame)
		if err == nil {
			return m.Serial, nil
		}
	}
	delete(s.pending, m.Serial)
	_ = s.nc.Close() // the reader notices and ends the session
	return 0, &LostError{Err: errors.New("the call could not be sent")}
}
