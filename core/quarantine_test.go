package core

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

// venom is a toy with a process that dies where the house says.
type venom struct {
	toy
	h    *house
	name unit.Name
}

func (u *venom) bite(where string) {
	if u.h.venom[string(u.name)+" "+where] {
		panic(Fatal{where})
	}
}

func (u *venom) Handle(tx *unit.Tx, ev unit.Event) {
	u.bite(strings.TrimPrefix(fmt.Sprintf("%T", ev), "unit."))
	u.h.handled = append(u.h.handled, fmt.Sprintf("%s %T", u.name, ev))
	if n, ok := ev.(unit.Notified); ok && len(n.Fields) > 0 && n.Fields[0].Value == "spawn" {
		tx.Emit(unit.Spawn{Role: "main"})
	}
	u.toy.Handle(tx, ev)
}

func (u *venom) Snapshot(buf []byte) []byte { u.bite("snapshot"); return u.toy.Snapshot(buf) }

func (u *venom) Procs(f func(string, unit.Proc)) {
	if u.state.Active == unit.Active {
		f("main", unit.Proc{PID: 100 + len(u.name) + int(u.name[0]), Start: 7})
	}
}

// house is a machine whose core dies and is started again.
type house struct {
	t          testing.TB
	venom      map[string]bool
	handled    []string
	store      *statetest.Mem
	b          *bench
	e          *Engine
	page       []byte
	generation uint64
	boot       string
	again      func() // after each start: what is still with its owner
	died       []any
}

func newHouse(t testing.TB, text string) *house {
	h := &house{t: t, venom: map[string]bool{}, store: new(statetest.Mem), page: make([]byte, RecorderSize), boot: "one"}
	h.b = &bench{load: loader(parse(t, text))}
	h.start(false)
	for n := range parse(t, text) {
		ask(h.e, h.b, OpLoad{Unit: n})
	}
	h.run()
	return h
}

func (h *house) types() map[unit.Kind]*unit.Type {
	types := toyTypes()
	plain := *types[unit.KindService]
	types[unit.KindService] = &unit.Type{
		Kind: unit.KindService, Version: 1, Keys: plain.Keys,
		New: func(s *unit.Spec) (unit.Unit, error) {
			u := &venom{toy{state: down}, h, s.Name}
			u.bite("new")
			return u, nil
		},
		Restore: func(s *unit.Spec, v uint32, b []byte) (unit.Unit, error) {
			(&venom{h: h, name: s.Name}).bite("restore")
			u, err := plain.Restore(s, v, b)
			if err != nil {
				return nil, err
			}
			return &venom{*u.(*toy), h, s.Name}, nil
		},
		Implied: func(s *unit.Spec) []unit.Dep { (&venom{h: h, name: s.Name}).bite("implied"); return nil },
	}
	return types
}

// deadly runs f and reports whether the core died in it.
func (h *house) deadly(f func()) (died bool) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case Fatal:
			h.died, died = append(h.died, p.What), true
		default:
			panic(p)
		}
	}()
	f()
	return false
}

func (h *house) start(blame bool) (died bool) {
	h.generation++
	b := &bench{load: h.b.load, probe: h.b.probe, now: h.b.now, acked: h.b.acked, told: h.b.told, events: h.b.events}
	h.b = b
	return h.deadly(func() {
		if b.now == 0 {
			b.now = 1e9
		}
		w := sys.World{Clock: b, Source: b, Actor: (*actor)(h), Prober: b, Pulse: b}
		e, err := New(Config{World: w, Store: h.store, Types: h.types(), Observe: b.observe, BootID: h.boot,
			Recorder: Recorder{Page: h.page, Generation: h.generation, Blame: blame}})
		require.NoError(h.t, err)
		h.e = e
		if h.again != nil {
			h.again()
		}
	})
}

// actor is the bench's, and may be deadly too.
type actor house

func (a *actor) Act(in sys.Intent) {
	if a.venom[fmt.Sprintf("%s act %T", in.Unit, in.Effect)] {
		panic(Fatal{"act"})
	}
	a.b.Act(in)
}

// run settles, starting the core again as often as it dies; it gives up after five deaths, as init does.
func (h *house) run() (deaths int) { return h.runFrom(false) }

func (h *house) runFrom(died bool) (deaths int) {
	for {
		if !died {
			died = h.deadly(func() { settleToy(h.t, h.e, h.b) })
		}
		if !died {
			return deaths
		}
		deaths++
		require.LessOrEqual(h.t, deaths, 5, "init would have given up: %v", h.died)
		h.store = h.store.Reopen()
		died = h.start(true)
	}
}

func (h *house) restart() { h.store = h.store.Reopen(); require.False(h.t, h.start(false)); h.run() }

func (h *house) ask(op any) *Response { r := ask(h.e, h.b, op); h.run(); return r }

func (h *house) quarantined(n unit.Name) bool {
	v := h.e.View().Unit(n)
	return v != nil && v.Quarantine != nil
}

func startOp(n unit.Name) OpJob { return OpJob{Unit: n, Type: unit.JobStart, Mode: unit.ModeReplace} }

const houseUnits = "a.service:\nb.service: Requires=a.service After=a.service\nc.service:\n"

// TestQuarantineKeepsNewerFields: what a newer version wrote about a quarantine is still there when this one writes it.
func TestQuarantineKeepsNewerFields(t *testing.T) {
	q := &quarantine{note: note{stage: stageHandle, kind: 3, id: 4, arg: 5, name: "a.service"}, deaths: 3, since: unit.Stamp{Real: 1, Mono: 2, Boot: 3}}
	var enc record.Encoder
	enc.Message(1, func(enc *record.Encoder) { enc.Encode(q.layout); enc.String(200, "a field of tomorrow") })
	e := &Engine{}
	e.readQuarantine(enc.Data())
	got := e.quar["a.service"]
	require.NotNil(t, got)
	e.encodeQuarantine()
	require.Equal(t, enc.Data(), e.records[0].Data)
	got.unknown = nil
	require.Equal(t, q, got)
}

// TestPoisonIsQuarantined: wherever a unit kills the core, three deaths are enough, everything else
// goes on, and reset-failed brings the unit back with its state and its process.
func TestPoisonIsQuarantined(t *testing.T) {
	notified := sys.Input{ID: 9, Unit: "a.service", Body: unit.Notified{From: unit.Proc{PID: 5}, Fields: []unit.Field{{Key: "X", Value: "spawn"}}}}
	for _, c := range []struct {
		where string
		in    sys.Input
	}{
		{"Notified", notified},
		{"Exited", sys.Input{ID: 9, Unit: "a.service", Body: unit.Exited{Proc: unit.Proc{PID: 7}}}},
		{"snapshot", notified},
		{"act unit.Spawn", notified},
		{"Recovered", sys.Input{}},
		{"restore", sys.Input{}},
		{"act unit.Attach", sys.Input{}},
	} {
		t.Run(c.where, func(t *testing.T) {
			h := newHouse(t, houseUnits)
			for _, n := range []unit.Name{"a.service", "c.service"} {
				require.NoError(t, h.ask(startOp(n)).Err)
			}
			h.b.probe = func(sys.Intent) sys.Outcome { return sys.Outcome{State: sys.NotDone} }
			h.venom["a.service "+c.where] = true
			died := false
			if c.in.ID != 0 {
				h.again = func() {
					if !slices.Contains(h.b.acked, c.in.ID) {
						h.b.inputs = append(h.b.inputs, c.in)
					}
				}
				h.again()
			} else {
				h.store = h.store.Reopen()
				died = h.start(false)
			}
			require.Equal(t, poisonDeaths, h.runFrom(died))
			require.True(t, h.quarantined("a.service"))
			v := h.e.View().Unit("a.service")
			require.Equal(t, quarantineState, v.State)
			require.Contains(t, v.Quarantine.String(), "3 times")
			props, err := v.Props()
			require.NoError(t, err)
			require.Contains(t, props[1].V, "reset-failed")
			require.Contains(t, strings.Join(h.b.told, "\n"), "a.service: quarantined: the manager died 3 times")
			require.True(t, slices.ContainsFunc(h.b.events, func(ev Event) bool { q, ok := ev.(Quarantined); return ok && q.Unit == "a.service" }))
			if c.in.ID != 0 {
				require.Contains(t, h.b.acked, uint64(9), "it is consumed")
			}
			h.again = nil
			for _, in := range h.b.acts {
				_, kill := in.Effect.(unit.Kill)
				require.False(t, kill, "its processes are untouched")
			}

			require.Equal(t, unit.Active, h.e.View().Unit("c.service").State.Active, "the others do not notice")
			require.NoError(t, h.ask(OpJob{Unit: "c.service", Type: unit.JobStop, Mode: unit.ModeReplace}).Err)
			for _, typ := range []unit.JobType{unit.JobStart, unit.JobStop, unit.JobRestart, unit.JobReload} {
				r := h.ask(OpJob{Unit: "a.service", Type: typ, Mode: unit.ModeReplace})
				require.ErrorIs(t, r.Err, ErrQuarantined, typ)
				require.Contains(t, r.Err.Error(), "reset-failed lifts it")
			}
			require.ErrorContains(t, h.ask(startOp("b.service")).Err, "quarantined")
			h.restart()
			require.True(t, h.quarantined("a.service"), "also after another crash")
			require.NoError(t, h.ask(OpReload{}).Err)
			require.True(t, h.quarantined("a.service"), "also after daemon-reload")
			require.NoError(t, h.ask(OpKill{Unit: "a.service", Signal: 15}).Err)

			clear(h.venom)
			h.b.acts, h.handled = nil, nil
			require.NoError(t, h.ask(OpResetFailed{Unit: "a.service"}).Err)
			require.False(t, h.quarantined("a.service"))
			require.Equal(t, unit.Active, h.e.View().Unit("a.service").State.Active)
			require.Contains(t, h.handled, "a.service unit.Recovered")
			attached := false
			for _, in := range h.b.acts {
				a, ok := in.Effect.(unit.Attach)
				attached = attached || ok && in.Unit == "a.service" && a.Proc.PID != 0
				_, kill := in.Effect.(unit.Kill)
				require.False(t, kill, "it is not killed")
				_, spawn := in.Effect.(unit.Spawn)
				require.False(t, spawn, "nor started a second time")
			}
			require.True(t, attached)
			require.NoError(t, h.ask(startOp("b.service")).Err)
			h.restart()
			require.False(t, h.quarantined("a.service"))
			require.Equal(t, unit.Active, h.e.View().Unit("a.service").State.Active)
			require.Equal(t, "running", h.e.View().SystemState())
		})
	}
}

// TestPoisonedStartIsQuarantined: a start that kills is a client's, who asks again each time.
func TestPoisonedStartIsQuarantined(t *testing.T) {
	for _, where := range []string{"Start", "new", "implied"} {
		h := newHouse(t, "c.service:\n")
		require.NoError(t, h.ask(startOp("c.service")).Err)
		h.b.load = loader(parse(t, houseUnits))
		h.venom["a.service "+where] = true
		var r *Response
		h.again = func() { r = ask(h.e, h.b, startOp("a.service")) }
		h.again()
		require.Equal(t, poisonDeaths, h.run(), where)
		require.ErrorIs(t, r.Err, ErrQuarantined, where)
		require.True(t, h.quarantined("a.service"))
		require.Equal(t, unit.Active, h.e.View().Unit("c.service").State.Active)
		h.again = nil
		clear(h.venom)
		h.restart()
		require.True(t, h.quarantined("a.service"))
		require.NoError(t, h.ask(OpResetFailed{}).Err)
		require.NoError(t, h.ask(startOp("a.service")).Err)
		require.Equal(t, unit.Active, h.e.View().Unit("a.service").State.Active)
	}
}

// TestOnlyOwnDeathsCount: a core that others kill, however often and wherever, condemns nobody; nor do
// deaths between which the same thing went well.
func TestOnlyOwnDeathsCount(t *testing.T) {
	in := sys.Input{ID: 9, Unit: "a.service", Body: unit.Notified{From: unit.Proc{PID: 5}}}
	h := newHouse(t, houseUnits)
	die := func(blame bool) {
		h.b.inputs = append(h.b.inputs, in)
		h.venom["a.service Notified"] = true
		require.True(t, h.deadly(func() { settleToy(t, h.e, h.b) }))
		clear(h.venom)
		h.store = h.store.Reopen()
		require.False(t, h.start(blame))
	}
	for range 10 {
		die(false)
	}
	require.Empty(t, h.e.rec.suspects)
	for range 10 {
		die(true)
		require.Len(t, h.e.rec.suspects, 1)
		h.run()
		require.Len(t, h.e.rec.suspects, 1, "a turn without it clears nothing")
		h.b.inputs = append(h.b.inputs, in)
		h.run()
		require.Empty(t, h.e.rec.suspects)
	}
	die(true)
	die(true)
	h.b.now += suspectTime
	h.restart()
	require.Empty(t, h.e.rec.suspects, "that was long ago")
	h.generation++ // a core that did not get as far as the recorder: the note is not of the last one
	die(true)
	require.Empty(t, h.e.rec.suspects)
}

// TestPoisonedRequestIsRefused: also the next one that is the same, and no other.
func TestPoisonedRequestIsRefused(t *testing.T) {
	h := newHouse(t, houseUnits)
	h.e.rec.blame(requestNote(&Request{Op: startOp("c.service")}), h.b.now)
	h.e.rec.blame(note{stage: stageSignal, kind: sigHUP}, h.b.now)
	h.e.rec.blame(note{stage: stageJob, kind: uint8(unit.JobStart), name: "a.service"}, h.b.now)
	for i := range h.e.rec.suspects {
		h.e.rec.suspects[i].deaths = poisonDeaths
	}
	h.e.rec.save()
	for range 2 {
		h.restart()
		require.ErrorIs(t, h.ask(startOp("c.service")).Err, ErrQuarantined)
		require.NoError(t, h.ask(OpJob{Unit: "c.service", Type: unit.JobStart, Mode: unit.ModeFail}).Err)
		h.b.inputs = append(h.b.inputs, sys.Input{ID: 3, Body: sys.Signal{Number: sigHUP}})
		h.run()
		require.Contains(t, h.b.acked, uint64(3))
		require.Contains(t, strings.Join(h.b.told, "\n"), "signal 1 is dropped")
		require.NoError(t, h.ask(startOp("a.service")).Err)
		require.Equal(t, unit.Inactive, h.e.View().Unit("a.service").State.Active, "the job cannot run")
	}
	require.Empty(t, h.e.rec.suspects, "the store has it")
	require.NoError(t, h.ask(OpResetFailed{}).Err)
	require.NoError(t, h.ask(startOp("c.service")).Err)
	require.NoError(t, h.ask(startOp("a.service")).Err)
	require.Equal(t, unit.Active, h.e.View().Unit("a.service").State.Active)
	h.restart()
	require.Empty(t, h.e.poisons)
}

// TestRecorderTakesAnything: torn, foreign and forged pages are no notes, and nothing else.
func TestRecorderTakesAnything(t *testing.T) {
	h := newHouse(t, houseUnits)
	h.e.rec.begin(note{stage: stageHandle, kind: 8, id: 77, name: "a.service"})
	good := slices.Clone(h.page)
	open := func(page []byte) *recorder {
		return openRecorder(Recorder{Page: slices.Clone(page), Generation: h.generation + 1, Blame: true}, h.b.now)
	}
	require.Equal(t, "a.service", open(good).last.name)
	for at := range slotsAt {
		bad := slices.Clone(good)
		bad[at] ^= 0x10
		r := open(bad)
		if at < recNoteAt+atName+len("a.service") && (at < recNoteAt+atCheck+8 || at >= recNoteAt+atName) {
			require.Nil(t, r.last, "byte %d", at)
		}
	}
	require.Nil(t, openRecorder(Recorder{Page: make([]byte, 100)}, 0))
	var none *recorder
	none.end(none.begin(note{stage: stageAct}))
	none.turned()
}

func FuzzRecorder(f *testing.F) {
	page := make([]byte, RecorderSize)
	r := openRecorder(Recorder{Page: page, Generation: 1}, 1)
	r.begin(note{stage: stageHandle, kind: 8, id: 1, name: "a.service"})
	f.Add(slices.Clone(page), uint64(2))
	r = openRecorder(Recorder{Page: page, Generation: 2, Blame: true}, 2)
	r.begin(note{stage: stageAct, kind: 1, arg: 5, name: "b.service"})
	f.Add(slices.Clone(page), uint64(3))
	f.Fuzz(func(t *testing.T, data []byte, generation uint64) {
		page := make([]byte, RecorderSize)
		copy(page, data)
		r := openRecorder(Recorder{Page: page, Generation: generation, Blame: true}, 1<<40)
		if len(r.suspects) > recSlots {
			t.Fatal("too many suspects")
		}
		for i := range r.suspects {
			_ = r.suspects[i].what()
		}
		again := openRecorder(Recorder{Page: page, Generation: generation + 1}, 1<<40)
		if len(again.suspects) != len(r.suspects) {
			t.Fatalf("%d suspects, and %d when read again", len(r.suspects), len(again.suspects))
		}
	})
}

// BenchmarkNote is what noting one event and one effect costs a turn.
func BenchmarkNote(b *testing.B) {
	r := openRecorder(Recorder{Page: make([]byte, RecorderSize), Generation: 1}, 1)
	in := sys.Intent{Unit: "systemd-journald.service", Effect: unit.Kill{}, Seq: 5}
	var ev unit.Event = unit.Exited{Proc: unit.Proc{PID: 5, Start: 7}}
	b.ReportAllocs()
	for b.Loop() {
		kind, id := eventNote(ev)
		outer := r.begin(note{stage: stageHandle, kind: kind, id: id, name: "systemd-journald.service"})
		r.end(outer)
		outer = r.begin(intentNote(stageAct, &in))
		r.end(outer)
	}
}
