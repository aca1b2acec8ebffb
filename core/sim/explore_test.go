package sim_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sim"
)

func host() sim.Host { return sim.Host{Types: types(), Loader: units} }

// fromEnv is a number that make sim sets.
func fromEnv(t *testing.T, key string, otherwise int) int {
	t.Helper()
	s := os.Getenv(key)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	require.NoError(t, err, key)
	return n
}

// corpus holds what once failed: TestCorpus replays it.
const corpus = "testdata"

// report shows a failure small, and keeps it in the corpus.
func report(t *testing.T, h sim.Host, err error) {
	t.Helper()
	t.Error(kept(h, corpus, err))
}

// kept makes a failure small and keeps it below dir; the text says what it is, and where.
func kept(h sim.Host, dir string, err error) string {
	var f *sim.Failure
	if !errors.As(err, &f) {
		return err.Error()
	}
	f = h.Shrink(f)
	js, err := f.Scenario.JSON()
	if err != nil {
		return fmt.Sprintf("%v\n\n%v", f, err)
	}
	path, err := f.Save(dir)
	if err != nil {
		return fmt.Sprintf("%v\n\n%v; it is:\n%s", f, err, js)
	}
	text := fmt.Sprintf("%v\n\nkept as core/sim/%s, which TestCorpus replays:\n%s", f, path, js)
	if replay(h, path) == nil {
		text += "\n\nreplaying it does not fail: where the core was crashed, or that it hung, is not all in it"
	}
	return text
}

// simulated is what all tests of this package have simulated so far.
var simulated sim.Stats

// explored plays one seed. A failure is kept below dir, and told.
func explored(h sim.Host, dir string, seed uint64, forks int) (sim.Stats, string) {
	st, err := h.Seed(seed, forks)
	if err != nil {
		return st, kept(h, dir, err)
	}
	return st, ""
}

// TestExplore plays machines made from seeds, with crashes at random checkpoints. make sim runs it
// with SIM_TURNS and SIM_CRASHES to reach, together with the tests before; SIM_SEED replays one seed; SIM_FIRST is where to begin.
func TestExplore(t *testing.T) {
	if s := os.Getenv("SIM_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
		st, failed := explored(host(), corpus, seed, 8)
		if failed != "" {
			t.Error(failed)
		}
		t.Log(st)
		return
	}
	seeds := fromEnv(t, "SIM_SEEDS", 150)
	if raced {
		seeds = min(seeds, 20)
	}
	turns, crashes := fromEnv(t, "SIM_TURNS", 0), fromEnv(t, "SIM_CRASHES", 0)
	forks := fromEnv(t, "SIM_FORKS", 12)
	var (
		next  atomic.Uint64
		mu    sync.Mutex
		total sim.Stats
		group sync.WaitGroup
	)
	next.Store(uint64(fromEnv(t, "SIM_FIRST", 0)))
	begin := time.Now()
	enough := func(done int) bool {
		mu.Lock()
		defer mu.Unlock()
		return t.Failed() || done >= seeds && total.Turns+simulated.Turns >= turns && total.Crashes+simulated.Crashes >= crashes
	}
	first := next.Load()
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			h := host()
			for {
				seed := next.Add(1) - 1
				if enough(int(seed - first)) {
					return
				}
				st, failed := explored(h, corpus, seed, forks)
				mu.Lock()
				total.Add(st)
				if failed != "" {
					t.Error(failed)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	t.Logf("%v in %v", total, time.Since(begin).Round(time.Millisecond))
	simulated.Add(total)
	t.Logf("simulated in all: %v", simulated)
}

// TestExploreKeeps: what exploring finds lies in the corpus from then on, and fails there until its cause is gone.
func TestExploreKeeps(t *testing.T) {
	for _, bug := range []string{sim.BugDropKill, sim.BugPanic} {
		t.Run(bug, func(t *testing.T) {
			broken, dir := sim.WithBug(host(), bug), t.TempDir()
			text := ""
			for seed := uint64(0); text == ""; seed++ {
				require.Less(t, seed, uint64(200), "the planted bug is not found")
				_, text = explored(broken, dir, seed, 8)
			}
			files, err := filepath.Glob(filepath.Join(dir, "*.json"))
			require.NoError(t, err)
			require.Len(t, files, 1)
			require.Contains(t, text, files[0], "it says where")
			require.NotContains(t, text, "does not fail")
			require.Error(t, replay(broken, files[0]))
			require.NoError(t, replay(host(), files[0]), "with the cause gone")
		})
	}
}

// TestReplayComparesOutcomes: a scenario that Play alone is content with fails in the corpus.
func TestReplayComparesOutcomes(t *testing.T) {
	s := simple()
	s.Faults.ProbeUnknown = 1
	_, err := host().CrashEverywhere(s, sim.Everywhere{})
	var f *sim.Failure
	require.ErrorAs(t, err, &f)
	require.Equal(t, sim.RuleOutcome, f.Rule())
	path, err := f.Save(t.TempDir())
	require.NoError(t, err)
	err = replay(host(), path)
	require.ErrorAs(t, err, &f)
	require.Equal(t, sim.RuleOutcome, f.Rule())
}
