package core

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

// TestFoundGroups: what a core whose state was set aside had started can be seen, killed and stopped, and is an
// ordinary unit afterwards.
func TestFoundGroups(t *testing.T) {
	b := &bench{load: loader(parse(t, "rescue.target:\nold.service:\nkilled.service:")), now: 1e9}
	store := new(statetest.Mem)
	open := func(found ...Found) *Engine {
		e, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: store, Types: toyTypes(),
			Boot: Boot{Unit: "rescue.target"}, Observe: b.observe, Found: found})
		require.NoError(t, err)
		settleToy(t, e, b)
		return e
	}
	found := []Found{{Unit: "old.service", CGroup: "system.slice/old.service"}, {Unit: "killed.service", CGroup: "killed.service"}}
	e := open(found...)
	require.Equal(t, unit.Active, e.View().Unit("rescue.target").State.Active, "isolating it stops nothing that is only found")
	for range 2 { // also after a crash of this core
		v := e.View().Unit("old.service")
		require.Equal(t, unit.Failed, v.State.Active)
		require.Equal(t, "system.slice/old.service", v.CGroup)
		require.Contains(t, v.LoadError, "set aside")
		require.Equal(t, "degraded", e.View().SystemState())
		for _, in := range b.acts {
			require.NotContains(t, []unit.Name{"old.service", "killed.service"}, in.Unit, "%T", in.Effect)
		}
		store = store.Reopen()
		e = open(found...)
	}
	r := ask(e, b, OpKill{Unit: "killed.service", Signal: 15})
	settleToy(t, e, b)
	require.NoError(t, r.Err)
	require.Equal(t, unit.Kill{Signal: 15}, b.acts[len(b.acts)-1].Effect)
	r = ask(e, b, OpJob{Unit: "old.service", Type: unit.JobStop, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	require.NoError(t, r.Err)
	for range 2 { // also after a crash of this core: the stop takes until nothing is left
		killed := false
		for _, in := range b.acts {
			k, ok := in.Effect.(unit.Kill)
			killed = killed || ok && in.CGroup == "system.slice/old.service" && k.Signal == sigKILL
		}
		require.True(t, killed)
		require.Equal(t, unit.Failed, e.View().Unit("old.service").State.Active)
		require.Equal(t, unit.JobStop, e.View().Unit("old.service").Job.Type)
		s := ask(e, b, OpJob{Unit: "old.service", Type: unit.JobStart, Mode: unit.ModeReplace})
		settleToy(t, e, b)
		require.ErrorIs(t, s.Err, ErrLoad)
		b.acts = nil
		store = store.Reopen()
		e = open(found...)
	}
	b.inputs = append(b.inputs, sys.Input{Unit: "old.service", Body: unit.CgroupEmpty{}})
	settleToy(t, e, b)
	require.Equal(t, unit.Inactive, e.View().Unit("old.service").State.Active)
	require.Nil(t, e.View().Unit("old.service").Job)
	r = ask(e, b, OpJob{Unit: "old.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	require.NoError(t, r.Err)
	require.Equal(t, unit.Active, e.View().Unit("old.service").State.Active)
}

// TestLostStore: a later core that finds its store empty starts nothing beside what runs, and what was found is its for ever after.
// The first core of a boot, and one of a machine on which nothing runs, boot.
func TestLostStore(t *testing.T) {
	for _, c := range []struct {
		name    string
		follows bool
		found   []Found
		broken  []state.Problem
		boots   bool
	}{
		{"first core", false, []Found{{Unit: "a.service", CGroup: "a.service"}}, nil, true},
		{"nothing runs", true, nil, nil, true},
		{"only what nobody manages", true, []Found{{Unit: "session.scope", CGroup: "session.scope"}}, nil, true},
		{"removed", true, []Found{{Unit: "a.service", CGroup: "a.service"}}, nil, false},
		{"nothing can be read", true, []Found{{Unit: "a.service", CGroup: "a.service"}}, []state.Problem{{Damage: state.BadHeader}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{load: loader(parse(t, "default.target: Wants=a.service Wants=b.service\na.service:\nb.service:")), now: 1e9}
			store := &statetest.Mem{Broken: c.broken}
			open := func(found []Found) *Engine {
				e, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: store, Types: toyTypes(),
					Boot: Boot{Unit: "default.target"}, Observe: b.observe, Search: func() []Found { return slices.Clone(found) }, Follows: c.follows})
				require.NoError(t, err)
				settleToy(t, e, b)
				return e
			}
			e := open(c.found)
			if c.boots {
				require.Equal(t, unit.Active, e.View().Unit("default.target").State.Active)
				return
			}
			require.Contains(t, strings.Join(b.told, "\n"), "the state store is lost")
			for range 2 { // also after a crash of this core
				require.Nil(t, e.View().Unit("b.service"))
				require.Equal(t, unit.Failed, e.View().Unit("a.service").State.Active)
				require.Equal(t, "degraded", e.View().SystemState())
				store.Broken = nil
				store = store.Reopen()
				e = open(nil)
			}
			r := ask(e, b, OpJob{Unit: "default.target", Type: unit.JobStart, Mode: unit.ModeReplace})
			settleToy(t, e, b)
			require.NoError(t, r.Err)
			require.Equal(t, unit.Active, e.View().Unit("b.service").State.Active)
			require.Equal(t, unit.Failed, e.View().Unit("a.service").State.Active, "it is not started beside itself")
		})
	}
}

// TestRemainsThatSurvive: processes that SIGKILL does not end fail the stop after a while, and nothing is started beside them.
func TestRemainsThatSurvive(t *testing.T) {
	b := &bench{load: loader(parse(t, "rescue.target:\nold.service:")), now: 1e9}
	e, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: new(statetest.Mem), Types: toyTypes(),
		Boot: Boot{Unit: "rescue.target"}, Observe: b.observe, Found: []Found{{Unit: "old.service", CGroup: "old.service"}}})
	require.NoError(t, err)
	settleToy(t, e, b)
	ask(e, b, OpJob{Unit: "old.service", Type: unit.JobStop, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	again := ask(e, b, OpResetFailed{Unit: "old.service"})
	settleToy(t, e, b)
	require.Equal(t, errNoAnswer, again.Err, "it is answered when the unit is clear")
	b.now += clearTimeout
	settleToy(t, e, b)
	require.ErrorContains(t, again.Err, "survive")
	require.Nil(t, e.View().Unit("old.service").Job)
	require.Equal(t, unit.Failed, e.View().Unit("old.service").State.Active)
	require.True(t, slices.ContainsFunc(b.told, func(s string) bool { return strings.Contains(s, "survive SIGKILL") }))
	r := ask(e, b, OpJob{Unit: "old.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	require.ErrorIs(t, r.Err, ErrLoad)
	ask(e, b, OpResetFailed{}) // tries once more
	settleToy(t, e, b)
	kill := b.acts[len(b.acts)-1]
	require.Equal(t, unit.Kill{Signal: sigKILL}, kill.Effect)
	b.inputs = append(b.inputs, sys.Input{Unit: "old.service", Body: unit.Done{Seq: kill.Seq, None: true}})
	settleToy(t, e, b)
	require.Equal(t, unit.Inactive, e.View().Unit("old.service").State.Active)
}

// TestResetAllWaits: without a unit reset-failed is answered when the last of all is rid of its processes, and says which are not.
func TestResetAllWaits(t *testing.T) {
	for _, survives := range []bool{false, true} {
		b := &bench{load: loader(parse(t, "rescue.target:\na.service:\nb.service:")), now: 1e9}
		e, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: new(statetest.Mem), Types: toyTypes(),
			Boot: Boot{Unit: "rescue.target"}, Observe: b.observe, Found: []Found{{Unit: "a.service", CGroup: "a"}, {Unit: "b.service", CGroup: "b"}}})
		require.NoError(t, err)
		settleToy(t, e, b)
		r := ask(e, b, OpResetFailed{})
		settleToy(t, e, b)
		require.Equal(t, errNoAnswer, r.Err)
		b.inputs = append(b.inputs, sys.Input{Unit: "a.service", Body: unit.CgroupEmpty{}})
		settleToy(t, e, b)
		require.Equal(t, errNoAnswer, r.Err, "b is not clear")
		if survives {
			b.now += clearTimeout
			settleToy(t, e, b)
			require.ErrorContains(t, r.Err, "survive")
			require.ErrorContains(t, r.Err, "b.service")
			continue
		}
		b.inputs = append(b.inputs, sys.Input{Unit: "b.service", Body: unit.CgroupEmpty{}})
		settleToy(t, e, b)
		require.NoError(t, r.Err)
		require.Empty(t, e.clearers)
	}
}

// TestOtherBoot: state of another boot is not taken for the present; what is not known is not compared.
func TestOtherBoot(t *testing.T) {
	store := new(statetest.Mem)
	open := func(boot string) error {
		b := &bench{load: loader(parse(t, "default.target:")), now: 1e9}
		e, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: store, Types: toyTypes(),
			Boot: Boot{Unit: "default.target"}, BootID: boot})
		if err == nil {
			settleToy(t, e, b)
		}
		return err
	}
	require.NoError(t, open(""), "an older core knew of no boots")
	require.NoError(t, open("one"))
	require.NoError(t, open("one"))
	require.NoError(t, open(""))
	require.ErrorIs(t, open("two"), ErrOtherBoot)
	require.NoError(t, open("one"), "it was left as it is")
}
