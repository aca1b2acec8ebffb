package state_test

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state"
)

// thread is the processor time of this thread: what a slice blocks the loop for on a machine that has time for it.
func thread(t *testing.T) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// TestCompactionDoesNotBlock: no slice of a compaction, and no commit while one runs, takes the loop more than a millisecond.
// One of a hundred may, on a busy machine: caches are cold, and the kernel's work for others counts as ours.
func TestCompactionDoesNotBlock(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, units := range []int{1000, 10_000} {
		l, _ := open(t, state.Config{Dir: tmpfs(t)})
		recs := specs(units)
		for i := range units {
			recs = append(recs, transition(i)...)
		}
		commit(t, l, recs...)
		var maintain, commits []time.Duration
		for round := range 3 {
			commit(t, l, specs(units)...)
			for i, more := 0, true; more; i++ {
				start := thread(t)
				var err error
				if more, err = l.Maintain(64 << 10); err != nil {
					t.Fatal(err)
				}
				middle := thread(t)
				recs := transition(i % units)
				from := thread(t)
				if err := l.Commit(recs); err != nil {
					t.Fatal(err)
				}
				maintain, commits = append(maintain, middle-start), append(commits, thread(t)-from)
			}
			if round == 0 && len(maintain) < 20 {
				t.Fatalf("%d slices: nothing was compacted", len(maintain))
			}
		}
		for what, took := range map[string][]time.Duration{"slice": maintain, "commit": commits} {
			slices.Sort(took)
			p := func(percent int) time.Duration { return took[(len(took)-1)*percent/100] }
			t.Logf("%d units, %d: one %s takes %v (p50), %v (p99), %v (max)", units, len(took), what, p(50), p(99), p(100))
			if limit := time.Millisecond; p(99) > limit {
				t.Errorf("%d units: one %s in a hundred takes more than %v: %v", units, what, limit, p(99))
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
