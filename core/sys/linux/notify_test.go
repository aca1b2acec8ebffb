package linux

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

func TestNotifyFromAChild(t *testing.T) {
	w := newWorld(t, Config{})
	cmd := helper(t, "notify", w.cfg.NotifyPath)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, n := await[unit.Notified](t, w, nil)
	require.Equal(t, cmd.Process.Pid, n.From.PID)
	s, err := readStat(cmd.Process.Pid)
	require.NoError(t, err)
	require.Equal(t, s.Start, n.From.Start)
	require.Equal(t, []unit.Field{{Key: "READY", Value: "1"}, {Key: "STATUS", Value: "here"}}, n.Fields)
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait())
}

func TestBarrierIsReleasedByAck(t *testing.T) {
	w := newWorld(t, Config{})
	cmd := helper(t, "barrier", w.cfg.NotifyPath)
	require.NoError(t, cmd.Start())
	_, n := await[unit.Notified](t, w, nil) // acknowledges
	require.Equal(t, "BARRIER", n.Fields[0].Key)
	require.NoError(t, cmd.Wait())
}

func TestBarrierHoldsUntilAck(t *testing.T) {
	w := newWorld(t, Config{})
	var p [2]int
	require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	require.NoError(t, send(w.cfg.NotifyPath, "BARRIER=1", p[1]))
	require.NoError(t, unix.Close(p[1]))
	ins := drain(w)
	require.Len(t, ins, 1)
	fds := []unix.PollFd{{Fd: int32(p[0])}}
	_, err := unix.Poll(fds, 0)
	require.NoError(t, err)
	require.Zero(t, fds[0].Revents)
	w.Ack([]uint64{ins[0].ID})
	_, err = unix.Poll(fds, 0)
	require.NoError(t, err)
	require.NotZero(t, fds[0].Revents&unix.POLLHUP)
	require.NoError(t, unix.Close(p[0]))
}

func TestNotifiedDescriptorIsKept(t *testing.T) {
	w := newWorld(t, Config{})
	require.NoError(t, helper(t, "fdstore", w.cfg.NotifyPath).Run())
	_, n := await[unit.Notified](t, w, nil)
	require.Len(t, n.FDs, 1)
	require.Equal(t, "thing", n.FDs[0].Name)
	in := sys.Intent{Unit: "a.service", Seq: 1, Effect: unit.StoreFD{From: n.FDs[0].Key, To: "a.service/thing"}}
	for range 2 { // the second time as after a crash
		w.Act(in)
		require.Empty(t, awaitDone(t, w, in))
	}
	require.False(t, w.Held(n.FDs[0].Key))
	f, err := w.File("a.service/thing")
	require.NoError(t, err)
	b := make([]byte, 10)
	k, err := f.Read(b)
	require.NoError(t, err)
	require.Equal(t, "kept", string(b[:k]))
	require.NoError(t, f.Close())
	in = sys.Intent{Unit: "a.service", Seq: 2, Effect: unit.DropFD{Keys: []string{"a.service/thing", "never"}}}
	w.Act(in)
	require.Empty(t, awaitDone(t, w, in))
	require.False(t, w.Held("a.service/thing"))
}

// TestDescriptorOfNobodyIsDropped, here and at init, as the engine asks for it: for no unit, and without an answer.
func TestDescriptorOfNobodyIsDropped(t *testing.T) {
	f := newFakeInit(t)
	w := newWorld(t, Config{Init: f.client})
	require.NoError(t, helper(t, "fdstore", w.cfg.NotifyPath).Run())
	_, n := await[unit.Notified](t, w, nil)
	require.Len(t, n.FDs, 1)
	key := n.FDs[0].Key
	kept := func() (is bool) {
		f.look(func() { _, is = f.kept[key] })
		return is
	}
	require.True(t, kept())
	w.Act(sys.Intent{Effect: unit.DropFD{Keys: []string{key}}})
	for end := monotonic() + 10*time.Second; kept() || len(w.lanes) > 0; w.Wait(monotonic() + 10*time.Millisecond) {
		require.Less(t, monotonic(), end)
	}
	require.False(t, w.Held(key))
}

// What was peeked and not acknowledged comes again to the next core, what was acknowledged does not.
func TestNotificationsSurviveTheCore(t *testing.T) {
	path := t.TempDir() + "/notify"
	w1, err := New(Config{NotifyPath: path, Observe: func(Note) {}})
	require.NoError(t, err)
	const total = 9
	for i := range total {
		require.NoError(t, send(path, fmt.Sprintf("STATUS=%d", i)))
		if i == 4 {
			require.NoError(t, send(path, "")) // empty ones are nobody's, and disturb nobody
		}
	}
	ins := drain(w1)
	require.Len(t, ins, total)
	w1.Ack([]uint64{ins[0].ID, ins[2].ID, ins[1].ID, ins[4].ID}) // 4 stays behind 3
	kept, err := unix.FcntlInt(uintptr(w1.notify.fd), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, w1.Close())

	w2 := newWorldWith(t, path, kept)
	ins = drain(w2)
	var got []string
	for _, in := range ins {
		got = append(got, in.Body.(unit.Notified).Fields[0].Value)
		w2.Ack([]uint64{in.ID})
	}
	require.Equal(t, "3 4 5 6 7 8", strings.Join(got, " "))
	require.Empty(t, drain(w2))
	require.NoError(t, send(path, "STATUS=new"))
	_, n := await[unit.Notified](t, w2, nil)
	require.Equal(t, "new", n.Fields[0].Value)
	var b [64]byte
	_, _, err = unix.Recvfrom(kept, b[:], unix.MSG_DONTWAIT)
	require.Equal(t, unix.EAGAIN, err, "the socket is empty when all is acknowledged")
}

// newWorldWith opens a World that finds the notify socket already held.
func newWorldWith(t testing.TB, path string, fd int) *World {
	t.Helper()
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	init := newFakeInit(t)
	init.put(notifyKey, dup)
	return newWorld(t, Config{NotifyPath: path, Init: init.client})
}

func TestHostileNotifications(t *testing.T) {
	w := newWorld(t, Config{})
	require.NoError(t, send(w.cfg.NotifyPath, strings.Repeat("A", 60000)))
	require.NoError(t, send(w.cfg.NotifyPath, ""))
	require.NoError(t, send(w.cfg.NotifyPath, "\x00\xff\n===\n"))
	var fds []int
	for range notifyFDs {
		fds = append(fds, 0)
	}
	require.NoError(t, send(w.cfg.NotifyPath, "X=many descriptors", fds...))
	require.NoError(t, send(w.cfg.NotifyPath, "READY=1"))
	_, n := await[unit.Notified](t, w, nil)
	require.Equal(t, "X", n.Fields[0].Key)
	_, n = await[unit.Notified](t, w, nil)
	require.Equal(t, "READY", n.Fields[0].Key)
	require.Empty(t, drain(w))
	require.Empty(t, w.notify.queue)
}

func TestParseNotification(t *testing.T) {
	got := ParseNotification([]byte("READY=1\nnothing\nSTATUS=a=b\n=x\nMAINPID=12\x00"))
	want := []unit.Field{{Key: "READY", Value: "1"}, {Key: "STATUS", Value: "a=b"}, {Key: "MAINPID", Value: "12"}}
	require.Equal(t, want, got)
	require.Len(t, ParseNotification([]byte(strings.Repeat("A=1\n", 1000))), notifyFields)
}

func FuzzParseNotification(f *testing.F) {
	f.Add([]byte("READY=1\nSTATUS=x"))
	f.Add([]byte("=\n\x00\xff=1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, x := range ParseNotification(b) {
			if x.Key == "" || strings.ContainsAny(x.Key+x.Value, "\n\x00") {
				t.Fatalf("ParseNotification(%q) has %q", b, x)
			}
		}
	})
}

func BenchmarkPeek500Notifications(b *testing.B) {
	w := newWorld(b, Config{})
	if w.notifyRoom() < 500 {
		b.Skipf("net.unix.max_dgram_qlen is %d and cannot be raised", w.notifyRoom())
	}
	ids := make([]uint64, 0, 500)
	var buf []sys.Input
	for b.Loop() {
		b.StopTimer()
		for range 500 {
			if err := send(w.cfg.NotifyPath, "READY=1\nSTATUS=running"); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		for seen := 0; seen < 500; {
			buf = w.Peek(buf[:0], 500)
			ids = ids[:0]
			for _, in := range buf {
				ids = append(ids, in.ID)
			}
			w.Ack(ids)
			seen += len(buf)
		}
	}
}

// A process may say READY=1 before the answer to its Spawn is here. The engine keeps the message until then, as long
// as it is told whose process that may be: here by the invocation, with control groups by the group.
func TestNotifiedBeforeSpawnedNamesTheUnit(t *testing.T) {
	w := newWorld(t, Config{})
	spawn := sys.Intent{Unit: "a.service", Seq: 1, Invocation: [16]byte{7}, Effect: unit.Spawn{Role: "main"}}
	w.learn(spawn)
	cmd := helper(t, "notify", w.cfg.NotifyPath)
	cmd.Env = append(cmd.Env, "INVOCATION_ID="+hexID(spawn.Invocation))
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	in, n := await[unit.Notified](t, w, nil)
	require.Equal(t, unit.Name("a.service"), in.Unit)
	require.Equal(t, cmd.Process.Pid, n.From.PID)
	require.NoError(t, stdin.Close())
	require.NoError(t, cmd.Wait())
}
