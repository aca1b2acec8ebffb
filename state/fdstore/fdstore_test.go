package fdstore

import (
	"errors"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// samples has every kind with every field set.
func samples() []Message {
	return []Message{
		{Kind: KindHello, Version: 1},
		{Kind: KindAlive, Turn: 1 << 60, Busy: true},
		{Kind: KindPut, Seq: 7, Key: "dbus.socket/0"},
		{Kind: KindDrop, Seq: 8, Key: "notify"},
		{Kind: KindDropPrefix, Seq: 9, Key: "a.service/"},
		{Kind: KindRegister, PID: 4194304, Start: 12345},
		{Kind: KindUnregister, PID: 1, Start: 0},
		{Kind: KindAckExit, ID: 99},
		{Kind: KindAckSignal, ID: 100},
		{Kind: KindShutdown, Shutdown: Shutdown{Verb: VerbReboot, Code: 3, Argument: "bootloader"}},
		{Kind: KindWelcome, Welcome: Welcome{Version: 1, Generation: 4, Cause: CauseHang, Code: 2, Status: 9, Lost: 3, Idle: time.Minute, Busy: 10 * time.Second}},
		{Kind: KindStored, Key: "x"},
		{Kind: KindStoredEnd, Count: 3},
		{Kind: KindExit, Exit: Exit{ID: 5, PID: 77, StartTime: 88, Session: 77, Code: 1, Status: 3, Cgroup: "/system.slice/a.service"}},
		{Kind: KindSignal, ID: 6, Signal: 38},
		{Kind: KindPutResult, Seq: 7, Errno: syscall.EMFILE},
		{Kind: KindUpgrade, Upgrade: Upgrade{ID: 1 << 60, Target: TargetCore, To: "1.2"}},
		{Kind: KindHealthy, Upgrade: Upgrade{To: "1.2"}},
		{Kind: KindAdopted, Upgrade: Upgrade{ID: 8}},
		{Kind: KindOutcome, Upgrade: Upgrade{ID: 9, Target: TargetInit, Result: ResultRolledBack, From: "1", To: "2", Reason: "it died"}},
		{Kind: KindAbout, About: About{Version: "3", Protected: true, Previous: "2", Held: true, Probation: time.Second}},
		{Kind: KindPulse, Turn: 1 << 50, Next: 40 * time.Second},
	}
}

func TestEveryKindSurvivesTheWire(t *testing.T) {
	for _, m := range samples() {
		m.FD = -1
		p, err := Append(nil, m)
		if err != nil {
			t.Fatalf("Append(%v) = %v", m, err)
		}
		got, err := Decode(p)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("Decode(Append(%+v)) = %+v, %v", m, got, err)
		}
		for i := range p { // no prefix of a message is a message
			if _, err := Decode(p[:i]); err == nil {
				t.Errorf("Decode of the first %d of %d bytes of kind %d succeeded", i, len(p), m.Kind)
			}
		}
		if _, err := Decode(append(p, 0)); (err == nil) != (m.Kind >= firstOpen) {
			t.Errorf("Decode of kind %d with a byte behind it gave %v", m.Kind, err)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for _, c := range []struct {
		m    Message
		want error
	}{
		{Message{Kind: 0}, ErrUnknownKind},
		{Message{Kind: 69}, ErrUnknownKind},
		{Message{Kind: KindUpgrade}, ErrMalformed},
		{Message{Kind: KindOutcome, Upgrade: Upgrade{Target: 3}}, ErrMalformed},
		{Message{Kind: KindHealthy, Upgrade: Upgrade{To: strings.Repeat("1", MaxVersion+1)}}, ErrBounds},
		{Message{Kind: KindPut}, ErrKey},
		{Message{Kind: KindPut, Key: "a b"}, ErrKey},
		{Message{Kind: KindPut, Key: "a\n"}, ErrKey},
		{Message{Kind: KindPut, Key: strings.Repeat("k", MaxKey+1)}, ErrBounds},
		{Message{Kind: KindRegister, PID: 0}, ErrMalformed},
		{Message{Kind: KindRegister, PID: -5}, ErrMalformed},
		{Message{Kind: KindRegister, PID: 1 << 40}, ErrBounds},
		{Message{Kind: KindSignal, Signal: 65}, ErrMalformed},
		{Message{Kind: KindShutdown}, ErrMalformed},
		{Message{Kind: KindShutdown, Shutdown: Shutdown{Verb: VerbReboot, Argument: strings.Repeat("x", 256)}}, ErrBounds},
		{Message{Kind: KindExit, Exit: Exit{PID: 2, Cgroup: strings.Repeat("x", MaxCgroup+1)}}, ErrBounds},
		{Message{Kind: KindWelcome, Welcome: Welcome{Idle: -time.Second}}, ErrBounds},
	} {
		p, err := Append([]byte("before"), c.m)
		if err != c.want || string(p) != "before" {
			t.Errorf("Append(%+v) = %q, %v; want %q, %v", c.m, p, err, "before", c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range samples() {
		p, err := Append(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	f.Add([]byte{})
	f.Add([]byte("SM\x02\x01"))
	f.Fuzz(func(t *testing.T, p []byte) {
		m, err := Decode(p)
		if err != nil {
			return
		}
		again, err := Append(nil, m)
		if err != nil || string(again) != string(p) && (m.Kind < firstOpen || !strings.HasPrefix(string(p), string(again))) {
			t.Fatalf("Append(Decode(%q)) = %q, %v", p, again, err)
		}
	})
}

// pair gives init's end and the core's.
func pair(t *testing.T) (*Conn, *Client) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := NewConn(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewClient(fds[1])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if conn.FD() >= 0 {
			_ = conn.Close()
		}
		if client.FD() >= 0 {
			_ = client.Close()
		}
	})
	return conn, client
}

func sameFile(t *testing.T, a, b int) bool {
	t.Helper()
	var x, y unix.Stat_t
	if unix.Fstat(a, &x) != nil || unix.Fstat(b, &y) != nil {
		return false
	}
	return x.Ino == y.Ino && x.Dev == y.Dev
}

func TestDescriptorsTravel(t *testing.T) {
	conn, client := pair(t)
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seq, err := client.Put("a.socket/0", int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	m, err := conn.Receive()
	if err != nil || m.Kind != KindPut || m.Seq != seq || m.Key != "a.socket/0" || !sameFile(t, m.FD, int(file.Fd())) {
		t.Fatalf("Receive() = %+v, %v; want the Put with the descriptor", m, err)
	}
	if flags, err := unix.FcntlInt(uintptr(m.FD), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("received descriptor has flags %d, %v; want close-on-exec", flags, err)
	}
	if err := conn.Send(Message{Kind: KindStored, Key: m.Key, FD: m.FD}); err != nil {
		t.Fatal(err)
	}
	back, err := client.Receive()
	if err != nil || back.Kind != KindStored || !sameFile(t, back.FD, int(file.Fd())) {
		t.Fatalf("client.Receive() = %+v, %v; want Stored with the descriptor", back, err)
	}
	unix.Close(m.FD)
	unix.Close(back.FD)
}

func TestQueueKeepsOrderAndRefusesWhenFull(t *testing.T) {
	conn, client := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	for client.Pending() == 0 {
		if err := client.AckExit(uint64(sent)); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	if _, err := client.Put("late", int(r.Fd())); err != nil {
		t.Fatal(err)
	}
	r.Close() // the queue has its own duplicate
	for turn := range uint64(100) {
		if err := client.Alive(turn, true); err != nil {
			t.Fatal(err)
		}
	}
	if got := client.Pending(); got != 3 {
		t.Fatalf("Pending() = %d; want 3: an ack, the put and one alive", got)
	}
	for err = nil; err == nil; sent++ {
		err = client.AckExit(uint64(sent))
	}
	sent--
	if err != ErrFull || client.Pending() != QueueMax {
		t.Fatalf("filling: %v with %d queued; want ErrFull with %d", err, client.Pending(), QueueMax)
	}
	next, puts, alive := uint64(0), 0, uint64(0)
	for client.Pending() > 0 || next < uint64(sent) {
		m, err := conn.Receive()
		if err == ErrAgain {
			if err := client.Flush(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		switch m.Kind {
		case KindAckExit:
			if m.ID != next {
				t.Fatalf("received ack %d; want %d", m.ID, next)
			}
			next++
		case KindPut:
			puts++
			unix.Close(m.FD)
		case KindAlive:
			alive = m.Turn
		}
	}
	if puts != 1 || alive != 99 {
		t.Errorf("received %d puts and last turn %d; want 1 and 99", puts, alive)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write to the pipe = %v; want EPIPE: a duplicate leaked", err)
	}
	w.Close()
}

func TestGarbageIsOnePacketEach(t *testing.T) {
	conn, client := pair(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	before := openDescriptors(t)
	raw := client.FD()
	fd := int(null.Fd())
	for _, p := range [][]byte{{1}, []byte("SM\x01\x03\x00\x00"), make([]byte, MaxMessage+100), []byte("SM\x09\x01\x01"), []byte("SM\x01\x63")} {
		if err := unix.Sendmsg(raw, p, unix.UnixRights(fd, fd, fd, fd, fd), nil, 0); err != nil {
			t.Fatal(err)
		}
		if m, err := conn.Receive(); err == nil || err == ErrAgain || err == io.EOF {
			t.Errorf("Receive() of %d bytes of garbage = %+v, %v; want an error about it", len(p), m, err)
		}
	}
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors open after the garbage; want %d", after, before)
	}
	if err := client.Hello(); err != nil {
		t.Fatal(err)
	}
	if m, err := conn.Receive(); err != nil || m.Kind != KindHello {
		t.Errorf("Receive() after the garbage = %+v, %v; want Hello", m, err)
	}
	client.Close()
	if _, err := conn.Receive(); err != io.EOF {
		t.Errorf("Receive() after close = %v; want EOF", err)
	}
	if err := conn.Send(Message{Kind: KindStoredEnd}); err != io.EOF {
		t.Errorf("Send() after close = %v; want EOF", err)
	}
}

// A peer that dies with unread messages of ours resets the connection; what it
// said before counts nevertheless.
func TestLastWordsAfterReset(t *testing.T) {
	conn, client := pair(t)
	for id := range uint64(3) {
		if err := client.AckExit(id); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Send(Message{Kind: KindStoredEnd}); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	for id := range uint64(3) {
		if m, err := conn.Receive(); err != nil || m.ID != id {
			t.Fatalf("Receive() = %+v, %v; want ack %d", m, err, id)
		}
	}
	if _, err := conn.Receive(); err != io.EOF {
		t.Errorf("Receive() at the end = %v; want EOF", err)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestPutWithoutDescriptorIsSeen(t *testing.T) {
	conn, client := pair(t)
	p, err := Append(nil, Message{Kind: KindPut, Seq: 1, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendmsg(client.FD(), p, nil, nil, 0); err != nil {
		t.Fatal(err)
	}
	if m, err := conn.Receive(); err != nil || m.FD != -1 {
		t.Errorf("Receive() = %+v, %v; want a Put with FD -1", m, err)
	}
}

func TestNewClientRefusesOtherDescriptors(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := NewClient(int(r.Fd())); err == nil {
		t.Error("NewClient(pipe) succeeded")
	}
	for text, ok := range map[string]bool{"": false, "x": false, "-1": false, "99999": false, strconv.Itoa(int(r.Fd())): false} {
		if _, err := FromEnviron(func(string) string { return text }); (err == nil) != ok {
			t.Errorf("FromEnviron with %q = %v", text, err)
		}
	}
}
