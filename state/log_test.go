package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/statetest"
)

// model is what a store must hold.
type model map[state.Key]string

func (m model) apply(recs []state.Record) model {
	next := maps.Clone(m)
	for _, r := range recs {
		k := state.Key{Segment: r.Segment, Name: r.Key}
		if r.Data == nil {
			delete(next, k)
		} else {
			next[k] = fmt.Sprint(r.Version, ":", string(r.Data))
		}
	}
	return next
}

func (m model) String() string {
	var lines []string
	for k, v := range m {
		lines = append(lines, fmt.Sprintf("%s/%s=%.20q(%d)", k.Segment, k.Name, v, len(v)))
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}

func load(t testing.TB, s state.Store) (model, state.Report) {
	t.Helper()
	got := model{}
	rep, err := s.Load(func(r state.Record) error {
		got = got.apply([]state.Record{r})
		return nil
	})
	if err != nil {
		t.Fatalf("Load = %v", err)
	}
	return got, rep
}

func open(t testing.TB, cfg state.Config) (*state.Log, state.Report) {
	t.Helper()
	l, rep, err := state.Open(cfg)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	return l, rep
}

func commit(t testing.TB, s state.Store, recs ...state.Record) {
	t.Helper()
	if err := s.Commit(recs); err != nil {
		t.Fatalf("Commit = %v", err)
	}
}

func maintain(t testing.TB, l *state.Log) {
	t.Helper()
	for range 100000 {
		more, err := l.Maintain(4096)
		if err != nil {
			t.Fatalf("Maintain = %v", err)
		}
		if !more {
			return
		}
	}
	t.Fatal("Maintain does not end")
}

func want(t testing.TB, what string, got, want model) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Fatalf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func unit(name, data string) state.Record {
	return state.Record{Segment: state.Units, Key: name, Version: 3, Data: []byte(data)}
}

func small(fs *statetest.FS) state.Config {
	return state.Config{FS: fs, Salt: 42, Reserve: 4096, CompactAt: 2000}
}

// scenario is a few dozen commits that create, change and delete keys of all segments, the same for the same seed.
func scenario(seed uint64, n int) [][]state.Record {
	rng := rand.New(rand.NewPCG(seed, 1))
	var all [][]state.Record
	for i := range n {
		var recs []state.Record
		for j := range 1 + rng.IntN(3) {
			r := state.Record{Segment: state.Segment(rng.IntN(3)), Key: fmt.Sprint("key", rng.IntN(6)), Version: uint32(i)}
			if rng.IntN(4) != 0 {
				r.Data = bytes.Repeat([]byte{byte('a' + i%26)}, rng.IntN(120))
			}
			if r.Segment == state.Specs && i > n/2 {
				r.Segment = state.Units // so that one compaction finds specs unchanged
			}
			_ = j
			recs = append(recs, r)
		}
		all = append(all, recs)
	}
	return all
}

func TestNewestWinsAcrossRestartsAndCompaction(t *testing.T) {
	fs := &statetest.FS{}
	m := model{}
	l, _ := open(t, small(fs))
	for i, recs := range scenario(1, 400) {
		commit(t, l, recs...)
		m = m.apply(recs)
		if i%3 == 0 {
			if _, err := l.Maintain(300); err != nil {
				t.Fatal(err)
			}
		}
		if i%17 == 0 {
			fs = fs.Restart()
			var rep state.Report
			l, rep = open(t, small(fs))
			if !rep.Clean() {
				t.Fatalf("commit %d: report = %v; want clean", i, rep.Problems)
			}
		}
		got, _ := load(t, l)
		want(t, fmt.Sprint("after commit ", i), got, m)
	}
	if n := len(fs.Names()); n > 36 {
		t.Errorf("%d files: %v", n, fs)
	}
	if err := l.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := l.Commit([]state.Record{unit("a", "b")}); !errors.Is(err, state.ErrClosed) {
		t.Errorf("Commit after Close = %v; want ErrClosed", err)
	}
}

func TestRealDirectory(t *testing.T) {
	dir := t.TempDir() + "/run/state"
	cfg := state.Config{Dir: dir, CompactAt: 2000, Reserve: 64 << 10, Sync: true}
	m := model{}
	for round := range 12 {
		l, rep := open(t, cfg)
		if !rep.Clean() {
			t.Fatalf("round %d: %v", round, rep.Problems)
		}
		for _, recs := range scenario(uint64(round), 30) {
			commit(t, l, recs...)
			m = m.apply(recs)
		}
		maintain(t, l)
		got, _ := load(t, l)
		want(t, "before Close", got, m)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l, _ = open(t, cfg)
		got, _ = load(t, l)
		want(t, "after Close", got, m)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
