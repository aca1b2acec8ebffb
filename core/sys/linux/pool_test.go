package linux

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/core/sys/linux/spawn"
	"github.com/sysmaster-go/sysmaster/unit"
)

// What panics beside the loop costs the effect: it is answered as failed, its lane goes on, and what it was stands in
// the note. So it is for each kind of effect that has work done there.
func TestPanicBesideTheLoop(t *testing.T) {
	var seen notes
	w := newWorld(t, Config{Observe: seen.add})
	panics := func() func() { panic("a bug of ours") }
	for _, c := range []struct {
		name  string
		begin func(in sys.Intent, next func())
		err   func(t *testing.T, in sys.Intent) string
	}{
		{"slow", func(in sys.Intent, next func()) {
			w.slow(func(err error) { w.finish(in, err, next) }, func() error { panics(); return nil })
		}, func(t *testing.T, in sys.Intent) string { return awaitDone(t, w, in) }},
		{"PID file", func(in sys.Intent, next func()) { w.pool.run(panics, w.pidUnread(in, next)) },
			func(t *testing.T, in sys.Intent) string {
				_, r := await(t, w, func(_ sys.Input, r unit.PIDRead) bool { return r.Seq == in.Seq })
				return r.Err
			}},
	} {
		in, on := sys.Intent{Unit: "a.service", Seq: 7}, false
		c.begin(in, func() { on = true })
		require.Contains(t, c.err(t, in), "internal error: a bug of ours", c.name)
		require.True(t, on, "%s: the lane goes on", c.name)
		require.Empty(t, w.pool.running, c.name)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	require.Len(t, seen.list, 2)
	for _, n := range seen.list {
		require.True(t, strings.Contains(n.Err.Error(), "TestPanicBesideTheLoop"), "where it was: %v", n.Err)
	}
}

// A spawn that panics is a failed start of that one unit, and the next one of others works.
func TestPanicInSpawn(t *testing.T) {
	var seen notes
	cfg := shimConfig(t)
	cfg.Observe = seen.add
	w := newWorld(t, cfg)
	whole := w.launch.spawner
	w.launch.spawner = new(spawn.Spawner) // has no threads
	in := serviceIntent(3, unit.Spawn{Role: "main", Command: command("/bin/true")})
	w.Act(in)
	_, s := await[unit.Spawned](t, w, nil)
	w.launch.spawner = whole
	require.EqualValues(t, 3, s.Seq)
	require.Contains(t, s.Err.Msg, "internal error")
	require.Zero(t, w.spawning)
	require.Empty(t, w.lanes)
	seen.mu.Lock()
	require.NotEmpty(t, seen.list, "it is told where that was")
	seen.mu.Unlock()
	in = serviceIntent(4, unit.Spawn{Role: "main", Command: command("/bin/true")})
	_, _, x := life(t, w, in)
	require.Equal(t, unit.Exit{Code: unit.ExitExited}, x.Exit)
}
