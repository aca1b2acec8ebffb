package sim_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/target"
)

// A rule that cannot fail proves nothing. Each is broken here, by a bug planted between the core and
// the machine, or by a kind of units that does not keep its promise.

// broken is a target with a fault.
type broken struct {
	unit.Unit
	recovered int
	busy      bool
	counts    bool
}

func (b *broken) Handle(tx *unit.Tx, ev unit.Event) {
	b.Unit.Handle(tx, ev)
	switch ev.(type) {
	case unit.Recovered:
		b.recovered++
	case unit.Start:
		for range 100000 {
			if b.busy {
				tx.Emit(unit.Realize{})
			}
		}
	}
}

func (b *broken) State() unit.State {
	s := b.Unit.State()
	if b.counts {
		s.Sub = fmt.Sprint(b.recovered)
	}
	return s
}

func (b *broken) Snapshot(buf []byte) []byte {
	if b.counts {
		return append(buf, byte(b.recovered))
	}
	return buf // forgets whether it is active
}

// hostWith is host with a broken kind of targets.
func hostWith(b broken) sim.Host {
	h := host()
	h.Types = maps.Clone(h.Types)
	good := target.Type()
	bad := good
	bad.New = func(s *unit.Spec) (unit.Unit, error) {
		u, err := good.New(s)
		c := b
		c.Unit = u
		return &c, err
	}
	bad.Restore = func(s *unit.Spec, v uint32, data []byte) (unit.Unit, error) {
		u, err := good.New(s)
		c := b
		c.Unit = u
		if b.counts && len(data) == 1 {
			c.recovered = int(data[0])
			u.Handle(nil, unit.Start{})
		}
		return &c, err
	}
	h.Types[unit.KindTarget] = &bad
	return h
}

// simple is a machine with enough in it for each bug.
func simple() sim.Scenario {
	return sim.Scenario{Name: "mutant", Files: with(map[string]string{
		"default.target": "[Unit]\nWants=a.service o.service n.service\n",
		"n.service":      "[Service]\nType=notify\nExecStart=/bin/n\n",
		"a.service":      "[Service]\nExecStart=/bin/a\nRestart=on-failure\nRestartSec=1\nExecStop=/bin/stop\n",
		"o.service":      "[Service]\nType=oneshot\nExecStart=/bin/o\nTimeoutStartSec=infinity\n",
	}), Programs: programs{"/bin/a": {sim.Daemon()}, "/bin/n": {sim.Daemon()}, "/bin/o": {{Runs: time.Second, Leaves: 1, Ready: sim.Forever}}},
		Steps: []sim.Step{
			{Settled: true, Do: sim.DoFail, Fault: &sim.Fault{Kind: sim.FaultKill, Unit: "a.service"}},
			{After: 3 * time.Second, Settled: true, Do: sim.DoRestart, Unit: "a.service"},
			{After: time.Second, Do: sim.DoFail, Fault: &sim.Fault{Kind: sim.FaultConnect, Key: "none"}},
			{After: time.Minute, Do: sim.DoWait},
		}}
}

func rule(err error) sim.Rule {
	var f *sim.Failure
	if errors.As(err, &f) {
		return f.Rule()
	}
	return ""
}

func TestEachRuleCanFail(t *testing.T) {
	play := func(h sim.Host) error { _, err := h.Play(simple()); return err }
	everywhere := func(h sim.Host) error {
		_, err := h.CrashEverywhere(simple(), sim.Everywhere{Twice: 1, Differs: true})
		return err
	}
	explore := func(h sim.Host) error { // by many seeds, as the bug needs luck
		for seed := range uint64(200) {
			if _, err := h.Seed(seed, 2); err != nil {
				return err
			}
		}
		return nil
	}
	texts := 0
	changing := host()
	changing.Loader = func(files map[string]string) func(unit.Name) *unit.Spec {
		texts++
		files = maps.Clone(files)
		files[fmt.Sprintf("extra%d.service", texts)] = "[Service]\nExecStart=/bin/x\n"
		files["default.target"] += fmt.Sprintf("Wants=extra%d.service\n", texts)
		return units(files)
	}
	unknown := simple()
	unknown.Faults.ProbeUnknown = 1
	for _, c := range []struct {
		name string
		err  func() error
		want []sim.Rule
	}{
		{"a lost exit", func() error { return explore(sim.WithBug(host(), sim.BugLoseExit)) }, []sim.Rule{sim.RuleActive, sim.RuleExit}},
		{"an acknowledgement that is lost", func() error { return play(sim.WithBug(host(), sim.BugDropAck)) }, []sim.Rule{sim.RuleExit}},
		{"a kill that is not done", func() error { return explore(sim.WithBug(host(), sim.BugDropKill)) }, []sim.Rule{sim.RuleOwner}},
		{"a spawn without an answer", func() error { return explore(sim.WithBug(host(), sim.BugDropSpawn)) }, []sim.Rule{sim.RuleJobEnds, sim.RuleActive}},
		{"a spawn that is done twice", func() error { return explore(sim.WithBug(host(), sim.BugTwice)) }, []sim.Rule{sim.RuleMain, sim.RuleOwner}},
		{"a READY=1 that nobody hears", func() error { return play(sim.WithBug(host(), sim.BugDropReady)) }, []sim.Rule{sim.RuleReady}},
		{"a job that a crash loses", func() error { return everywhere(sim.WithBug(host(), sim.BugLoseJob)) }, []sim.Rule{sim.RuleJobKept}},
		{"a panic", func() error { return play(sim.WithBug(host(), sim.BugPanic)) }, []sim.Rule{sim.RulePanic}},
		{"a snapshot that forgets", func() error { return everywhere(hostWith(broken{})) }, []sim.Rule{sim.RuleRecover}},
		{"a recovery that counts", func() error { return everywhere(hostWith(broken{counts: true})) }, []sim.Rule{sim.RuleTwice}},
		{"a unit without measure", func() error { return play(hostWith(broken{busy: true})) }, []sim.Rule{sim.RuleBounded}},
		{"a loader that changes by itself", func() error { _, err := changing.Seed(0, 0); return err }, []sim.Rule{sim.RuleSame}},
		{"a probe that knows nothing", func() error {
			_, err := host().CrashEverywhere(unknown, sim.Everywhere{})
			return err
		}, []sim.Rule{sim.RuleOutcome}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.err()
			require.Error(t, err, "the planted bug is not found")
			require.Contains(t, c.want, rule(err), "%v", err)
		})
	}
}

// TestOrderAndRequirementsCanFail shows the two rules about jobs a picture that breaks them.
func TestOrderAndRequirementsCanFail(t *testing.T) {
	rel := func(r unit.Relation, n unit.Name) func() *[unit.NumRelations][]unit.Name {
		return func() *[unit.NumRelations][]unit.Name {
			var all [unit.NumRelations][]unit.Name
			all[r] = []unit.Name{n}
			return &all
		}
	}
	job := func(id core.JobID, n unit.Name, running bool) *core.JobView {
		return &core.JobView{ID: id, Unit: n, Type: unit.JobStart, Running: running}
	}
	first := job(1, "first.service", true)
	waits, runs := job(2, "second.service", false), job(2, "second.service", true)
	a := &core.UnitView{Name: "first.service", Job: first, Relations: rel(unit.RequiredBy, "second.service")}
	b := &core.UnitView{Name: "second.service", Job: runs, Relations: rel(unit.After, "first.service")}
	before := core.NewView(nil, []*core.JobView{first, waits}, "")
	got := sim.CheckJobs(before, core.NewView([]*core.UnitView{a, b}, []*core.JobView{first, runs}, ""))
	require.NotNil(t, got)
	require.Equal(t, sim.RuleOrder, got.Rule)

	a = &core.UnitView{Name: "first.service", Relations: a.Relations}
	b = &core.UnitView{Name: "second.service", Job: waits, Relations: b.Relations}
	failed := core.JobView{ID: 1, Unit: "first.service", Type: unit.JobStart, Result: unit.JobFailed}
	got = sim.CheckJobs(before, core.NewView([]*core.UnitView{a, b}, []*core.JobView{waits}, ""), failed)
	require.NotNil(t, got)
	require.Equal(t, sim.RuleRequire, got.Rule)
}

// TestShrink finds a planted bug from seeds and makes its scenario small.
func TestShrink(t *testing.T) {
	h := sim.WithBug(host(), sim.BugDropKill)
	for seed := range uint64(200) {
		_, err := h.Seed(seed, 0)
		var f *sim.Failure
		if !errors.As(err, &f) {
			continue
		}
		small := h.Shrink(f)
		require.Equal(t, f.Rule(), small.Rule())
		require.LessOrEqual(t, len(small.Scenario.Steps), 2)
		require.Less(t, len(small.Scenario.Files), len(f.Scenario.Files))
		js, err := small.Scenario.JSON()
		require.NoError(t, err)
		again, err := sim.ParseScenario(js)
		require.NoError(t, err)
		_, err = h.Play(again)
		require.Equal(t, f.Rule(), rule(err), "the shrunk scenario fails in the same way")
		_, err = host().Play(again)
		require.NoError(t, err, "... and not without the bug")
		t.Logf("seed %d: %d files, %d steps -> %d files, %d steps", seed, len(f.Scenario.Files), len(f.Scenario.Steps), len(small.Scenario.Files), len(small.Scenario.Steps))
		return
	}
	t.Fatal("the planted bug is not found")
}
