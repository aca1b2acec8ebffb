package sim_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sim"
)

// with are the base files and more.
func with(files map[string]string) map[string]string {
	all := map[string]string{
		"rescue.target":    "[Unit]\nAllowIsolate=yes\n",
		"poweroff.target":  "[Unit]\nDefaultDependencies=no\nRequires=poweroff.service\nAfter=poweroff.service\nAllowIsolate=yes\n",
		"poweroff.service": "[Unit]\nDefaultDependencies=no\nRequires=shutdown.target\nAfter=shutdown.target\nSuccessAction=poweroff-force\n",
	}
	maps.Copy(all, files)
	return all
}

type programs = map[string][]sim.Program

// scenarios are those in which the core is crashed at every checkpoint.
var scenarios = []struct {
	s    sim.Scenario
	o    sim.Everywhere
	want string // a line of the outcome
}{
	{sim.Scenario{Name: "boot", Files: with(map[string]string{
		"default.target": "[Unit]\nWants=a.service b.service c.service\n",
		"a.service":      "[Service]\nExecStart=/bin/a\n", "b.service": "[Unit]\nRequires=c.service\nAfter=c.service\n[Service]\nExecStart=/bin/b\n",
		"c.service": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/c\n",
	}), Programs: programs{"/bin/a": {sim.Daemon()}, "/bin/b": {sim.Daemon()}, "/bin/c": {sim.Oneshot(time.Second)}}},
		sim.Everywhere{Depth: 2, Hang: true}, "/bin/c ran 1 times"},
	{sim.Scenario{Name: "stop, start", Files: with(map[string]string{
		"default.target": "[Unit]\nWants=a.service\n", "a.service": "[Service]\nExecStart=/bin/a\nExecStop=/bin/stop\nExecStopPost=/bin/post\nTimeoutStopSec=1\n",
	}), Programs: programs{"/bin/a": {sim.Stubborn()}, "/bin/stop": {sim.Oneshot(0)}, "/bin/post": {sim.Oneshot(0)}},
		Steps: []sim.Step{{Settled: true, Do: sim.DoStop, Unit: "a.service"}}},
		sim.Everywhere{Depth: 2, FromStep: 1}, "a.service failed/failed (timeout), 0 processes"},
	{sim.Scenario{Name: "restart", Files: with(map[string]string{
		"default.target": "[Unit]\nWants=f.service\n", "f.service": "[Service]\nType=forking\nPIDFile=/run/f.pid\nExecStart=/bin/f\n",
	}), Programs: programs{"/bin/f": {sim.Forking(100*time.Millisecond, "/run/f.pid")}},
		Steps: []sim.Step{{Settled: true, Do: sim.DoRestart, Unit: "f.service"}}},
		sim.Everywhere{FromStep: 1, Hang: true}, "/bin/f ran 2 times"},
	{sim.Scenario{Name: "isolate", Files: with(map[string]string{
		"default.target": "[Unit]\nWants=a.service b.service\n", "a.service": "[Service]\nExecStart=/bin/a\n", "b.service": "[Unit]\nAfter=a.service\n[Service]\nExecStart=/bin/b\n",
		"rescue.target": "[Unit]\nAllowIsolate=yes\nWants=b.service\n",
	}), Programs: programs{"/bin/a": {sim.Daemon()}, "/bin/b": {sim.Daemon()}},
		Steps: []sim.Step{{Settled: true, Do: sim.DoStart, Unit: "rescue.target", Mode: "isolate"}}},
		sim.Everywhere{FromStep: 1}, "a.service inactive/dead (success), 0 processes"},
	{sim.Scenario{Name: "reload", Files: with(map[string]string{
		"default.target": "[Unit]\nWants=a.service b.service\n", "a.service": "[Service]\nExecStart=/bin/a\n", "b.service": "[Service]\nExecStart=/bin/b\n",
	}), Programs: programs{"/bin/a": {sim.Daemon()}, "/bin/b": {sim.Daemon()}},
		Steps: []sim.Step{{Settled: true, Do: sim.DoWrite, Files: map[string]string{"a.service": "[Unit]\nAfter=b.service\n[Service]\nExecStart=/bin/a2\n", "b.service": ""}},
			{Do: sim.DoDaemonReload}, {Settled: true, Do: sim.DoRestart, Unit: "a.service"}}},
		sim.Everywhere{FromStep: 1}, "/bin/a2 ran 1 times"},
	{sim.Scenario{Name: "socket activation", Files: with(map[string]string{
		"default.target": "[Unit]\nWants=w.socket\n", "w.socket": "[Socket]\nListenStream=/run/w\n", "w.service": "[Service]\nExecStart=/bin/w\n",
	}), Programs: programs{"/bin/w": {sim.Daemon()}},
		Steps: []sim.Step{{Settled: true, Do: sim.DoFail, Fault: &sim.Fault{Kind: sim.FaultConnect, Key: "w.socket/0"}}}},
		sim.Everywhere{Depth: 1, Hang: true}, "w.socket/0 served 1"},
	{sim.Scenario{Name: "notify with stored descriptors", Files: with(map[string]string{
		"default.target": "[Unit]\nWants=n.service\n", "n.service": "[Service]\nType=notify\nFileDescriptorStoreMax=2\nExecStart=/bin/n\nRestart=on-failure\nRestartSec=100ms\n",
	}), Programs: programs{"/bin/n": {{Runs: sim.Forever, Ready: time.Second, Notices: []sim.Notice{{After: 500 * time.Millisecond, Text: "FDSTORE=1\nFDNAME=x", FDs: 1}}}}},
		Steps: []sim.Step{{Settled: true, Do: sim.DoFail, Fault: &sim.Fault{Kind: sim.FaultKill, Unit: "n.service"}}, {After: time.Second, Do: sim.DoWait}}},
		sim.Everywhere{Depth: 2}, "/bin/n ran 2 times"},
	{sim.Scenario{Name: "ready before it is known", Faults: sim.Faults{LateSpawned: 1}, Files: with(map[string]string{
		"default.target": "[Unit]\nWants=n.service\n", "n.service": "[Service]\nType=notify\nExecStart=/bin/n\n",
	}), Programs: programs{"/bin/n": {{Runs: sim.Forever}}}, Steps: []sim.Step{{Settled: true, Do: sim.DoRestart, Unit: "n.service"}}},
		sim.Everywhere{Depth: 2, Hang: true}, "/bin/n ran 2 times"},
	{sim.Scenario{Name: "oneshot lists", Files: with(map[string]string{
		"default.target": "[Unit]\nWants=o.service\n",
		"o.service":      "[Service]\nType=oneshot\nExecStartPre=/bin/1\nExecStart=/bin/2\nExecStart=/bin/3\nExecStartPost=/bin/4\nExecStopPost=/bin/5\n",
	}), Programs: programs{}}, sim.Everywhere{Depth: 2}, "/bin/5 ran 1 times"},
	{sim.Scenario{Name: "failure, restart, start limit, OnFailure", Files: with(map[string]string{
		"default.target": "[Unit]\nWants=x.service\n",
		"x.service":      "[Unit]\nStartLimitBurst=3\nOnFailure=h.service\n[Service]\nExecStart=/bin/x\nRestart=on-failure\nRestartSec=100ms\n",
		"h.service":      "[Service]\nType=oneshot\nExecStart=/bin/h\n",
	}), Programs: programs{"/bin/x": {sim.Crashing(100 * time.Millisecond)}}, Steps: []sim.Step{{After: 3 * time.Second, Do: sim.DoWait}}}, sim.Everywhere{}, "/bin/x ran 3 times"},
	{sim.Scenario{Name: "poweroff", Files: with(map[string]string{
		"default.target": "[Unit]\nWants=a.service\n", "a.service": "[Service]\nExecStart=/bin/a\n",
	}), Programs: programs{"/bin/a": {sim.Daemon()}},
		Steps: []sim.Step{{Settled: true, Do: sim.DoFail, Fault: &sim.Fault{Kind: sim.FaultSignal, Signal: 34 + 4}}}},
		sim.Everywhere{Depth: 2, FromStep: 1}, "down: poweroff"},
	{sim.Scenario{Name: "conflicting jobs", Files: with(map[string]string{
		"default.target": "[Unit]\nWants=a.service\n", "a.service": "[Service]\nExecStart=/bin/a\n", "b.service": "[Unit]\nConflicts=a.service\nAfter=a.service\n[Service]\nExecStart=/bin/b\n",
	}), Programs: programs{"/bin/a": {sim.Daemon()}, "/bin/b": {sim.Daemon()}},
		Steps: []sim.Step{{Settled: true, Do: sim.DoStart, Unit: "b.service"}}},
		sim.Everywhere{FromStep: 1, Hang: true}, "a.service inactive/dead (success), 0 processes"},
	{sim.Scenario{Name: "quarantine", Files: with(map[string]string{
		"default.target": "[Unit]\nWants=p.service a.service\n", "a.service": "[Service]\nExecStart=/bin/a\n", "p.service": "[Service]\nExecStart=/bin/p\n",
	}), Programs: programs{"/bin/a": {sim.Daemon()}, "/bin/p": {sim.Daemon()}},
		Steps: []sim.Step{{Do: sim.DoFail, Fault: &sim.Fault{Kind: sim.FaultPoison, Unit: "p.service"}}}},
		sim.Everywhere{Differs: true}, "p.service failed/quarantined (quarantine), 0 processes"},
	{sim.Scenario{Name: "torn log", Store: sim.StoreLog, Faults: sim.Faults{TornWrite: 0.7}, Files: with(map[string]string{
		"default.target": "[Unit]\nWants=a.service o.service\n", "a.service": "[Unit]\nAfter=o.service\n[Service]\nExecStart=/bin/a\n",
		"o.service": "[Service]\nType=oneshot\nExecStart=/bin/o\n",
	}), Programs: programs{"/bin/a": {sim.Daemon()}}}, sim.Everywhere{}, "/bin/o ran 1 times"},
}

// TestCrashEverywhereInEveryScenario crashes the core between each pair of a turn's steps, after every
// effect and after every step of recovery, in the small ones twice.
func TestCrashEverywhereInEveryScenario(t *testing.T) {
	var total sim.Stats
	for _, c := range scenarios {
		t.Run(c.s.Name, func(t *testing.T) {
			switch depth := fromEnv(t, "SIM_DEPTH", 2); {
			case testing.Short() || raced || depth < c.o.Depth:
				c.o.Depth = 1
			case depth == 2 && c.o.Depth == 2 && c.o.Hang:
				c.o.MaxForks = 3000 // make sim goes on
			case depth > 2 && c.o.Depth == 2: // a crash in the recovery from a crash in a recovery
				c.o.Depth, c.o.MaxForks = 3, 25000
			}
			h := host()
			r, err := h.CrashEverywhere(c.s, c.o)
			total.Add(r.Stats)
			if err != nil {
				report(t, h, err)
				return
			}
			require.Contains(t, r.Outcome+"\n", c.want+"\n")
			for i, l := range r.Levels {
				t.Logf("depth %d: %v", i+1, l)
				require.NotZero(t, l.Crashed, "depth %d", i+1)
			}
			require.Equal(t, r.Levels[0].Checkpoints, r.Levels[0].Crashed, "the first crash is to be everywhere")
			if c.o.FromStep == 0 {
				plain, err := h.Play(c.s)
				require.NoError(t, err)
				require.Equal(t, plain.Stats.Points, r.Levels[0].Checkpoints)
			}
			t.Log(r.Stats)
		})
	}
	simulated.Add(total)
	t.Log(total)
}

// TestCrashesAreFoundAgain: a failure says where the core died so that Play lets it die there again.
func TestCrashesAreFoundAgain(t *testing.T) {
	h := sim.WithBug(host(), sim.BugLoseJob)
	_, err := h.CrashEverywhere(scenarios[1].s, sim.Everywhere{})
	var f *sim.Failure
	require.ErrorAs(t, err, &f)
	require.Len(t, f.Scenario.Crashes, 1)
	_, err = h.Play(f.Scenario)
	var first, again *sim.Violation
	require.ErrorAs(t, f, &first)
	require.ErrorAs(t, err, &again)
	require.Equal(t, first.Rule, again.Rule)
	require.Equal(t, first.Unit, again.Unit)
	require.Equal(t, first.Text, again.Text)
	require.Equal(t, first.At, again.At)
}

// TestMaxForks bounds what crashes more than once, and spreads it: no first crash is left out, and those
// after it do not all follow upon the first few.
func TestMaxForks(t *testing.T) {
	s := scenarios[0].s
	plain, err := host().Play(s)
	require.NoError(t, err)
	var traces [2][]string
	for i := range traces {
		h := host()
		h.Trace = func(l string) {
			if _, death, found := strings.Cut(l, "core dies: crash "); found {
				core, _, _ := strings.Cut(death, "/")
				traces[i] = append(traces[i], core)
			}
		}
		const most = 90
		r, err := h.CrashEverywhere(s, sim.Everywhere{Depth: 3, MaxForks: most})
		require.NoError(t, err)
		require.Len(t, r.Levels, 3)
		require.Equal(t, plain.Stats.Points, r.Levels[0].Crashed)
		require.Equal(t, most/2, r.Levels[1].Crashed)
		require.InDelta(t, most/2, r.Levels[2].Crashed, most/4)
	}
	require.Equal(t, traces[0], traces[1], "the same ones each time")
	followed, last := 0, ""
	for _, core := range traces[0] {
		if core == "#2" && last == "#1" {
			followed++
		}
		last = core
	}
	require.Greater(t, followed, plain.Stats.Points/2, "upon how many first crashes a second one follows")
}
