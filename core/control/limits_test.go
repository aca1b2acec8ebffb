package control

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/client"
	"github.com/sysmaster-go/sysmaster/core/client/wire"
	"github.com/sysmaster-go/sysmaster/unit"
)

// raw is a client without manners.
type raw struct {
	t  *testing.T
	nc *net.UnixConn
	br *bufio.Reader
	n  uint32
}

func (m *machine) dial() *raw {
	m.t.Helper()
	nc, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: m.socket(), Net: "unix"})
	require.NoError(m.t, err)
	require.NoError(m.t, nc.SetDeadline(time.Now().Add(30*time.Second)))
	m.t.Cleanup(func() { _ = nc.Close() })
	return &raw{t: m.t, nc: nc, br: bufio.NewReader(nc)}
}

func (m *machine) login() *raw {
	m.t.Helper()
	r := m.dial()
	require.NoError(m.t, wire.Connect(r.br, r.nc, os.Getuid()))
	return r
}

func (r *raw) send(path, iface, member, sig string, args ...any) error {
	r.n++
	m := wire.Message{Type: dbus.TypeMethodCall, Serial: r.n, Path: path, Interface: iface, Member: member, Signature: sig, Body: args}
	b, err := m.Encode()
	require.NoError(r.t, err)
	_, err = r.nc.Write(b)
	return err
}

func (r *raw) next() (*wire.Message, error) {
	fr := &wire.Reader{R: r.br, Max: 64 << 20}
	frame, _, err := fr.Next()
	if err != nil {
		return nil, err
	}
	m, err := wire.Decode(frame)
	require.NoError(r.t, err)
	require.NoError(r.t, m.DecodeBody())
	return m, nil
}

func (r *raw) call(path, iface, member, sig string, args ...any) *wire.Message {
	r.t.Helper()
	require.NoError(r.t, r.send(path, iface, member, sig, args...))
	for {
		m, err := r.next()
		require.NoError(r.t, err)
		if m.ReplySerial == r.n {
			return m
		}
	}
}

func (r *raw) closed() {
	r.t.Helper()
	_, err := io.Copy(io.Discard, r.br)
	if err != nil {
		require.ErrorIs(r.t, err, syscall.ECONNRESET)
	}
}

// served asks a harmless question over a new connection.
func (m *machine) answers() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := client.New(client.Config{Path: m.socket()})
	state, err := c.SystemState(ctx)
	require.NoError(m.t, err)
	require.Equal(m.t, "running", state)
	require.NoError(m.t, c.Close())
}

func quiet(Record) {}

func TestThousandConnections(t *testing.T) {
	m := newMachine(t, Config{Observe: quiet, Limits: Limits{Conns: 600}}, "web.service")
	garbage := [][]byte{nil, {0}, []byte("GET / HTTP/1.0\r\n\r\n"), bytes.Repeat([]byte{0xff}, 4096), []byte("\x00AUTH EXTERNAL\r\n")}
	for i := range 500 {
		r := m.dial()
		// The server may have closed it already.
		_, _ = r.nc.Write(garbage[i%len(garbage)])
	}
	for range 500 {
		m.login()
	}
	m.answers()
	follower := m.login()
	require.Empty(t, follower.call(wire.ManagerPath, wire.ManagerIface, "Subscribe", "").ErrorName)
	for range 700 {
		m.login()
	}
	m.answers()
	// Who follows signals was not displaced by the idle ones.
	require.Empty(t, follower.call(wire.ManagerPath, wire.ManagerIface, "Unsubscribe", "").ErrorName)
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	require.LessOrEqual(t, len(m.s.conns), 600)
}

func TestStrangersAreTurnedAway(t *testing.T) {
	m := newMachine(t, Config{Observe: quiet, Allow: func(int) bool { return false }})
	m.dial().closed()
}

func TestBoundPerUser(t *testing.T) {
	s, err := New(Config{Manager: newEngine(), Limits: Limits{Conns: 10, ConnsPerUID: 2}})
	require.NoError(t, err)
	var entered []*conn
	enter := func(uid int) error {
		a, b, err := socketPair()
		require.NoError(t, err)
		t.Cleanup(func() { _ = b.Close() })
		c := newConn(s, a, uid, 1)
		if err := s.enter(c); err != nil {
			c.close()
			return err
		}
		entered = append(entered, c)
		return nil
	}
	for uid := 1000; uid < 1005; uid++ {
		require.NoError(t, enter(uid))
		require.NoError(t, enter(uid))
		require.Error(t, enter(uid))
	}
	for range 20 {
		require.NoError(t, enter(0), "root is never starved")
	}
	require.Error(t, enter(1006), "nobody displaces root")
	for _, c := range entered {
		s.leave(c)
	}
	require.NoError(t, s.Close())
}

func socketPair() (a, b *net.UnixConn, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	var out [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		_ = f.Close()
		if err != nil {
			return nil, nil, err
		}
		out[i] = c.(*net.UnixConn)
	}
	return out[0], out[1], nil
}

func TestDeadlines(t *testing.T) {
	m := newMachine(t, Config{Observe: quiet, Limits: Limits{AuthTime: 50 * time.Millisecond, FrameTime: 50 * time.Millisecond}})
	silent := m.dial()
	silent.closed()
	half := m.dial()
	require.NoError(t, wire.Connect(half.br, half.nc, os.Getuid()))
	_, err := half.nc.Write([]byte{'l', 1, 0, 1})
	require.NoError(t, err)
	half.closed()
}

func TestIdleIsNoCrime(t *testing.T) {
	m := newMachine(t, Config{Limits: Limits{FrameTime: 50 * time.Millisecond}})
	idle, other := m.login(), m.login()
	idle.call(wire.ManagerPath, "org.freedesktop.DBus.Peer", "Ping", "")
	// Another one that is cut off after the frame time shows that more than it has passed.
	_, err := other.nc.Write([]byte{'l'})
	require.NoError(t, err)
	other.closed()
	require.Empty(t, idle.call(wire.ManagerPath, "org.freedesktop.DBus.Peer", "Ping", "").ErrorName)
}

func TestFramesTogetherAreBounded(t *testing.T) {
	m := newMachine(t, Config{Observe: quiet, Limits: Limits{AllFrames: 1 << 20}})
	head := []byte{'l', 1, 0, 1, 0, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0}
	for range 8 {
		r := m.login()
		_, _ = r.nc.Write(append(head, make([]byte, 400<<10)...)) // the server may close in the middle
	}
	m.answers()
	require.LessOrEqual(t, m.s.frames.Load(), int64(1<<20))
}

func TestTooLongFrame(t *testing.T) {
	m := newMachine(t, Config{Observe: quiet})
	r := m.login()
	_, err := r.nc.Write([]byte{'l', 1, 0, 1, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0})
	require.NoError(t, err)
	r.closed()
}

// TestSlowReader: who subscribes and does not read is closed, and the engine never waits.
func TestSlowReader(t *testing.T) {
	var told atomic.Int32
	m := newMachine(t, Config{Observe: func(Record) { told.Add(1) }, Limits: Limits{Unsent: 64 << 10}}, "web.service")
	slow := m.login()
	require.Empty(t, slow.call(wire.ManagerPath, wire.ManagerIface, "Subscribe", "").ErrorName)
	j := core.JobView{ID: 1, Unit: unit.Name(strings.Repeat("x", 200) + ".service"), Result: unit.JobDone}
	for i := 0; told.Load() == 0 && i < 1000; i++ {
		for range 100 {
			m.s.Publish(core.JobRemoved{Job: j})
		}
		m.answers() // awaits the publisher in a fashion: others are served meanwhile
	}
	require.NotZero(t, told.Load())
	slow.closed()
}

// TestPipelineWithoutReading: a client that asks and does not read is not served beyond a bound.
func TestPipelineWithoutReading(t *testing.T) {
	var names []string
	for i := range 500 {
		names = append(names, fmt.Sprintf("unit-%d.service", i))
	}
	m := newMachine(t, Config{Observe: quiet}, names...)
	greedy := m.login()
	require.NoError(t, greedy.nc.SetWriteDeadline(time.Now().Add(2*time.Second)))
	var err error
	for i := 0; i < 100000 && err == nil; i++ {
		err = greedy.send(wire.ManagerPath, wire.ManagerIface, "ListUnits", "")
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the server stops reading")
	m.answers()
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	for c := range m.s.conns {
		c.mu.Lock()
		require.Less(t, c.unsent, pauseAt+1<<20)
		c.mu.Unlock()
	}
}

func TestEventsOverflow(t *testing.T) {
	m := newMachine(t, Config{Observe: quiet, Limits: Limits{Events: 4}}, "web.service")
	r := m.login()
	r.call(wire.ManagerPath, "org.freedesktop.DBus.Peer", "Ping", "")
	release := make(chan struct{})
	m.s.pub.answer(func() { <-release }) // the publisher is held up
	for range 100 {
		m.s.Publish(core.Reloading{})
	}
	close(release)
	r.closed()
	m.answers()
}

func FuzzServer(f *testing.F) {
	e := newEngine("web.service")
	var bug atomic.Value
	s, err := New(Config{Manager: e, Observe: func(r Record) {
		if strings.Contains(r.Err.Error(), "internal error") {
			bug.Store(r.Err.Error())
		}
	}})
	require.NoError(f, err)
	go e.run()
	f.Cleanup(func() {
		e.close()
		require.NoError(f, s.Close())
	})
	seed := func(path, iface, member, sig string, args ...any) {
		m := wire.Message{Type: dbus.TypeMethodCall, Serial: 1, Path: path, Interface: iface, Member: member, Signature: sig, Body: args}
		b, err := m.Encode()
		require.NoError(f, err)
		f.Add(b)
	}
	seed(wire.ManagerPath, wire.ManagerIface, "StartUnit", "ss", "web.service", "replace")
	seed(wire.ManagerPath, wire.ManagerIface, "ListUnitsByPatterns", "asas", []string{"active"}, []string{"[a-*"})
	seed(wire.UnitPath("web.service"), wire.PropsIface, "GetAll", "s", "")
	seed(wire.UnitPath("other.service"), wire.PropsIface, "Get", "ss", wire.UnitIface, "Id")
	seed("/", "org.freedesktop.DBus.Introspectable", "Introspect", "")
	seed(wire.JobPrefix+"1", wire.JobIface, "Cancel", "")
	seed(wire.ManagerPath, wire.ManagerIface, "GetUnitByInvocationID", "ay", make([]byte, 16))
	f.Fuzz(func(t *testing.T, in []byte) {
		a, b, err := socketPair()
		require.NoError(t, err)
		defer func() { _ = b.Close() }()
		c := newConn(s, a, 0, 1)
		require.NoError(t, s.enter(c))
		go c.serve()
		require.NoError(t, b.SetDeadline(time.Now().Add(20*time.Second)))
		_, _ = b.Write(append([]byte("\x00AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"), in...)) // closed early: fine
		require.NoError(t, b.CloseWrite())
		_, err = io.Copy(io.Discard, b)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Nil(t, bug.Load())
	})
}
