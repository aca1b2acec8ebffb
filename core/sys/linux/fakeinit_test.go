package linux

import (
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// fakeInit is init's end of the channel, as far as a World sees it: it speaks the real
// protocol on a real socket, keeps descriptors and reports exits until acknowledged.
type fakeInit struct {
	client *fdstore.Client
	conn   *fdstore.Conn
	stop   [2]int
	done   chan struct{}

	mu         sync.Mutex
	kept       map[string]int
	exits      []fdstore.Exit
	registered map[int]uint64
	acked      []uint64
	shutdown   *fdstore.Shutdown
	alive      uint64
	pulses     []fdstore.Message
	signals    []uint64
	greeted    bool
	cores      uint64
}

func newFakeInit(t testing.TB) *fakeInit {
	f := &fakeInit{kept: make(map[string]int), registered: make(map[int]uint64)}
	f.connect(t)
	t.Cleanup(func() {
		f.disconnect(t)
		for _, fd := range f.kept {
			closeFD(fd)
		}
	})
	return f
}

// connect begins with a new core.
func (f *fakeInit) connect(t testing.TB) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	f.conn, err = fdstore.NewConn(pair[0])
	require.NoError(t, err)
	f.client, err = fdstore.NewClient(pair[1])
	require.NoError(t, err)
	require.NoError(t, unix.Pipe2(f.stop[:], unix.O_CLOEXEC))
	f.done = make(chan struct{})
	go f.serve(f.conn, f.stop[0], f.done)
}

func (f *fakeInit) disconnect(t testing.TB) {
	closeFD(f.stop[1])
	<-f.done
	closeFD(f.stop[0])
	require.NoError(t, f.conn.Close())
	require.NoError(t, f.client.Close())
}

func (f *fakeInit) put(key string, fd int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept[key] = fd
}

func (f *fakeInit) serve(conn *fdstore.Conn, stop int, done chan struct{}) {
	defer close(done)
	for {
		fds := []unix.PollFd{{Fd: int32(conn.FD()), Events: unix.POLLIN}, {Fd: int32(stop), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return
		}
		if fds[1].Revents != 0 {
			return
		}
		for {
			m, err := conn.Receive()
			if err == fdstore.ErrAgain {
				break
			}
			if errors.Is(err, io.EOF) || err != nil {
				return
			}
			f.handle(conn, m)
		}
	}
}

func (f *fakeInit) handle(conn *fdstore.Conn, m fdstore.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	reply := func(m fdstore.Message) { _ = conn.Send(m) } // a core that is gone needs none
	switch m.Kind {
	case fdstore.KindHello:
		f.greeted = true
		f.cores++
		reply(fdstore.Message{Kind: fdstore.KindWelcome, FD: -1, Welcome: fdstore.Welcome{
			Version: fdstore.Version, Generation: f.cores, Idle: time.Minute, Busy: 5 * time.Second,
		}})
		for key, fd := range f.kept {
			reply(fdstore.Message{Kind: fdstore.KindStored, Key: key, FD: fd})
		}
		for _, e := range f.exits { // what ended while no core ran comes before the end of all that is stored
			reply(fdstore.Message{Kind: fdstore.KindExit, Exit: e, FD: -1})
		}
		reply(fdstore.Message{Kind: fdstore.KindStoredEnd, Count: uint32(len(f.kept)), FD: -1})
	case fdstore.KindPut:
		closeFDIn(f.kept, m.Key)
		f.kept[m.Key] = m.FD
		reply(fdstore.Message{Kind: fdstore.KindPutResult, Seq: m.Seq, FD: -1})
	case fdstore.KindDrop:
		result := fdstore.Message{Kind: fdstore.KindPutResult, Seq: m.Seq, FD: -1}
		if _, ok := f.kept[m.Key]; !ok {
			result.Errno = unix.ENOENT
		}
		closeFDIn(f.kept, m.Key)
		reply(result)
	case fdstore.KindRegister:
		f.registered[m.PID] = m.Start
	case fdstore.KindUnregister:
		delete(f.registered, m.PID)
	case fdstore.KindAckExit:
		f.acked = append(f.acked, m.ID)
	case fdstore.KindAckSignal:
		f.signals = append(f.signals, m.ID)
	case fdstore.KindPulse:
		f.alive = m.Turn
		f.pulses = append(f.pulses, m)
	case fdstore.KindShutdown:
		f.shutdown = &m.Shutdown
	}
}

func closeFDIn(kept map[string]int, key string) {
	if fd, ok := kept[key]; ok {
		closeFD(fd)
		delete(kept, key)
	}
}

// exit reports an exit now.
func (f *fakeInit) exit(t testing.TB, e fdstore.Exit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	require.NoError(t, f.conn.Send(fdstore.Message{Kind: fdstore.KindExit, Exit: e, FD: -1}))
}

func (f *fakeInit) look(g func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g()
}
