package linux

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/core/sys/shim"
	"github.com/sysmaster-go/sysmaster/unit"
)

// patience is how long a test awaits an event that must come.
const patience = 20 * time.Second

// notes collects what a World observes.
type notes struct {
	mu   sync.Mutex
	list []Note
}

func (n *notes) add(x Note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, x)
}

// newWorld opens a World for a test. Without more in cfg it has neither init nor groups.
func newWorld(t testing.TB, cfg Config) *World {
	t.Helper()
	if cfg.NotifyPath == "" {
		cfg.NotifyPath = filepath.Join(t.TempDir(), "notify")
	}
	if cfg.Observe == nil {
		cfg.Observe = func(n Note) { t.Logf("note: %s %s: %v", n.Unit, n.What, n.Err) }
	}
	w, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return w
}

// await takes inputs, acknowledging them, until one of type T fits.
func await[T any](t testing.TB, w *World, fits func(in sys.Input, body T) bool) (sys.Input, T) {
	t.Helper()
	deadline := w.Now().Mono + patience
	var passed []any
	for w.Now().Mono < deadline {
		w.Wait(deadline)
		for _, in := range w.Peek(nil, 1) {
			if in.ID != 0 {
				w.Ack([]uint64{in.ID})
			}
			if b, ok := in.Body.(T); ok && (fits == nil || fits(in, b)) {
				return in, b
			}
			passed = append(passed, in.Body)
		}
	}
	var zero T
	t.Fatalf("await(%T): not within %s; came instead: %#v", zero, patience, passed)
	return sys.Input{}, zero
}

// awaitDone awaits the answer to an effect and returns its error text.
func awaitDone(t testing.TB, w *World, in sys.Intent) string {
	t.Helper()
	_, d := await(t, w, func(i sys.Input, d unit.Done) bool { return i.Unit == in.Unit && d.Seq == in.Seq })
	return d.Err
}

// drain takes what is ready, without waiting.
func drain(w *World) []sys.Input {
	w.Wait(w.Now().Mono)
	return w.Peek(nil, 1<<20)
}

func TestPostComesOutOfPeek(t *testing.T) {
	w := newWorld(t, Config{})
	go func() {
		if err := w.Post("hello"); err != nil {
			t.Errorf("Post() = %v; want nil", err)
		}
	}()
	_, r := await[sys.Request](t, w, nil)
	require.Equal(t, "hello", r.Body)
}

func TestPostIsBounded(t *testing.T) {
	w := newWorld(t, Config{})
	for range PostMax {
		require.NoError(t, w.Post(1))
	}
	require.ErrorIs(t, w.Post(1), ErrBusy)
	require.Len(t, drain(w), PostMax)
	require.NoError(t, w.Post(1))
}

func TestWaitReturnsAtTheDeadline(t *testing.T) {
	w := newWorld(t, Config{})
	at := w.Now().Mono + 20*time.Millisecond
	w.Wait(at)
	require.GreaterOrEqual(t, w.Now().Mono, at)
}

func TestLoadAnswersEveryName(t *testing.T) {
	w := newWorld(t, Config{Load: func(l sys.Load) []*unit.Spec {
		names := l.Names
		if names[0] == "bad.service" {
			panic("loader bug")
		}
		return []*unit.Spec{{Name: names[0], Load: unit.LoadLoaded}}
	}})
	w.Act(sys.Intent{Seq: 7, Effect: sys.Load{Names: []unit.Name{"a.service", "b.service"}}})
	_, l := await[sys.Loaded](t, w, nil)
	require.EqualValues(t, 7, l.Seq)
	require.Equal(t, unit.LoadLoaded, l.Specs[0].Load)
	require.Equal(t, unit.LoadError, l.Specs[1].Load)
	w.Act(sys.Intent{Seq: 8, Effect: sys.Load{Names: []unit.Name{"bad.service"}}})
	_, l = await[sys.Loaded](t, w, nil)
	require.Contains(t, l.Specs[0].LoadError, "panicked")
}

// A condition on a dead path holds up only the unit that asks.
func TestHungChecksDoNotHoldUpOthers(t *testing.T) {
	release := make(chan struct{})
	w := newWorld(t, Config{Check: func(c []unit.Condition) []bool {
		if c[0].Param == "/dead" {
			<-release
		}
		return []bool{true}
	}})
	for i := range 3 * poolWidth {
		w.Act(sys.Intent{Unit: "hung.service", Seq: uint64(i), Effect: sys.Check{Conditions: []unit.Condition{{Param: "/dead"}}}})
	}
	w.Act(sys.Intent{Unit: "good.service", Seq: 1, Effect: sys.Check{Conditions: []unit.Condition{{Param: "/alive"}}}})
	in, c := await[sys.Checked](t, w, nil)
	require.EqualValues(t, "good.service", in.Unit)
	require.Equal(t, []bool{true}, c.Results)
	close(release)
	for range 3 * poolWidth {
		await[sys.Checked](t, w, nil)
	}
}

// While one effect of a unit hangs, the unit's next one waits; those of others, and Kill, do not.
func TestHungEffectHoldsUpOnlyItsLane(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, Config{})
	release := make(chan struct{})
	slow := sys.Intent{Unit: "a.service", Seq: 1}
	l := &lane{busy: true, current: unit.Dirs{}}
	w.lanes["a.service"] = l
	w.slow(func(err error) {
		w.finish(slow, err, func() { l.busy = false; w.pump("a.service", l) })
	}, func() error { <-release; return nil })

	next := sys.Intent{Unit: "a.service", Seq: 2, Effect: unit.Dirs{Dirs: []unit.Dir{{Path: dir + "/a", Mode: 0o700}}}}
	kill := sys.Intent{Unit: "a.service", Seq: 3, Effect: unit.Kill{Signal: 15}}
	other := sys.Intent{Unit: "b.service", Seq: 1, Effect: unit.Dirs{Dirs: []unit.Dir{{Path: dir + "/b", Mode: 0o700}}}}
	w.Act(next)
	w.Act(kill)
	w.Act(other)
	require.Empty(t, awaitDone(t, w, kill))
	require.Empty(t, awaitDone(t, w, other))
	require.NoDirExists(t, dir+"/a")
	close(release)
	require.Empty(t, awaitDone(t, w, slow))
	require.Empty(t, awaitDone(t, w, next))
	require.DirExists(t, dir+"/a")
	require.Empty(t, w.lanes)
}

func TestKillStandsBehindSpawnsOnly(t *testing.T) {
	l := &lane{busy: true, current: unit.Dirs{}, queue: []sys.Intent{{Effect: unit.Dirs{}}}}
	_, wait := l.killPlace()
	require.False(t, wait)
	l.queue = []sys.Intent{{Effect: unit.Dirs{}}, {Effect: unit.Spawn{}}, {Effect: unit.Dirs{}}}
	at, wait := l.killPlace()
	require.True(t, wait)
	require.Equal(t, 2, at)
	l = &lane{busy: true, current: unit.Spawn{}, queue: []sys.Intent{{Effect: unit.Dirs{}}}}
	at, wait = l.killPlace()
	require.True(t, wait)
	require.Equal(t, 0, at)
}

func TestClockIsTheKernels(t *testing.T) {
	w := newWorld(t, Config{})
	a, b := w.Now(), w.Now()
	require.LessOrEqual(t, a.Mono, b.Mono)
	require.InDelta(t, float64(time.Now().UnixNano()), float64(b.Real), float64(time.Minute))
	require.GreaterOrEqual(t, b.Boot, b.Mono-time.Second)
}

func TestShutdownNeedsInit(t *testing.T) {
	w := newWorld(t, Config{})
	in := sys.Intent{Seq: 1, Effect: sys.Shutdown{Verb: "reboot"}}
	w.Act(in)
	require.Contains(t, awaitDone(t, w, in), "cannot reboot")
	in.Effect = sys.Shutdown{Verb: "dance"}
	w.Act(in)
	require.Contains(t, awaitDone(t, w, in), "unknown verb")
}

func TestMain(m *testing.M) {
	if os.Args[0] == "sysmaster-exec" {
		shim.Run()
	}
	if helper := os.Getenv("LINUX_TEST_HELPER"); helper != "" {
		os.Exit(helpers[helper]())
	}
	os.Exit(m.Run())
}
