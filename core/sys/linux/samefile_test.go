package linux

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// A message that stores a descriptor and was handled, but not consumed, comes again to the next core.
// Whatever became of the descriptor, the new one is told to be the same.
func TestStoredDescriptorIsRecognised(t *testing.T) {
	for _, crash := range []string{"before the effect", "after it"} {
		t.Run(crash, func(t *testing.T) {
			path := t.TempDir() + "/notify"
			init := newFakeInit(t)
			w, err := New(Config{NotifyPath: path, Init: init.client, Observe: func(Note) {}})
			require.NoError(t, err)
			for range 2 { // eventfds, which all have one inode
				fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
				require.NoError(t, err)
				require.NoError(t, send(path, "FDSTORE=1\nFDNAME=x", fd))
				closeFD(fd)
			}
			ins := awaitNotAcked(t, w, 2)
			first := ins[0].Body.(unit.Notified).FDs[0].Key
			require.Empty(t, ins[0].Body.(unit.Notified).Same[0])
			require.Empty(t, ins[1].Body.(unit.Notified).Same[0], "another one")
			want := first
			in := sys.Intent{Unit: "a.service", Seq: 1, Effect: unit.StoreFD{From: first, To: "stored/a.service/1"}}
			if crash == "after it" {
				w.Act(in)
				require.Empty(t, awaitDone(t, w, in))
				want = "stored/a.service/1"
			}
			require.NoError(t, w.Close())
			init.disconnect(t)
			init.connect(t)

			w = newWorld(t, Config{NotifyPath: path, Init: init.client})
			again := awaitNotAcked(t, w, 2)[0].Body.(unit.Notified)
			require.NotEqual(t, first, again.FDs[0].Key)
			require.Equal(t, [][]string{{want}}, again.Same)
			w.Act(in) // as recovery repeats it
			require.Empty(t, awaitDone(t, w, in))
			require.Contains(t, w.sameAs(again.FDs[0].Key), "stored/a.service/1")
			drop := sys.Intent{Unit: "a.service", Seq: 2, Effect: unit.DropFD{Keys: []string{again.FDs[0].Key, "stored/a.service/1"}}}
			w.Act(drop)
			require.Empty(t, awaitDone(t, w, drop))
		})
	}
}

// awaitNotAcked gives the next n inputs, peeked only.
func awaitNotAcked(t testing.TB, w *World, n int) (ins []sys.Input) {
	t.Helper()
	for end := monotonic() + patience; len(ins) < n; {
		require.Less(t, monotonic(), end)
		w.Wait(end)
		ins = w.Peek(ins, n)
	}
	return ins
}

func TestSameFile(t *testing.T) {
	var p, q [2]int
	require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	require.NoError(t, unix.Pipe2(q[:], unix.O_CLOEXEC))
	dup, err := unix.FcntlInt(uintptr(p[0]), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	require.True(t, sameFile(p[0], dup))
	require.False(t, sameFile(p[0], p[1]))
	require.False(t, sameFile(p[0], q[0]))
	for _, fd := range []int{p[0], p[1], q[0], q[1], dup} {
		require.NoError(t, unix.Close(fd))
	}
}
