package state_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/sysmaster-go/sysmaster/state"
)

// tmpfs returns a directory on a tmpfs, where the manager's state lives, or a plain one and says so.
func tmpfs(tb testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "state")
	if err != nil {
		tb.Log("no /dev/shm: measuring the file system of the temporary directory")
		return tb.TempDir()
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return dir
}

// transition is what one unit's change of state commits: its snapshot and the intent of the effect.
func transition(i int) []state.Record {
	return []state.Record{
		{Key: fmt.Sprintf("unit/service-%d.service", i), Data: make([]byte, 300)},
		{Key: fmt.Sprintf("intent/service-%d.service", i), Data: make([]byte, 200)},
	}
}

func specs(units int) (recs []state.Record) {
	for i := range units {
		recs = append(recs, state.Record{Segment: state.Specs, Key: fmt.Sprintf("spec/service-%d.service", i), Data: make([]byte, 3000)})
	}
	return recs
}

func loaded(tb testing.TB, dir string, units int) *state.Log {
	l, _ := open(tb, state.Config{Dir: dir})
	recs := specs(units)
	for i := range units {
		recs = append(recs, transition(i)...)
	}
	commit(tb, l, recs...)
	return l
}

// drain does all maintenance and gives the number of slices, the time of all and of the longest.
func drain(tb testing.TB, l *state.Log, budget int) (n int, total, longest time.Duration) {
	for more := true; more; n++ {
		start := time.Now()
		var err error
		if more, err = l.Maintain(budget); err != nil {
			tb.Fatal(err)
		}
		took := time.Since(start)
		total, longest = total+took, max(longest, took)
	}
	return n, total, longest
}

// BenchmarkCommit: one unit's transition; "amortised" adds the maintenance that it causes.
func BenchmarkCommit(b *testing.B) {
	l := loaded(b, tmpfs(b), 1000)
	work := make([][]state.Record, 1000)
	for i := range work {
		work[i] = transition(i)
	}
	b.ReportAllocs()
	var maintenance time.Duration
	i := 0
	for b.Loop() {
		if err := l.Commit(work[i%1000]); err != nil {
			b.Fatal(err)
		}
		if i++; i%500 == 0 {
			b.StopTimer()
			_, total, _ := drain(b, l, 64<<10)
			maintenance += total
			b.StartTimer()
		}
	}
	b.ReportMetric(float64((b.Elapsed()+maintenance).Nanoseconds())/float64(b.N), "ns-amortised/op")
}

// BenchmarkMaintain: slices of a whole compaction of 1,000 units, specs and all.
func BenchmarkMaintain(b *testing.B) {
	l := loaded(b, tmpfs(b), 1000)
	var longest, total time.Duration
	slices := 0
	for b.Loop() {
		commit(b, l, specs(1000)...)
		n, t, worst := drain(b, l, 64<<10)
		longest, total, slices = max(longest, worst), total+t, slices+n
	}
	b.ReportMetric(float64(longest.Microseconds()), "µs-longest")
	b.ReportMetric(float64(total.Microseconds())/float64(slices), "µs/slice")
}

// BenchmarkRecover: Open and Load of 10,000 units, and of 500 with a log that is nearly long enough to be compacted.
func BenchmarkRecover(b *testing.B) {
	b.Run("units=10000", func(b *testing.B) { benchmarkRecover(b, 10000, 0) })
	b.Run("units=500,log=900k", func(b *testing.B) { benchmarkRecover(b, 500, 900<<10/600) })
}

func benchmarkRecover(b *testing.B, units, changes int) {
	dir := tmpfs(b)
	l := loaded(b, dir, units)
	drain(b, l, 1<<20)
	for i := range changes {
		commit(b, l, transition(i*7919%units)...)
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l, rep, err := state.Open(state.Config{Dir: dir})
		if err != nil || rep.Records != 3*units {
			b.Fatalf("Open = %+v, %v", rep, err)
		}
		if _, err = l.Load(func(state.Record) error { return nil }); err != nil {
			b.Fatal(err)
		}
		if err = l.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestCommitDoesNotAllocate(t *testing.T) {
	l := loaded(t, t.TempDir(), 1)
	recs := transition(0)
	got := testing.AllocsPerRun(200, func() {
		if err := l.Commit(recs); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 {
		t.Errorf("allocations per commit = %v; want 0", got)
	}
}
