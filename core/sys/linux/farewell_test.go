package linux

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/unit"
)

// helperChild starts a helper whose parent we are, without anybody who waits for it.
func helperChild(t testing.TB, name, arg string) unit.Proc {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	env := append(os.Environ(), "LINUX_TEST_HELPER="+name, "HELPER_ARG="+arg)
	pid, err := syscall.ForkExec(self, []string{self}, &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2}})
	require.NoError(t, err)
	s, err := readStat(pid)
	require.NoError(t, err)
	return unit.Proc{PID: pid, Start: s.Start}
}

// awaitZombie returns when the process has ended; nobody reaps it.
func awaitZombie(t testing.TB, p unit.Proc) {
	t.Helper()
	fd, err := unix.PidfdOpen(p.PID, 0)
	require.NoError(t, err)
	defer closeFD(fd)
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for end := monotonic() + patience; fds[0].Revents == 0; {
		require.Less(t, monotonic(), end)
		if _, err := unix.Poll(fds, 1000); err != unix.EINTR {
			require.NoError(t, err)
		}
	}
}

// kinds names the bodies of inputs, in their order.
func kinds(ins []sys.Input) string {
	var s []string
	for _, in := range ins {
		s = append(s, strings.TrimPrefix(fmt.Sprintf("%T", in.Body), "unit."))
	}
	return strings.Join(s, " ")
}

// awaitTwo gives the next two inputs, acknowledged.
func awaitTwo(t testing.TB, w *World) []sys.Input {
	t.Helper()
	ins := awaitNotAcked(t, w, 2)
	w.Ack([]uint64{ins[0].ID, ins[1].ID})
	return ins
}

// A process that notifies and ends at once is heard before it is seen to have ended.
func TestLastWordsComeBeforeTheExit(t *testing.T) {
	for _, what := range []string{"last", "fdstore"} {
		init := newFakeInit(t)
		w := newWorld(t, Config{Init: init.client})
		for range 20 {
			p := helperChild(t, what, w.cfg.NotifyPath)
			_, err := w.follow(follower{Proc: p, unit: "a.service", pidfd: -1, child: true})
			require.NoError(t, err)
			awaitZombie(t, p)
			require.Equal(t, "Notified Exited", kinds(awaitTwo(t, w)), what)
		}
	}
}

// The same, with no core alive when the process notifies and ends.
func TestLastWordsComeBeforeTheExitToTheNextCore(t *testing.T) {
	for _, what := range []string{"last", "fdstore"} {
		path := t.TempDir() + "/notify"
		fd, err := listenNotify(path)
		require.NoError(t, err)
		p := helperChild(t, what, path)
		awaitZombie(t, p)
		require.NoError(t, unix.Waitid(unix.P_PID, p.PID, nil, unix.WEXITED, nil)) // as init does
		init := newFakeInit(t)
		init.put(notifyKey, fd)
		init.look(func() {
			init.exits = []fdstore.Exit{{ID: 1, PID: p.PID, StartTime: p.Start, Session: p.PID, Code: 1, Cgroup: "/"}}
		})
		w := newWorld(t, Config{NotifyPath: path, Init: init.client})
		ins := awaitTwo(t, w)
		require.Equal(t, "Notified Exited", kinds(ins), what)
		require.Equal(t, p, ins[0].Body.(unit.Notified).From, "known by its exit")
	}
}

// Notifications that nobody consumes - the store refuses every commit - do not keep an exit for ever.
func TestFarewellIsBounded(t *testing.T) {
	w := newWorld(t, Config{})
	w.notify.stall, w.notify.more = true, true // as if init were to take a descriptor, and did not
	p := helperChild(t, "last", w.cfg.NotifyPath)
	_, err := w.follow(follower{Proc: p, unit: "a.service", pidfd: -1, child: true})
	require.NoError(t, err)
	awaitZombie(t, p)
	since := monotonic()
	w.Wait(since + patience)
	require.Equal(t, "Exited", kinds(w.Peek(nil, 10)))
	require.GreaterOrEqual(t, monotonic(), since+farewellMax/2)

	// And neither does a sender that never stops: only what was there before counts.
	w.notify.stall = false
	require.Contains(t, kinds(drain(w)), "Notified")
	w.notify.room = 3
	w.pushEnd(sys.Input{Unit: "b.service", Body: unit.CgroupEmpty{}}, nil)
	upTo := w.farewells[0].upTo
	for range 10 {
		require.NoError(t, send(w.cfg.NotifyPath, "STATUS=on and on"))
	}
	w.notify.peeked = upTo // as if they had come while it was read
	w.notify.queue = append(make([]*datagram, notifyInFlight), w.notify.queue...)
	require.Equal(t, "CgroupEmpty", kinds(drain(w)))
	w.notify.queue = nil
}
