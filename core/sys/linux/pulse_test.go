package linux

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/unit"
)

// said lists what the core told init of its loop.
func (f *fakeInit) said() (list []fdstore.Message) {
	f.look(func() { list = append(list, f.pulses...) })
	return list
}

// hears waits until init's end has got as many messages.
func (f *fakeInit) hears(t *testing.T, n int) []fdstore.Message {
	t.Helper()
	require.Eventually(t, func() bool { return len(f.said()) >= n }, patience, time.Millisecond)
	return f.said()
}

// idles lets the time pass that a core without work lingers.
func idles(w *World) {
	now := monotonic()
	w.pulse.worked = now - pulseLinger
	w.beat(now, never)
}

func TestBurstOfTurnsCostsTwoMessages(t *testing.T) {
	f := newFakeInit(t)
	w := newWorld(t, Config{Init: f.client})
	const turns = 1000
	for i := range uint64(turns) {
		w.Peek(nil, 16)
		w.Turned(i+1, false)
	}
	idles(w)
	var list []fdstore.Message
	require.Eventually(t, func() bool {
		list = f.said()
		return len(list) > 0 && list[len(list)-1].Next > 0
	}, patience, time.Millisecond)
	require.Equal(t, uint64(turns), list[len(list)-1].Turn)
	require.LessOrEqual(t, len(list), 5, "%d turns and then quiet: %+v", turns, list)
	require.Zero(t, list[0].Next, "the first message says that there is work")
}

func TestPromiseIsAtMostTwoThirdsOfWhatInitAllows(t *testing.T) {
	f := newFakeInit(t)
	w := newWorld(t, Config{Init: f.client})
	w.Turned(1, false)
	now := monotonic()
	w.pulse.worked = now - pulseLinger
	w.beat(now, never)
	require.Equal(t, now+40*time.Second, w.pulse.promise)
	require.Equal(t, w.pulse.promise, w.nextPulse(), "nothing wakes the loop before")
	w.beat(now+40*time.Second, now+43*time.Second) // a timer of the engine is nearer than that
	require.Equal(t, now+43*time.Second, w.pulse.promise)
}

func TestWorkIsToldBeforeItIsDone(t *testing.T) {
	f := newFakeInit(t)
	w := newWorld(t, Config{Init: f.client})
	w.Turned(1, false)
	idles(w)
	before := len(f.hears(t, 2))
	require.NoError(t, w.Post("a request"))
	require.NoError(t, w.poll.poll(monotonic()+patience))
	said := f.hears(t, before+1)[before]
	require.Zero(t, said.Next)
	require.Equal(t, uint64(1), said.Turn)
}

func TestNotIdleWhileSomebodyIsAtTheDoor(t *testing.T) {
	f := newFakeInit(t)
	w := newWorld(t, Config{Init: f.client})
	l, client := listening(t)
	require.NoError(t, w.Keep("door/control", l))
	served := uint64(0)
	require.NoError(t, w.Door("door/control", func() uint64 { return served }))
	w.Turned(1, false)
	at := func(d time.Duration) bool { // the loop looks when it had no work for a while
		w.pulse.worked = d - pulseLinger
		w.beat(d, never)
		return w.pulse.busy
	}
	now := monotonic()
	require.False(t, at(now))
	require.NoError(t, unix.Connect(client, mustName(t, l)))
	w.hasWork(now)
	require.True(t, at(now+time.Second), "somebody waits")
	served++ // others were let in
	require.True(t, at(now+5*time.Second))
	served++
	require.True(t, at(now+9*time.Second))
	require.True(t, at(now+13*time.Second))
	require.Panics(t, func() { at(now + 15*time.Second) }, "nobody was let in for 6 s, of which init allows 5")
}

func mustName(t *testing.T, fd int) unix.Sockaddr {
	t.Helper()
	name, err := unix.Getsockname(fd)
	require.NoError(t, err)
	return name
}

// listening gives a socket that listens and one that may connect to it.
func listening(t *testing.T) (listener, client int) {
	t.Helper()
	fds := [2]int{}
	for i := range fds {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		t.Cleanup(func() { closeFD(fd) })
		fds[i] = fd
	}
	require.NoError(t, unix.Bind(fds[0], &unix.SockaddrUnix{Name: t.TempDir() + "/s"}))
	require.NoError(t, unix.Listen(fds[0], 8))
	return fds[0], fds[1]
}

func TestEachEffectIsProgress(t *testing.T) {
	f := newFakeInit(t)
	w := newWorld(t, Config{Init: f.client})
	w.Turned(1, true)
	before := len(f.hears(t, 1))
	w.pulse.told -= pulseBusy // a turn that takes its time
	for range 100 {
		w.Act(sys.Intent{Unit: "a.service", Seq: 1, Effect: unit.Disarm{}})
	}
	require.Equal(t, before+1, len(f.hears(t, before+1)), "one message a second")
}

// A turn that computes for long is no hang as long as it gets further, and one without end is.
func TestLongTurnIsTold(t *testing.T) {
	f := newFakeInit(t)
	w := newWorld(t, Config{Init: f.client})
	w.Turned(1, true)
	before := len(f.hears(t, 1))
	w.Further()
	require.Zero(t, w.pulse.further, "it was told just now")
	for range furtherMax + 50 {
		w.pulse.told = monotonic() - pulseBusy
		w.Further()
	}
	w.Turned(2, false)
	said := f.hears(t, before+furtherMax)
	for _, m := range said[before : before+furtherMax] {
		require.Zero(t, m.Next, "there is work")
		require.Equal(t, uint64(1), m.Turn, "the turn is not over")
	}
	require.Equal(t, furtherMax, len(said)-before-len(said[before+furtherMax:]))
	require.LessOrEqual(t, len(said), before+furtherMax+1)
	require.Zero(t, w.pulse.further, "the next turn has as much time")
}
