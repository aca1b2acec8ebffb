package core

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/state/statetest"

	"github.com/sysmaster-go/sysmaster/unit"
)

type states = map[unit.Name]unit.ActiveState

// TestPlan: man systemd.unit(5), [UNIT] SECTION OPTIONS, and systemctl(1), --job-mode=.
func TestPlan(t *testing.T) {
	const (
		start, stop, restart   = unit.JobStart, unit.JobStop, unit.JobRestart
		reload, verify         = unit.JobReload, unit.JobVerifyActive
		tryRestart, tryReload  = unit.JobTryRestart, unit.JobTryReload
		reloadOrStart          = unit.JobReloadOrStart
		replace, fail, isolate = unit.ModeReplace, unit.ModeFail, unit.ModeIsolate
		ignore, ignoreReq      = unit.ModeIgnoreDependencies, unit.ModeIgnoreRequirements
	)
	up := func(names ...unit.Name) states {
		m := make(states)
		for _, n := range names {
			m[n] = unit.Active
		}
		return m
	}
	for _, c := range []struct {
		name, units string
		states      states
		typ         unit.JobType
		mode        unit.JobMode
		want        string // of a.service
		err         error
		manual      bool
	}{
		{name: "start pulls in", units: "a.service: Requires=b.service Wants=c.service BindsTo=d.service Upholds=e.service\nb.service:\nc.service:\nd.service:\ne.service:",
			typ: start, want: "a.service/start! b.service/start! d.service/start! c.service/start e.service/start"},
		{name: "start through two", units: "a.service: Requires=b.service\nb.service: Requires=c.service\nc.service:",
			typ: start, want: "a.service/start! b.service/start! c.service/start!"},
		{name: "what a wanted one requires does not matter", units: "a.service: Wants=b.service\nb.service: Requires=c.service\nc.service:",
			typ: start, want: "a.service/start! b.service/start c.service/start"},
		{name: "requisite is checked, not started", units: "a.service: Requisite=b.service\nb.service:",
			typ: start, want: "a.service/start! b.service/verify-active!"},
		{name: "requisite that is up", units: "a.service: Requisite=b.service\nb.service:", states: up("b.service"),
			typ: start, want: "a.service/start!"},
		{name: "requisite and requires are one start", units: "a.service: Requisite=b.service Requires=b.service\nb.service:",
			typ: start, want: "a.service/start! b.service/start!"},
		{name: "what is up is left alone", units: "a.service: Requires=b.service\nb.service:", states: up("b.service"),
			typ: start, want: "a.service/start!"},
		{name: "the requested unit itself stays", units: "a.service:", states: up("a.service"), typ: start, want: "a.service/start!"},
		{name: "PartOf does not start", units: "a.service: PartOf=b.service\nb.service:\nc.service: PartOf=a.service", typ: start, want: "a.service/start!"},
		{name: "conflicts stop", units: "a.service: Conflicts=b.service\nb.service:", states: up("b.service"),
			typ: start, want: "a.service/start! b.service/stop!"},
		{name: "conflicted by stops", units: "a.service:\nb.service: Conflicts=a.service", states: up("b.service"),
			typ: start, want: "a.service/start! b.service/stop"},
		{name: "a conflict reaches those that need the other", units: "a.service: Conflicts=b.service\nb.service:\nc.service: Requires=b.service",
			states: up("b.service", "c.service"), typ: start, want: "a.service/start! b.service/stop! c.service/stop!"},
		{name: "a conflict with what is down is no job", units: "a.service: Conflicts=b.service\nb.service:", typ: start, want: "a.service/start!"},
		{name: "two that are required conflict", units: "a.service: Requires=b.service Requires=c.service\nb.service: Conflicts=c.service\nc.service:",
			typ: start, err: ErrConflict},
		{name: "the one that another needs later conflicts", units: "a.service: Conflicts=c.service Requires=b.service\nb.service: Requires=c.service\nc.service:",
			typ: start, err: ErrConflict},
		{name: "of two wanted ones the one that declares the conflict stays", units: "a.service: Wants=b.service Wants=c.service\nb.service: Conflicts=c.service\nc.service:",
			typ: start, want: "a.service/start! b.service/start"},
		{name: "the same, declared by the other", units: "a.service: Wants=b.service Wants=c.service\nb.service:\nc.service: Conflicts=b.service",
			typ: start, want: "a.service/start! c.service/start"},
		{name: "required beats wanted", units: "a.service: Requires=b.service Wants=c.service\nb.service:\nc.service: Conflicts=b.service",
			typ: start, want: "a.service/start! b.service/start!"},
		{name: "a wanted unit that is missing", units: "a.service: Wants=gone.service", typ: start, want: "a.service/start!"},
		{name: "a wanted unit that is masked", units: "a.service: Wants=b.service\nb.service: Load=masked", typ: start, want: "a.service/start!"},
		{name: "a wanted unit of a kind that does not exist", units: "a.service: Wants=b.mount\nb.mount:", typ: start, want: "a.service/start!"},
		{name: "a required unit that is missing", units: "a.service: Requires=gone.service", typ: start, err: ErrLoad},
		{name: "a required unit that is masked", units: "a.service: Requires=b.service\nb.service: Load=masked", typ: start, err: ErrLoad},
		{name: "a required unit of a kind that does not exist", units: "a.service: Requires=b.mount\nb.mount:", typ: start, err: ErrLoad},
		{name: "a wanted unit that needs a missing one", units: "a.service: Wants=b.service Wants=c.service\nb.service: Requires=gone.service\nc.service:",
			typ: start, want: "a.service/start! c.service/start"},
		{name: "after an unloadable one is nothing", units: "a.service: After=gone.service Before=b.mount\nb.mount:", typ: start, want: "a.service/start!"},
		{name: "start of a masked unit", units: "a.service: Load=masked", typ: start, err: ErrMasked},
		{name: "start of a bad unit", units: "a.service: Load=bad-setting", typ: start, err: ErrBadUnit},

		{name: "stop takes those that need it", units: "a.service:\nb.service: Requires=a.service\nc.service: BindsTo=a.service\nd.service: PartOf=a.service\ne.service: Wants=a.service\nf.service: Requisite=a.service",
			states: up("a.service", "b.service", "c.service", "d.service", "e.service", "f.service"),
			typ:    stop, want: "a.service/stop! b.service/stop! f.service/stop! c.service/stop! d.service/stop!"},
		{name: "stop does not reach what it requires", units: "a.service: Requires=b.service\nb.service:", states: up("a.service", "b.service"),
			typ: stop, want: "a.service/stop!"},
		{name: "PropagatesStopTo", units: "a.service: PropagatesStopTo=b.service\nb.service:", states: up("a.service", "b.service"),
			typ: stop, want: "a.service/stop! b.service/stop!"},
		{name: "stop leaves what is down", units: "a.service:\nb.service: Requires=a.service", states: up("a.service"), typ: stop, want: "a.service/stop!"},
		{name: "stop goes through one that is down", units: "a.service:\nb.service: PartOf=a.service\nc.service: PartOf=b.service",
			states: up("a.service", "c.service"), typ: stop, want: "a.service/stop! c.service/stop!"},
		{name: "stop of a masked unit that runs", units: "a.service: Load=masked", typ: stop, want: "a.service/stop!"},
		{name: "stop of a unit that is missing", units: "b.service: After=a.service", typ: stop, err: ErrNoSuchUnit},
		{name: "restart takes those that are up along", units: "a.service:\nb.service: Requires=a.service\nc.service: Requires=a.service",
			states: up("a.service", "b.service"), typ: restart, want: "a.service/restart! b.service/restart!"},
		{name: "restart does not propagate as a stop", units: "a.service: PropagatesStopTo=b.service\nb.service:", states: up("a.service", "b.service"),
			typ: restart, want: "a.service/restart!"},
		{name: "restart of what is down is a start", units: "a.service: Wants=b.service\nb.service:", typ: restart, want: "a.service/start! b.service/start"},
		{name: "try-restart of what is down", units: "a.service:", typ: tryRestart, want: ""},
		{name: "try-restart of what is being stopped", units: "a.service:", states: states{"a.service": unit.Deactivating}, typ: tryRestart, want: "a.service/restart!"},
		{name: "try-restart of what is up", units: "a.service:", states: up("a.service"), typ: tryRestart, want: "a.service/restart!"},
		{name: "reload propagates", units: "a.service: PropagatesReloadTo=b.service PropagatesReloadTo=c.service\nb.service:\nc.service:",
			states: up("a.service", "b.service"), typ: reload, want: "a.service/reload! b.service/reload"},
		{name: "reload-or-start", units: "a.service:", typ: reloadOrStart, want: "a.service/start!"},
		{name: "reload-or-start of what is up", units: "a.service:", states: up("a.service"), typ: reloadOrStart, want: "a.service/reload!"},
		{name: "try-reload of what is down", units: "a.service:", typ: tryReload, want: ""},
		{name: "verify-active pulls in nothing", units: "a.service: Requires=b.service\nb.service:", typ: verify, want: "a.service/verify-active!"},

		{name: "fail keeps what runs", mode: fail, units: "a.service: Wants=b.service Wants=c.service\nb.service: Conflicts=d.service\nc.service:\nd.service:",
			states: up("d.service"), typ: start, want: "a.service/start! c.service/start"},
		{name: "fail stops what the request itself conflicts with", mode: fail, units: "a.service: Conflicts=b.service\nb.service:",
			states: up("b.service"), typ: start, want: "a.service/start! b.service/stop!"},
		{name: "ignore-dependencies", mode: ignore, units: "a.service: Requires=gone.service Conflicts=b.service\nb.service:", states: up("b.service"),
			typ: start, want: "a.service/start!"},
		{name: "ignore-requirements", mode: ignoreReq, units: "a.service: Requires=gone.service Wants=b.service\nb.service:", typ: start, want: "a.service/start! b.service/start"},
		{name: "isolate", mode: isolate, units: "a.service: AllowIsolate=yes Requires=b.service\nb.service:\nc.service:\nd.service: IgnoreOnIsolate=yes\ne.service:\nf.eternal:\ng.service:\ng.socket: Triggers=g.service",
			states: up("b.service", "c.service", "d.service", "f.eternal", "g.service"), typ: start, want: "a.service/start! c.service/stop! g.service/stop!"},
		{name: "isolate keeps what a kept unit triggers", mode: isolate, units: "a.service: AllowIsolate=yes Requires=g.socket\ng.service:\ng.socket: Triggers=g.service",
			states: up("g.service"), typ: start, want: "a.service/start! g.socket/start!"},
		{name: "isolate without leave", mode: isolate, units: "a.service:", typ: start, manual: true, err: ErrNoIsolate},
		{name: "isolate by the manager needs no leave", mode: isolate, units: "a.service:", typ: start, want: "a.service/start!"},
		{name: "isolate with a stop", mode: isolate, units: "a.service: AllowIsolate=yes", typ: stop, err: ErrNoIsolate},
		{name: "no manual start", units: "a.service: RefuseManualStart=yes", typ: start, manual: true, err: ErrOnlyByDep},
		{name: "a start by the manager", units: "a.service: RefuseManualStart=yes", typ: start, want: "a.service/start!"},
		{name: "no manual stop", units: "a.service: RefuseManualStop=yes", states: up("a.service"), typ: stop, manual: true, err: ErrOnlyByDep},
		{name: "no manual restart", units: "a.service: RefuseManualStop=yes", states: up("a.service"), typ: restart, manual: true, err: ErrOnlyByDep},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.mode == 0 {
				c.mode = replace
			}
			e, _ := loaded(t, c.units, c.states)
			op := OpJob{Unit: "a.service", Type: c.typ, Mode: c.mode, Manual: c.manual}
			before := picture(e)
			got, notes, err := plannedJobs(e, op)
			require.Equal(t, before, picture(e), "Plan must change nothing")
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got, "notes: %v", notes)
			again, _, _ := plannedJobs(e, op)
			require.Equal(t, got, again)
		})
	}
}

// picture is all that a plan must not touch.
func picture(e *Engine) string {
	var b strings.Builder
	for _, x := range e.list {
		fmt.Fprintf(&b, "%s %v %v %v %v %d %d\n", x.name, x.state, x.job, x.load, x.stale, x.seq, len(x.pending))
	}
	fmt.Fprintln(&b, len(e.jobs), e.nextJob, len(e.run), len(e.follow), len(e.later), len(e.dirty), len(e.events), len(e.wanted), len(e.waiting))
	return b.String()
}

// TestPlanAgainstQueuedJobs: what the modes do to jobs that are there.
func TestPlanAgainstQueuedJobs(t *testing.T) {
	// b waits for block, whose start never ends: it is activating.
	const units = "a.service: Conflicts=b.service\nb.service: After=block.service\nblock.service:\nc.service: Wants=a.service\nd.service:"
	queued := func(t *testing.T, mode unit.JobMode) *Engine {
		e, b := loaded(t, units, states{"block.service": unit.Activating})
		ask(e, b, OpJob{Unit: "block.service", Type: unit.JobStart, Mode: unit.ModeReplace})
		r := ask(e, b, OpJob{Unit: "b.service", Type: unit.JobStart, Mode: mode})
		settleToy(t, e, b)
		require.NoError(t, r.Err)
		require.NotNil(t, e.lookup("b.service").job)
		return e
	}
	e := queued(t, unit.ModeReplace)
	got, _, err := plannedJobs(e, OpJob{Unit: "a.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	require.NoError(t, err)
	require.Equal(t, "a.service/start! b.service/stop!", got)
	_, _, err = plannedJobs(e, OpJob{Unit: "a.service", Type: unit.JobStart, Mode: unit.ModeFail})
	require.ErrorIs(t, err, ErrDestructive)
	got, _, err = plannedJobs(e, OpJob{Unit: "c.service", Type: unit.JobStart, Mode: unit.ModeFail})
	require.NoError(t, err)
	require.Equal(t, "c.service/start!", got, "a is only wanted, and would replace a job")
	_, _, err = plannedJobs(queued(t, unit.ModeReplaceIrreversibly), OpJob{Unit: "a.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	require.ErrorIs(t, err, ErrIrreversible)

	for _, mode := range []unit.JobMode{unit.ModeReplace, unit.ModeFlush, unit.ModeIsolate} {
		e, b := loaded(t, units, states{"block.service": unit.Activating})
		ask(e, b, OpJob{Unit: "block.service", Type: unit.JobStart, Mode: unit.ModeReplace})
		ask(e, b, OpJob{Unit: "b.service", Type: unit.JobStart, Mode: unit.ModeReplace})
		settleToy(t, e, b)
		ask(e, b, OpJob{Unit: "d.service", Type: unit.JobStart, Mode: mode})
		settleToy(t, e, b)
		require.Equal(t, unit.Active, e.lookup("d.service").state.Active)
		require.Equal(t, mode == unit.ModeReplace, e.lookup("b.service").job != nil, mode)
		want := down.Active
		if mode != unit.ModeIsolate {
			want = unit.Activating
		}
		require.Equal(t, want, e.lookup("block.service").state.Active, mode)
	}
}

func TestMergeTypes(t *testing.T) {
	types := []unit.JobType{unit.JobStart, unit.JobVerifyActive, unit.JobStop, unit.JobReload, unit.JobRestart}
	// man systemd(1) has no table; this is what the words mean: of two wishes the stronger one.
	want := map[[2]unit.JobType]unit.JobType{
		{unit.JobStart, unit.JobVerifyActive}:   unit.JobStart,
		{unit.JobStart, unit.JobReload}:         unit.JobReloadOrStart,
		{unit.JobStart, unit.JobRestart}:        unit.JobRestart,
		{unit.JobVerifyActive, unit.JobReload}:  unit.JobReload,
		{unit.JobVerifyActive, unit.JobRestart}: unit.JobRestart,
		{unit.JobReload, unit.JobRestart}:       unit.JobRestart,
	}
	for _, a := range types {
		for _, b := range types {
			got := mergeTypes(a, b)
			require.Equal(t, got, mergeTypes(b, a), "%v %v", a, b)
			switch {
			case a == b:
				require.Equal(t, a, got)
			default:
				w, ok := want[[2]unit.JobType{a, b}]
				if !ok {
					w = want[[2]unit.JobType{b, a}]
				}
				require.Equal(t, w, got, "%v %v", a, b)
			}
		}
	}
	// In every state of a unit it does not matter in which order three wishes come.
	e, _ := loaded(t, "a.service:\na.stiff:", nil)
	fold := func(x *entry, list []unit.JobType) unit.JobType {
		t := collapse(list[0], x)
		for _, u := range list[1:] {
			if t = mergeTypes(t, collapse(u, x)); t == 0 {
				return 0
			}
			t = collapse(t, x)
		}
		return t
	}
	for _, n := range []unit.Name{"a.service", "a.stiff"} {
		for a := unit.Inactive; a <= unit.Failed; a++ {
			put(t, e, n, a)
			x := e.lookup(n)
			for i := range len(types) * len(types) * len(types) {
				l := []unit.JobType{types[i%5], types[i/5%5], types[i/25]}
				for _, t1 := range l {
					if t1 == unit.JobReload && (a != unit.Active || n == "a.stiff") {
						l = nil // a reload is only ever asked of what is up and can
						break
					}
				}
				if l == nil {
					continue
				}
				w := fold(x, l)
				for _, p := range [][]int{{0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
					require.Equal(t, w, fold(x, []unit.JobType{l[p[0]], l[p[1]], l[p[2]]}), "%v %v %v", n, a, l)
				}
			}
		}
	}
}

// TestMergedNames: what reaches a unit by two names is one unit, and never waits for itself.
func TestMergedNames(t *testing.T) {
	specs := parse(t, `
		default.target: Load=not-found
		graphical.target: Alias=default.target Wants=a.service After=a.service Before=default.target
		a.service: After=default.target Wants=default.target
		b.service: Requires=default.target After=default.target After=graphical.target`)
	delete(specs, "default.target")
	b := &bench{load: loader(specs)}
	e := newToyEngine(t, b, new(statetest.Mem), "default.target")
	settleToy(t, e, b)
	x := e.lookup("default.target")
	require.Same(t, x, e.lookup("graphical.target"))
	require.Equal(t, unit.Name("graphical.target"), x.name)
	for r := range x.edges {
		for _, d := range x.edges[r] {
			require.NotSame(t, x, d.to, "%v of itself", unit.Relation(r))
			require.False(t, d.to.gone)
		}
	}
	require.Equal(t, unit.Active, x.state.Active)
	r := ask(e, b, OpJob{Unit: "b.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	require.NoError(t, r.Err)
	require.Equal(t, unit.Active, e.lookup("b.service").state.Active)
	require.Empty(t, e.jobs)
	v := e.View().Unit("default.target")
	require.Equal(t, unit.Name("graphical.target"), v.Name)
	require.True(t, slices.Contains(v.Relations()[unit.RequiredBy], "b.service"))
}

// TestMemberMayFollowItsTarget: After=multi-user.target and WantedBy=multi-user.target is a
// common pair, and no cycle, whichever is read first, and however many units there are.
func TestMemberMayFollowItsTarget(t *testing.T) {
	for _, crowd := range []int{0, 400} {
		text := "multi-user.target: Wants=a.service\na.service: After=multi-user.target\n"
		for i := range crowd {
			text += fmt.Sprintf("m%d.service: After=multi-user.target\n", i)
		}
		specs := parse(t, text)
		b := &bench{load: loader(specs)}
		e := newToyEngine(t, b, new(statetest.Mem), "")
		for i := range crowd {
			ask(e, b, OpLoad{Unit: unit.Name(fmt.Sprintf("m%d.service", i))})
		}
		settleToy(t, e, b)
		r := ask(e, b, OpJob{Unit: "multi-user.target", Type: unit.JobStart, Mode: unit.ModeReplace})
		settleToy(t, e, b)
		require.NoError(t, r.Err)
		require.Equal(t, unit.Active, e.lookup("a.service").state.Active)
		require.NotContains(t, strings.Join(b.told, "\n"), "cycle")
	}
}
