package spawn

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestHurriedAtTheStart: a program that was made with real-time priority and gives it up before its first child spawns directly.
func TestHurriedAtTheStart(t *testing.T) {
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	set := func(policy, priority uint32) error {
		return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Priority: priority}, 0)
	}
	if err := set(unix.SCHED_RR, 1); err != nil {
		t.Skip("no real-time priority here:", err)
	}
	s, err := New(Config{ShimPath: shimPath})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, set(unix.SCHED_NORMAL, 0))
	for _, why := range s.Indirect() {
		require.NotContains(t, why, "scheduling policy")
	}
	awkward, err := New(Config{ShimPath: shimPath})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, awkward.Close()) })
	require.NoError(t, set(unix.SCHED_RR, 1))
	require.Contains(t, awkward.Indirect(), "nice level 0, scheduling policy 2")
}
