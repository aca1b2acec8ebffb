package core

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

// TestPanicCostsOneUnit: whatever function of a type panics.
func TestPanicCostsOneUnit(t *testing.T) {
	for _, where := range []string{"handle", "state", "snapshot"} {
		t.Run(where, func(t *testing.T) {
			e, b := loaded(t, "a.service:\nb.service: After=a.service", nil)
			r := ask(e, b, OpJob{Unit: "a.service", Type: unit.JobStart, Mode: unit.ModeReplace})
			settleToy(t, e, b)
			require.NoError(t, r.Err)
			e.lookup("a.service").u.(*toy).panic = where
			e.lookup("a.service").cgroup = "a"
			b.inputs = append(b.inputs, sys.Input{Unit: "a.service", Body: unit.CgroupEmpty{}})
			r = ask(e, b, OpJob{Unit: "b.service", Type: unit.JobStart, Mode: unit.ModeReplace})
			settleToy(t, e, b)
			require.NoError(t, r.Err)
			require.Equal(t, unit.Active, e.lookup("b.service").state.Active)
			x := e.lookup("a.service")
			require.Equal(t, orphanState, x.state)
			require.Equal(t, "degraded", e.View().SystemState())
			require.IsType(t, unit.Kill{}, b.acts[len(b.acts)-1].Effect)
			r = ask(e, b, OpJob{Unit: "a.service", Type: unit.JobStart, Mode: unit.ModeReplace})
			settleToy(t, e, b)
			require.ErrorIs(t, r.Err, ErrLoad)
			r = ask(e, b, OpResetFailed{})
			settleToy(t, e, b)
			require.Equal(t, errNoAnswer, r.Err, "not before its processes are gone")
			b.inputs = append(b.inputs, sys.Input{Unit: "a.service", Body: unit.CgroupEmpty{}})
			settleToy(t, e, b)
			require.NoError(t, r.Err)
			require.Equal(t, "running", e.View().SystemState())
			r = ask(e, b, OpJob{Unit: "a.service", Type: unit.JobStart, Mode: unit.ModeReplace})
			settleToy(t, e, b)
			require.NoError(t, r.Err)
			require.Equal(t, unit.Active, x.state.Active)
		})
	}
}

// TestDamagedRecordCostsOneUnit: each record of the store is damaged or lost in turn.
func TestDamagedRecordCostsOneUnit(t *testing.T) {
	const text = "default.target: Wants=a.service Wants=b.service\na.service:\nb.service:"
	fresh := func() (*statetest.Mem, *bench) {
		store := new(statetest.Mem)
		b := &bench{load: loader(parse(t, text))}
		e := newToyEngine(t, b, store, "default.target")
		settleToy(t, e, b)
		require.Equal(t, unit.Active, e.lookup("b.service").state.Active)
		e.lookup("a.service").cgroup = "a.slice/a.service"
		e.touch(e.lookup("a.service"))
		settleToy(t, e, b)
		return store, b
	}
	store, _ := fresh()
	for _, r := range store.Records() {
		for _, data := range [][]byte{nil, {0xff, 0xff}, {}} {
			store, _ := fresh()
			r.Data = data
			if data == nil {
				store.Broken = []state.Problem{{Damage: state.LostCommits, Count: 1}}
			}
			require.NoError(t, store.Commit([]state.Record{r}))
			b := &bench{load: loader(parse(t, text))}
			e := newToyEngine(t, b, store.Reopen(), "default.target")
			settleToy(t, e, b)
			for _, n := range []unit.Name{"default.target", "a.service", "b.service"} {
				x := e.lookup(n)
				switch {
				case x == nil:
					require.Equal(t, string(n), r.Key, "only what has no record at all may be unknown")
				case string(n) == r.Key && data != nil && len(data) == 0 && r.Segment == state.Units:
					// an empty record is one of a unit that never was anything
				case string(n) == r.Key:
					require.Equal(t, orphanState, x.state, "%v %s %v", r.Segment, r.Key, data)
				default:
					require.Equal(t, unit.Active, x.state.Active, "%s, with %v %s %v", n, r.Segment, r.Key, data)
				}
			}
			if r.Key == "a.service" && r.Segment == state.Specs {
				require.Same(t, e.lookup("a.service"), e.cgroupOwner("a.slice/a.service/sub"))
				ask(e, b, OpReload{})
				settleToy(t, e, b)
				require.Equal(t, unit.Active, e.lookup("a.service").state.Active, "daemon-reload brings it back")
			}
			for _, in := range b.acts { // nothing is started twice
				_, spawn := in.Effect.(unit.Spawn)
				require.False(t, spawn)
			}
		}
	}
}

// TestStoreRefuses: with a reserve and without, what ends goes on and what begins waits.
func TestStoreRefuses(t *testing.T) {
	for _, total := range []bool{false, true} {
		for _, reason := range []error{state.ErrFull, state.ErrIO, state.ErrGone, state.ErrReadOnly} {
			store, bad := new(statetest.Mem), false
			store.Fail = func(c statetest.Commit) error {
				if bad && (total || !c.Urgent) {
					return statetest.Refuse(reason)
				}
				return nil
			}
			b := &bench{load: loader(parse(t, "a.service:\nb.service:\nc.service:\npoweroff.target:"))}
			e := newToyEngine(t, b, store, "")
			for _, n := range []unit.Name{"a.service", "b.service", "c.service", "poweroff.target"} {
				ask(e, b, OpLoad{Unit: n})
			}
			ask(e, b, OpJob{Unit: "a.service", Type: unit.JobStart, Mode: unit.ModeReplace})
			settleToy(t, e, b)
			bad = true
			b.inputs = append(b.inputs, sys.Input{ID: 7, Unit: "c.service", Body: unit.CgroupEmpty{}})
			settleToy(t, e, b)
			require.Equal(t, total, len(b.acked) == 0, "what is not recorded is not acknowledged")
			r := ask(e, b, OpJob{Unit: "b.service", Type: unit.JobStart, Mode: unit.ModeReplace})
			s := ask(e, b, OpJob{Unit: "a.service", Type: unit.JobStop, Mode: unit.ModeReplace})
			p := ask(e, b, OpJob{Unit: "poweroff.target", Type: unit.JobStart, Mode: unit.ModeReplaceIrreversibly})
			settleToy(t, e, b)
			require.ErrorIs(t, r.Err, ErrStore)
			require.NoError(t, s.Err)
			require.NoError(t, p.Err)
			require.Equal(t, unit.Inactive, e.View().Unit("a.service").State.Active)
			require.Equal(t, unit.Active, e.View().Unit("poweroff.target").State.Active)
			require.LessOrEqual(t, e.NextDeadline(), b.now+time.Second, "it is tried again")
			bad = false
			_, err := store.Maintain(1)
			require.NoError(t, err)
			settleToy(t, e, b)
			_, err = store.Maintain(1)
			require.NoError(t, err)
			settleToy(t, e, b)
			require.NotEmpty(t, b.acked)
			r = ask(e, b, OpJob{Unit: "b.service", Type: unit.JobStart, Mode: unit.ModeReplace})
			settleToy(t, e, b)
			require.NoError(t, r.Err, "it works again")
			f := newToyEngine(t, &bench{load: b.load}, store.Reopen(), "")
			require.Equal(t, unit.Inactive, f.lookup("a.service").state.Active, "what happened meanwhile is recorded")
		}
	}
}

// TestEmptyCommit: a unit whose record is kept as it is has none to be written, and a store takes no empty commit.
func TestEmptyCommit(t *testing.T) {
	log, _, err := state.Open(state.Config{FS: &statetest.FS{}})
	require.NoError(t, err)
	b := &bench{load: loader(parse(t, "a.service:"))}
	e := newToyEngine(t, b, log, "")
	ask(e, b, OpLoad{Unit: "a.service"})
	settleToy(t, e, b)
	x := e.lookup("a.service")
	x.u, x.verbatim, x.quar = nil, []byte{1}, &quarantine{note: note{stage: stageDecode, name: string(x.name)}}
	r := ask(e, b, OpKill{Unit: "a.service", Signal: sigTERM})
	b.inputs = append(b.inputs, sys.Input{ID: 7, Unit: "a.service", Body: unit.CgroupEmpty{}})
	settleToy(t, e, b)
	require.NoError(t, r.Err)
	require.NoError(t, e.storeErr)
	require.Equal(t, []uint64{7}, b.acked)
}

// TestDescriptorsOfNobody: what comes with a notification is held, and is dropped unless a unit says what becomes of it.
func TestDescriptorsOfNobody(t *testing.T) {
	b := &bench{load: fileLoader(map[string]string{"n.service": "[Service]\nType=notify\nExecStart=/bin/notify\nFileDescriptorStoreMax=1\nNotifyAccess=all\n", "sysinit.target": "[Unit]\n", "basic.target": "[Unit]\n", "shutdown.target": "[Unit]\n"}, realTypes()), now: 100 * time.Second}
	e, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: new(statetest.Mem), Types: realTypes(), Observe: b.observe})
	require.NoError(t, err)
	r := ask(e, b, OpJob{Unit: "n.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	for range 200 {
		_, err := e.Step()
		require.NoError(t, err)
		playHost(b)
		b.now += 10 * time.Millisecond
	}
	require.NoError(t, r.Err)
	require.Equal(t, unit.Activating, e.View().Unit("n.service").State.Active)
	hear := func(in sys.Input) (store, drop []string) {
		in.ID = 7
		in.Body = unit.Notified{From: unit.Proc{PID: 9, Start: 9}, Fields: []unit.Field{{Key: "FDSTORE", Value: "1"}}, FDs: []unit.FDRef{{Key: "tmp/1"}, {Key: "tmp/2"}}}
		b.inputs, b.acts = append(b.inputs, in), nil
		_, err := e.Step()
		require.NoError(t, err)
		for _, in := range b.acts {
			switch f := in.Effect.(type) {
			case unit.StoreFD:
				store = append(store, f.From)
			case unit.DropFD:
				drop = append(drop, f.Keys...)
			}
		}
		return store, drop
	}
	for _, in := range []sys.Input{{}, {CGroup: "user.slice/somebody"}, {Unit: "sysinit.target"}, {Unit: "gone.service"}} {
		store, drop := hear(in)
		require.Empty(t, store)
		require.Equal(t, []string{"tmp/1", "tmp/2"}, drop, "%v", in)
	}
	store, drop := hear(sys.Input{Unit: "n.service"})
	require.Equal(t, []string{"tmp/1"}, store)
	require.Equal(t, []string{"tmp/2"}, drop)
}

// TestFilesTooBigForTheStore cost their unit, and not the commits of all others, at the first load and at a reload.
func TestFilesTooBigForTheStore(t *testing.T) {
	bad := func(n unit.Name) *unit.Spec {
		return &unit.Spec{Name: n, Load: unit.LoadLoaded, Settings: []unit.Setting{{Section: "Unit", Key: "Description", Value: strings.Repeat("x", 2<<20)}}}
	}
	log, _, err := state.Open(state.Config{FS: &statetest.FS{}})
	require.NoError(t, err)
	specs := parse(t, "up.service:\ndown.service:\nother.service:")
	specs["first.service"] = bad("first.service")
	b := &bench{load: loader(specs)}
	e := newToyEngine(t, b, log, "")
	start := func(n unit.Name) *Response {
		r := ask(e, b, OpJob{Unit: n, Type: unit.JobStart, Mode: unit.ModeReplace})
		settleToy(t, e, b)
		return r
	}
	require.NoError(t, start("up.service").Err)
	ask(e, b, OpLoad{Unit: "down.service"})
	require.ErrorIs(t, start("first.service").Err, ErrLoad)
	specs["up.service"], specs["down.service"] = bad("up.service"), bad("down.service")
	ask(e, b, OpReload{})
	settleToy(t, e, b)
	require.NoError(t, e.storeErr)
	require.Equal(t, unit.Active, e.View().Unit("up.service").State.Active, "it runs on as it was started")
	require.ErrorIs(t, start("down.service").Err, ErrLoad)
	require.NoError(t, start("other.service").Err)
	x, env := e.lookup("other.service"), strings.Repeat("x", maxSpec) // of the biggest specification that is taken
	for i := range 4 {
		x.pending = append(x.pending, unit.Emitted{Seq: uint64(1000 + i), Effect: unit.Spawn{Env: []string{env}}})
	}
	e.touch(x)
	settleToy(t, e, b)
	require.NoError(t, e.storeErr)
}

// TestLoadThatHangs: it holds up who needs it, for a time, and nobody else.
func TestLoadThatHangs(t *testing.T) {
	specs := parse(t, "a.service:\nb.service:")
	b := &bench{load: loader(specs)}
	e := newToyEngine(t, b, new(statetest.Mem), "")
	ask(e, b, OpLoad{Unit: "a.service"})
	ask(e, b, OpLoad{Unit: "b.service"})
	settleToy(t, e, b)
	b.load = nil
	hung := ask(e, b, OpJob{Unit: "hung.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	r := ask(e, b, OpJob{Unit: "a.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	require.NoError(t, r.Err)
	require.Equal(t, errNoAnswer, hung.Err)
	b.now = e.NextDeadline()
	settleToy(t, e, b)
	require.ErrorIs(t, hung.Err, ErrLoad)
	b.load = loader(parse(t, "hung.service:"))
	r = ask(e, b, OpJob{Unit: "hung.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	require.NoError(t, r.Err, "it is looked at again")
}

// TestNamesFollowTheFiles at daemon-reload, and stay so after a crash.
func TestNamesFollowTheFiles(t *testing.T) {
	store := new(statetest.Mem)
	b := &bench{load: loader(parse(t, "a.service: Alias=x.service\nb.service:\nc.service: Wants=b.service After=b.service"))}
	e := newToyEngine(t, b, store, "")
	for _, n := range []unit.Name{"x.service", "b.service", "c.service"} {
		ask(e, b, OpLoad{Unit: n})
	}
	settleToy(t, e, b)
	require.Equal(t, unit.Name("a.service"), e.lookup("x.service").name)
	b.load = loader(parse(t, "a.service: Alias=b.service\nx.service:\nc.service: Wants=b.service After=b.service"))
	r := ask(e, b, OpReload{})
	settleToy(t, e, b)
	require.NoError(t, r.Err)
	r = ask(e, b, OpJob{Unit: "c.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	require.NoError(t, r.Err)
	require.Equal(t, unit.Active, e.lookup("a.service").state.Active)
	ask(e, b, OpLoad{Unit: "x.service"})
	settleToy(t, e, b)
	for _, e := range []*Engine{e, newToyEngine(t, &bench{load: b.load}, store.Reopen(), "")} {
		require.Equal(t, unit.Name("a.service"), e.lookup("b.service").name)
		require.Equal(t, unit.Name("x.service"), e.lookup("x.service").name)
		require.Equal(t, unit.Active, e.View().Unit("b.service").State.Active)
	}
	for _, r := range store.Records() {
		require.NotEqual(t, "b.service", r.Key)
	}
}

// TestReloadUntiesJobs: queued jobs that a reload ties into a ring do not wait for ever.
func TestReloadUntiesJobs(t *testing.T) {
	e, b := loaded(t, "block.service:\na.service: After=block.service\nb.service: After=block.service", states{"block.service": unit.Activating})
	for _, n := range []unit.Name{"block.service", "a.service", "b.service"} {
		ask(e, b, OpJob{Unit: n, Type: unit.JobStart, Mode: unit.ModeReplace})
	}
	settleToy(t, e, b)
	require.Len(t, e.jobs, 3)
	b.load = loader(parse(t, "block.service:\na.service: After=b.service\nb.service: After=a.service"))
	ask(e, b, OpReload{})
	settleToy(t, e, b)
	require.Nil(t, e.lookup("a.service").job)
	require.Equal(t, unit.Active, e.lookup("b.service").state.Active)
	require.Contains(t, strings.Join(b.told, "\n"), "ordering cycle")
}
