package sim_test

import (
	"errors"
	"os"
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

// report shows a failure small, with the scenario to keep.
func report(t *testing.T, h sim.Host, err error) {
	t.Helper()
	var f *sim.Failure
	if !errors.As(err, &f) {
		t.Error(err)
		return
	}
	f = h.Shrink(f)
	js, jerr := f.Scenario.JSON()
	require.NoError(t, jerr)
	t.Errorf("%v\n\nto keep in core/sim/testdata:\n%s", f, js)
}

// simulated is what all tests of this package have simulated so far.
var simulated sim.Stats

// TestExplore plays machines made from seeds, with crashes at random checkpoints. make sim runs it
// with SIM_TURNS and SIM_CRASHES to reach, together with the tests before; SIM_SEED replays one seed; SIM_FIRST is where to begin.
func TestExplore(t *testing.T) {
	if s := os.Getenv("SIM_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
		st, err := host().Seed(seed, 8)
		if err != nil {
			report(t, host(), err)
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
				st, err := h.Seed(seed, forks)
				mu.Lock()
				total.Add(st)
				if err != nil {
					report(t, h, err)
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
