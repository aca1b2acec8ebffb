package state_test

import (
	"errors"
	"fmt"
	"maps"
	"syscall"
	"testing"

	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/statetest"
)

// run commits the scenario, with slices of maintenance in between, until it is done or the process crashes. It
// returns what was acknowledged, and what may be there as well: the commit that was under way.
func run(t *testing.T, cfg state.Config, from model, work [][]state.Record) (acked, maybe model, l *state.Log) {
	t.Helper()
	l, _, err := state.Open(cfg)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	acked = from
	for _, recs := range work {
		err := l.Commit(recs)
		next := acked.apply(recs)
		switch {
		case err == nil:
			acked = next
		case errors.Is(err, statetest.ErrCrashed):
			return acked, next, l
		default:
			t.Fatalf("Commit = %v", err)
		}
		for range 2 {
			if _, err := l.Maintain(2000); err != nil {
				if errors.Is(err, statetest.ErrCrashed) {
					return acked, acked, l
				}
				t.Fatalf("Maintain = %v", err)
			}
		}
	}
	return acked, acked, l
}

// points are all ways to die in one run of the scenario.
func points(t *testing.T, cfg state.Config, base *statetest.FS, work [][]state.Record) (ops []statetest.Op) {
	fs := base.Restart()
	fs.Fault = func(op statetest.Op) statetest.Outcome {
		if op.Kind.Changes() {
			ops = append(ops, op)
		}
		return statetest.Outcome{}
	}
	cfg.FS = fs
	run(t, cfg, model{}, work)
	return ops
}

// dieAt lets the process die at an operation.
func dieAt(n int, out statetest.Outcome) func(statetest.Op) statetest.Outcome {
	return func(op statetest.Op) statetest.Outcome {
		if op.N == n {
			return out
		}
		return statetest.Outcome{}
	}
}

func ways(op statetest.Op, every bool) []statetest.Outcome {
	outs := []statetest.Outcome{{Crash: true}, {Crash: true, After: true}}
	for n := 1; op.Kind == statetest.OpWrite && n < op.Len; n++ {
		if every || n == 1 || n == op.Len/2 || n == op.Len-1 {
			outs = append(outs, statetest.Outcome{Crash: true, Write: n})
		}
	}
	return outs
}

// TestEveryCrashPoint: at each operation that changes anything - before it, after it, in the middle of it - the process
// dies. The next one finds all that was acknowledged, and of the commit under way all or nothing, and goes on.
func TestEveryCrashPoint(t *testing.T) {
	work := scenario(7, 45)
	base := &statetest.FS{}
	all := points(t, small(base), base, work)
	kinds := map[statetest.OpKind]int{}
	tried := 0
	for _, op := range all {
		kinds[op.Kind]++
		// Each length of each kind of write once, three lengths of the others.
		every := op.Kind == statetest.OpWrite && (kinds[op.Kind] < 8 || op.Name == "units.2.tmp" || tried%40 == 0)
		for _, out := range ways(op, every) {
			tried++
			crashOnce(t, base, op, out, work)
		}
	}
	t.Logf("%d crash points in %d operations: %v", tried, len(all), kinds)
	if kinds[statetest.OpRename] < 4 || kinds[statetest.OpRemove] < 4 {
		t.Errorf("the scenario has too little compaction: %v", kinds)
	}
}

func crashOnce(t *testing.T, base *statetest.FS, op statetest.Op, out statetest.Outcome, work [][]state.Record) {
	t.Helper()
	fs := base.Restart()
	fs.Fault = dieAt(op.N, out)
	acked, maybe, _ := run(t, small(fs), model{}, work)
	what := fmt.Sprintf("crash at %+v, %+v, files %v", op, out, fs)

	after := fs.Restart()
	l, rep := open(t, small(after))
	if !rep.Whole() {
		t.Fatalf("%s: report %v; want nothing but torn tails", what, rep.Problems)
	}
	got, _ := load(t, l)
	if !maps.Equal(got, acked) && !maps.Equal(got, maybe) {
		t.Fatalf("%s:\n  got %s\nacked %s\n   or %s", what, got, acked, maybe)
	}
	commit(t, l, unit("after", "crash"))
	maintain(t, l)
	next, rep := open(t, small(after.Restart()))
	if !rep.Whole() {
		t.Fatalf("%s, opened again: report %v", what, rep.Problems)
	}
	again, _ := load(t, next)
	want(t, what+", opened again", again, got.apply([]state.Record{unit("after", "crash")}))
}

// TestCrashDuringRecovery: the process dies in the middle of a compaction, and the next one at each operation of its start.
func TestCrashDuringRecovery(t *testing.T) {
	work := scenario(8, 30)
	base := &statetest.FS{}
	tried := 0
	for i, op := range points(t, small(base), base, work) {
		if i%5 != 0 && op.Kind == statetest.OpWrite {
			continue
		}
		first := base.Restart()
		first.Fault = dieAt(op.N, statetest.Outcome{Crash: true, Write: op.Len / 2})
		acked, maybe, _ := run(t, small(first), model{}, work)
		for n := 1; ; n++ {
			second := first.Restart()
			second.Fault = dieAt(n, statetest.Outcome{Crash: true, Write: 70})
			if _, _, err := state.Open(small(second)); err != nil {
				t.Fatalf("Open = %v", err)
			}
			if second.Ops() < n {
				break
			}
			tried++
			l, rep := open(t, small(second.Restart()))
			got, _ := load(t, l)
			if !rep.Whole() || !maps.Equal(got, acked) && !maps.Equal(got, maybe) {
				t.Fatalf("crash at %+v, then at operation %d of Open: %v\n  got %s\nacked %s", op, n, rep.Problems, got, acked)
			}
		}
	}
	t.Logf("%d double crashes", tried)
}

// TestPowerCut: with Sync, what was acknowledged survives a power failure at each point too.
func TestPowerCut(t *testing.T) {
	work := scenario(9, 40)
	base := &statetest.FS{}
	cfg := small(base)
	cfg.Sync = true
	for _, op := range points(t, cfg, base, work) {
		for _, out := range ways(op, false) {
			fs := base.Restart()
			fs.Fault = dieAt(op.N, out)
			cfg.FS = fs
			acked, maybe, _ := run(t, cfg, model{}, work)
			cfg.FS = fs.PowerCut()
			l, rep := open(t, cfg)
			got, _ := load(t, l)
			if !maps.Equal(got, acked) && !maps.Equal(got, maybe) {
				t.Fatalf("power cut at %+v, %+v, files %v: %v\n  got %s\nacked %s", op, out, fs.PowerCut(), rep.Problems, got, acked)
			}
		}
	}
}

// TestEverySingleFault: each operation fails once, with each error. Nothing acknowledged is lost, what was refused is
// not there, and the next commit works.
func TestEverySingleFault(t *testing.T) {
	work := scenario(10, 40)
	base := &statetest.FS{}
	total := 0
	count := base.Restart()
	run(t, small(count), model{}, work)
	l, _ := open(t, small(base.Restart()))
	started := base.Restart()
	open(t, small(started))
	_ = l
	for n := started.Ops() + 1; n <= count.Ops(); n++ {
		for _, out := range []statetest.Outcome{{Err: syscall.EIO}, {Err: syscall.EIO, Write: 30}, {Err: syscall.ENOSPC}, {Err: syscall.EROFS}} {
			total++
			fs := base.Restart()
			fs.Fault = dieAt(n, out)
			l, _ := open(t, small(fs))
			m := model{}
			failed := 0
			for _, recs := range work {
				if err := l.Commit(recs); err != nil {
					var ce *state.CommitError
					if failed++; failed > 1 || !errors.As(err, &ce) {
						t.Fatalf("fault %+v at %d: Commit = %v", out, n, err)
					}
					got, _ := load(t, l)
					want(t, "after a refused commit", got, m)
					commit(t, l, recs...)
				}
				m = m.apply(recs)
				for range 2 {
					if _, err := l.Maintain(2000); err != nil {
						failed++
					}
				}
			}
			what := fmt.Sprintf("fault %+v at %d, files %v", out, n, fs)
			got, rep := load(t, l)
			if len(rep.Problems) > 0 {
				t.Fatalf("%s: %v", what, rep.Problems)
			}
			want(t, what, got, m)
			next, rep := open(t, small(fs.Restart()))
			got, _ = load(t, next)
			if !rep.Whole() {
				t.Fatalf("%s: report %v", what, rep.Problems)
			}
			want(t, what+", opened again", got, m)
		}
	}
	t.Logf("%d faults", total)
}

// TestRefusedFrameOnDisk: a write that failed leaves a part of its frame, or all of it, and cutting it off may fail too.
// What is committed afterwards is found nevertheless.
func TestRefusedFrameOnDisk(t *testing.T) {
	long := []state.Record{unit("refused", "a long one that must not be there afterwards")}
	for _, part := range []int{30, 60, 1 << 20} {
		for _, cut := range []bool{true, false} {
			fs := &statetest.FS{}
			l, _ := open(t, small(fs))
			commit(t, l, unit("a", "1"))
			fs.Fault = func(op statetest.Op) statetest.Outcome {
				if op.Kind == statetest.OpWrite || op.Kind == statetest.OpTruncate && !cut {
					return statetest.Outcome{Err: syscall.EIO, Write: part}
				}
				return statetest.Outcome{}
			}
			if err := l.Commit(long); !errors.Is(err, state.ErrIO) {
				t.Fatalf("Commit = %v; want ErrIO", err)
			}
			fs.Fault = nil
			commit(t, l, unit("b", "2"))
			commit(t, l, unit("c", "3"))
			next, rep := open(t, small(fs.Restart()))
			got, _ := load(t, next)
			if part == 1<<20 && !cut {
				delete(got, state.Key{Name: "refused"}) // whole on disk, and nothing could be done about it
			}
			want(t, fmt.Sprint(part, cut), got, model{{Name: "a"}: "3:1", {Name: "b"}: "3:2", {Name: "c"}: "3:3"})
			if !rep.Whole() || cut && !rep.Clean() {
				t.Errorf("part %d, cut %v: %v", part, cut, rep.Problems)
			}
		}
	}
}
