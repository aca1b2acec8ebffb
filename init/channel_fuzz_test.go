package pid1

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/process"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// hostile is a core that one goroutine plays together with its keeper.
type hostile struct {
	t    *testing.T
	k    *keeper
	conn *fdstore.Conn
	kept []int // descriptors to send
}

// besiege makes a keeper with a core that is only a socket, and a process to be its pid.
func besiege(t *testing.T, pid int) *hostile {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Subreaper: true, Signals: &process.Signals{}, MaxFDs: 64, MaxExits: 64, MaxRegistered: 128, HangIdle: -1}.withDefaults()
	cfg.Console = devNull{}
	k := newKeeper(cfg)
	ours, err := fdstore.NewConn(pair[0])
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := fdstore.NewConn(pair[1])
	if err != nil {
		t.Fatal(err)
	}
	ours.Discard(k.store.Close)
	k.core.conn, k.core.PID = ours, pid
	return &hostile{t: t, k: k, conn: theirs, kept: []int{pair[0], pair[1]}}
}

type devNull struct{}

func (devNull) Write(p []byte) (int, error) { return len(p), nil }

// turn is the part of the keeper's turn that concerns the channel.
func (h *hostile) turn() {
	now := time.Now()
	h.k.receive(now)
	if h.k.core.conn != nil {
		h.k.send(now)
	}
}

// lastSeq is of the question at the end.
const lastSeq = 4_000_000_000

// read takes what the keeper sent, and reports whether the last question was answered.
func (h *hostile) read() (answered bool) {
	for {
		m, err := h.conn.Receive()
		if err != nil && m.Kind == 0 {
			return answered
		}
		if m.FD >= 0 {
			_ = unix.Close(m.FD)
		}
		answered = answered || m.Kind == fdstore.KindPutResult && m.Seq == lastSeq
	}
}

// act does what the next bytes say and gives the rest.
func (h *hostile) act(p []byte) []byte {
	op, a := p[0], p[1]
	p = p[2:]
	var packet []byte
	m := fdstore.Message{FD: -1, Key: fmt.Sprintf("key/%d", a%80), Seq: uint32(a), PID: int(a) + 1, Start: uint64(op), ID: uint64(a)}
	kinds := []fdstore.Kind{fdstore.KindHello, fdstore.KindAlive, fdstore.KindPut, fdstore.KindDrop, fdstore.KindDropPrefix,
		fdstore.KindRegister, fdstore.KindUnregister, fdstore.KindAckExit, fdstore.KindAckSignal}
	switch op % 14 {
	case 9: // anything
		n := min(int(a), len(p))
		packet, p = p[:n], p[n:]
	case 10: // longer than a packet may be
		packet = make([]byte, fdstore.MaxMessage+int(a))
	case 11:
		h.turn()
		return p
	case 12:
		h.read()
		return p
	case 13: // somebody dies
		if h.k.exits.Room() {
			h.k.exits.Add(fdstore.Exit{PID: int(a) + 1, StartTime: uint64(op)}, a%2 == 0)
		}
		h.k.signalled(time.Now(), int(a%64)+1)
		h.k.end = fdstore.Shutdown{} // it does not end here
		return p
	default:
		m.Kind = kinds[op%14]
		var err error
		if packet, err = fdstore.Append(nil, m); err != nil {
			h.t.Fatal(err)
		}
		if a >= 250 { // cut off
			packet = packet[:len(packet)-1]
		}
	}
	var rights []byte
	switch n := int(op) / 14; {
	case n == 18:
		rights = unix.UnixRights(make([]int, 253)...)
	case n > 0:
		rights = unix.UnixRights(h.descriptors(n)...)
	}
	_ = unix.Sendmsg(h.conn.FD(), packet, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL) // full: lost
	return p
}

// descriptors gives n of all kinds.
func (h *hostile) descriptors(n int) []int {
	fds := make([]int, n)
	for i := range fds {
		fds[i] = h.kept[(i+n)%len(h.kept)]
	}
	return fds
}

func openCount(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	return len(list)
}

// FuzzCore is a core that sends whatever it likes. The keeper does not panic, keeps what it
// keeps within bounds, leaks no descriptor, and answers the next one that asks properly.
func FuzzCore(f *testing.F) {
	f.Add([]byte{0, 0, 2, 1, 16, 1, 30, 2, 11, 0, 12, 0, 3, 1, 4, 2, 11, 0})
	f.Add([]byte{0, 0, 0, 0, 13, 4, 13, 5, 11, 0, 12, 0, 7, 1, 7, 200, 8, 1, 8, 0, 11, 0})
	f.Add([]byte{5, 1, 5, 2, 6, 1, 5, 255, 11, 0, 13, 1, 11, 0, 12, 0})
	f.Add([]byte{254, 0, 10, 9, 9, 5, 'S', 'M', 1, 3, 0, 9, 0, 11, 0, 16, 255, 240, 70, 11, 0})
	fixed := []int{}
	for _, path := range []string{os.DevNull, "/proc/self/stat", "/proc/self/ns/pid", "/", "/dev/zero"} {
		if fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			fixed = append(fixed, fd)
		}
	}
	if fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC); err == nil {
		fixed = append(fixed, fd)
		other, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err == nil && unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, other, &unix.EpollEvent{Events: unix.EPOLLIN}) == nil {
			fixed = append(fixed, other)
		}
	}
	if fd, err := unix.PidfdOpen(os.Getpid(), 0); err == nil {
		fixed = append(fixed, fd)
	}
	pid := exec.Command("sleep", "1000") // takes the SIGABRT for a core that only sends garbage
	if err := pid.Start(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = pid.Process.Kill()
		_ = pid.Wait()
	})
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > 2000 {
			return
		}
		before := openCount(t)
		h := besiege(t, pid.Process.Pid)
		h.kept = append(h.kept, fixed...)
		for len(p) >= 2 {
			p = h.act(p)
			if n := len(h.k.store.Keys()); n > 64 {
				t.Fatalf("%d descriptors kept of at most 64", n)
			}
			if n := len(h.k.registered) + h.k.exits.Registered(); n > 128 {
				t.Fatalf("%d processes registered of at most 128", n)
			}
			if n := len(h.k.core.results); n > resultsMax {
				t.Fatalf("%d answers wait, of at most %d", n, resultsMax)
			}
		}
		h.answers()
		h.end(before)
	})
}

// answers asks once more, properly.
func (h *hostile) answers() {
	sent := false
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		h.turn()
		if h.read() || h.k.core.conn == nil { // closed by an empty packet: the watch for hangs ends that core
			return
		}
		if !h.k.core.Hello {
			_ = h.conn.Send(fdstore.Message{Kind: fdstore.KindHello, Version: fdstore.Version})
		} else if !sent {
			sent = h.conn.Send(fdstore.Message{Kind: fdstore.KindDrop, Key: "none", Seq: lastSeq}) == nil
		} else {
			_, _ = unix.Poll(nil, 1) // for what it closes beside the loop
		}
	}
	h.t.Fatal("the keeper does not answer any more")
}

// end closes all, and looks whether something stays.
func (h *hostile) end(before int) {
	h.k.drain(time.Now())
	h.k.closeChannel()
	_ = h.conn.Close()
	for _, key := range h.k.store.Keys() {
		h.k.store.Drop(key)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		after := openCount(h.t)
		if after <= before {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%d descriptors open, %d before: some leaked", after, before)
		}
		_, _ = unix.Poll(nil, 1)
	}
}
