package state_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/statetest"
)

func TestReserveWhenTheDiskIsFull(t *testing.T) {
	fs := &statetest.FS{Capacity: 1 << 20}
	cfg := state.Config{FS: fs, Reserve: 8 << 10, CompactAt: 64 << 20}
	l, _ := open(t, cfg)
	m := model{}
	put := func(i int) error {
		recs := []state.Record{unit(fmt.Sprint("u", i%50), strings.Repeat("x", 300))}
		err := l.Commit(recs)
		if err == nil {
			m = m.apply(recs)
		}
		return err
	}
	i := 0
	var err error
	for ; err == nil; i++ {
		err = put(i)
	}
	if !errors.Is(err, state.ErrFull) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("commit %d = %v; want ErrFull", i, err)
	}
	if _, err := l.Maintain(1 << 20); err != nil {
		t.Fatalf("Maintain = %v", err) // nothing is due
	}
	if h := l.Health(); h.Reserve < 8<<10 {
		t.Errorf("reserve %d; want at least %d", h.Reserve, 8<<10)
	}
	l.UseReserve()
	durable := 0
	for ; l.Health().Volatile == 0; durable++ {
		if err := put(i); err != nil {
			t.Fatalf("urgent commit %d = %v", durable, err)
		}
		i++
	}
	if durable < 20 {
		t.Errorf("%d urgent commits were durable; want at least 20", durable)
	}
	for range 100 {
		if err := put(i); err != nil {
			t.Fatalf("commit to memory = %v", err)
		}
		i++
	}
	got, _ := load(t, l)
	want(t, "with records in memory", got, m)
	if h := l.Health(); h.Err == nil || !h.Urgent || h.Volatile == 0 {
		t.Errorf("health %+v", h)
	}
	if _, err := l.Maintain(1 << 20); !errors.Is(err, state.ErrFull) {
		t.Errorf("Maintain = %v; want ErrFull", err)
	}

	fs.Capacity = 0 // somebody made room
	maintain(t, l)
	if h := l.Health(); h.Err != nil || h.Urgent || h.Volatile != 0 || h.Reserve < 8<<10 {
		t.Errorf("health %+v; want whole", h)
	}
	next, rep := open(t, state.Config{FS: fs.Restart()})
	got, _ = load(t, next)
	want(t, "opened again", got, m)
	if !rep.Clean() {
		t.Errorf("report %v", rep.Problems)
	}
}

func TestVanishedDirectory(t *testing.T) {
	for _, urgent := range []bool{false, true} {
		fs := &statetest.FS{}
		l, _ := open(t, small(fs))
		m := model{}
		for _, recs := range scenario(5, 60) {
			commit(t, l, recs...)
			m = m.apply(recs)
			if _, err := l.Maintain(4096); err != nil {
				t.Fatal(err)
			}
		}
		fs.Vanish()
		recs := []state.Record{unit("after", "vanish"), {Key: "key1"}}
		if urgent {
			fs.ReadOnly = true
			if err := l.Commit(recs); !errors.Is(err, state.ErrReadOnly) {
				t.Fatalf("Commit = %v; want ErrReadOnly", err)
			}
			l.UseReserve()
		}
		commit(t, l, recs...)
		m = m.apply(recs)
		got, _ := load(t, l)
		want(t, "after the directory vanished", got, m)
		fs.ReadOnly = false
		maintain(t, l)
		got, _ = load(t, l)
		want(t, "after repair", got, m)
		next, rep := open(t, small(fs.Restart()))
		got, _ = load(t, next)
		want(t, "opened again", got, m)
		if !rep.Clean() {
			t.Errorf("report %v", rep.Problems)
		}
		if h := l.Health(); h.Rebuilding || h.Urgent || h.Err != nil {
			t.Errorf("health %+v", h)
		}
	}
}

// TestRealDirectoryRemoved: rm -rf of the directory under a running manager.
func TestRealDirectoryRemoved(t *testing.T) {
	dir := t.TempDir() + "/state"
	l, _ := open(t, state.Config{Dir: dir})
	commit(t, l, unit("a", "1"), state.Record{Segment: state.Specs, Key: "a", Data: []byte("spec")})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	maintain(t, l)
	commit(t, l, unit("b", "2"))
	m, _ := load(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, rep := open(t, state.Config{Dir: dir})
	got, _ := load(t, l)
	want(t, "opened again", got, m)
	if len(got) != 3 || !rep.Clean() {
		t.Errorf("%s, %v", got, rep.Problems)
	}
}

func TestReadOnlyFromTheStart(t *testing.T) {
	fs := &statetest.FS{}
	l, _ := open(t, small(fs))
	commit(t, l, unit("a", "1"))
	fs = fs.Restart()
	fs.ReadOnly = true
	l, rep := open(t, small(fs))
	if !has(rep, state.NotWritable) || !rep.Whole() {
		t.Errorf("report %v", rep.Problems)
	}
	if err := l.Commit([]state.Record{unit("b", "2")}); !errors.Is(err, state.ErrReadOnly) {
		t.Errorf("Commit = %v; want ErrReadOnly", err)
	}
	got, _ := load(t, l)
	want(t, "read only", got, model{{Name: "a"}: "3:1"})
	l.UseReserve()
	commit(t, l, unit("b", "2"))
	fs.ReadOnly = false
	maintain(t, l)
	next, _ := open(t, small(fs.Restart()))
	got, _ = load(t, next)
	want(t, "writable again", got, model{{Name: "a"}: "3:1", {Name: "b"}: "3:2"})
}

// TestEveryLastingFault: from each operation on, nothing that changes the disk works any more. After UseReserve every
// commit is accepted, none is forgotten while the process lives, and all are on disk once the disk works again.
func TestEveryLastingFault(t *testing.T) {
	work := scenario(11, 40)
	base := &statetest.FS{}
	count := base.Restart()
	run(t, small(count), model{}, work)
	for n := 1; n <= count.Ops(); n++ {
		for _, errno := range []error{syscall.EIO, syscall.ENOSPC, syscall.ENOENT} {
			fs := base.Restart()
			fs.Fault = func(op statetest.Op) statetest.Outcome {
				if op.N >= n && op.Kind.Changes() {
					return statetest.Outcome{Err: errno}
				}
				return statetest.Outcome{}
			}
			l, _ := open(t, small(fs))
			m := model{}
			for _, recs := range work {
				if err := l.Commit(recs); err != nil {
					l.UseReserve()
					commit(t, l, recs...)
				}
				m = m.apply(recs)
				if _, err := l.Maintain(2000); err != nil && l.Health().Err == nil {
					t.Fatalf("Maintain = %v, but health has no error", err)
				}
			}
			what := fmt.Sprintf("%v from operation %d on", errno, n)
			got, _ := load(t, l)
			want(t, what, got, m)
			fs.Fault = nil
			maintain(t, l)
			if h := l.Health(); h.Urgent || h.Volatile > 0 || h.Err != nil {
				t.Fatalf("%s, healed: %+v", what, h)
			}
			next, rep := open(t, small(fs.Restart()))
			got, _ = load(t, next)
			want(t, what+", healed and opened again", got, m)
			if !rep.Whole() {
				t.Fatalf("%s: report %v", what, rep.Problems)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	l, _ := open(t, state.Config{FS: &statetest.FS{}, MaxRecord: 1000, MaxCommit: 2000})
	for what, recs := range map[string][]state.Record{
		"records":     {},
		"segment":     {{Segment: 3, Key: "k", Data: []byte{}}},
		"key length":  {unit("ok", ""), unit("", "")},
		"record size": {unit("big", strings.Repeat("x", 1001))},
		"commit size": {unit("a", strings.Repeat("x", 999)), unit("b", strings.Repeat("x", 999))},
	} {
		var le *state.LimitError
		if err := l.Commit(recs); !errors.As(err, &le) || le.What != what {
			t.Errorf("%s: Commit = %v", what, err)
		}
	}
	long := strings.Repeat("ü", state.MaxKey)
	if err := l.Commit([]state.Record{unit(long, "")}); err == nil || len(err.Error()) > 200 {
		t.Errorf("long key: %v", err)
	}
	if got, _ := load(t, l); len(got) != 0 {
		t.Errorf("refused commits left %s", got)
	}
	commit(t, l, unit("empty", ""))
	if got, _ := load(t, l); len(got) != 1 {
		t.Error("an empty value is a value")
	}
}

// TestLock: the second process is refused. POSIX locks belong to processes, so that this takes one.
func TestLock(t *testing.T) {
	if dir := os.Getenv("STATE_LOCK_DIR"); dir != "" {
		_, _, err := state.Open(state.Config{Dir: dir})
		if !errors.Is(err, state.ErrLocked) {
			t.Fatalf("Open = %v; want ErrLocked", err)
		}
		return
	}
	dir := t.TempDir()
	l, _ := open(t, state.Config{Dir: dir})
	child := func() ([]byte, error) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLock$")
		cmd.Env = append(os.Environ(), "STATE_LOCK_DIR="+dir)
		return cmd.CombinedOutput()
	}
	if out, err := child(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := child(); err == nil {
		t.Errorf("the lock survived Close: %s", out)
	}
}
