package core

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

// methodsOf lists the types of a folder that have a method of this name.
func methodsOf(t *testing.T, dir, method string) (types []string) {
	t.Helper()
	eachDecl(t, dir, func(d ast.Decl) {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil || f.Name.Name != method {
			return
		}
		if id, ok := f.Recv.List[0].Type.(*ast.Ident); ok {
			types = append(types, id.Name)
		}
	})
	slices.Sort(types)
	require.NotEmpty(t, types)
	return types
}

// structsOf lists the exported struct types of a folder whose names begin with prefix.
func structsOf(t *testing.T, dir, prefix string) (types []string) {
	t.Helper()
	eachDecl(t, dir, func(d ast.Decl) {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			return
		}
		for _, s := range g.Specs {
			if s, ok := s.(*ast.TypeSpec); ok && strings.HasPrefix(s.Name.Name, prefix) {
				types = append(types, s.Name.Name)
			}
		}
	})
	slices.Sort(types)
	return types
}

func eachDecl(t *testing.T, dir string, f func(ast.Decl)) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, 0)
			require.NoError(t, err)
			for _, d := range file.Decls {
				f(d)
			}
		}
	}
}

func typeName(v any) string {
	_, name, _ := strings.Cut(fmt.Sprintf("%T", v), ".")
	return name
}

// TestEveryEventHasANote, and so has every effect and request: the recorder tells them apart.
func TestEveryEventHasANote(t *testing.T) {
	var names []string
	for i, ev := range []unit.Event{unit.Start{}, unit.Stop{}, unit.Reload{}, unit.Request{}, unit.Spawned{}, unit.Execed{}, unit.Exited{},
		unit.Notified{}, unit.TimerFired{}, unit.FDReady{}, unit.CgroupEmpty{}, unit.OOM{}, unit.PeerChanged{}, unit.PIDRead{},
		unit.PathChanged{}, unit.Done{}, unit.Recovered{}} {
		kind, _ := eventNote(ev)
		require.Equal(t, i+1, int(kind), "%T", ev)
		require.Equal(t, typeName(ev), eventNames[kind])
		names = append(names, typeName(ev))
	}
	slices.Sort(names)
	require.Equal(t, methodsOf(t, "../unit", "isEvent"), names, "a new event needs a place in notes.go, and a line here")

	var ops []string
	for i, op := range []any{OpJob{}, OpLoad{}, OpKill{}, OpResetFailed{}, OpCancel{}, OpReload{}, OpReexec{}, OpShutdown{}, OpRecall{}} {
		n := requestNote(&Request{Op: op})
		require.Equal(t, i+1, int(n.kind), "%T", op)
		require.Equal(t, typeName(op), requestNames[n.kind])
		ops = append(ops, typeName(op))
	}
	slices.Sort(ops)
	require.Equal(t, structsOf(t, ".", "Op"), ops, "a new request needs a place in notes.go, and a line here")
	exit := func(pid int) uint64 { _, id := eventNote(unit.Exited{Proc: unit.Proc{PID: pid}}); return id }
	require.NotEqual(t, exit(1), exit(2))
	require.Equal(t, exit(1), exit(1))
}

// recovery is what becomes of an effect that was committed and of which no core knows what came.
type recovery struct {
	effect   unit.Effect
	class    unit.Class
	answer   string // the kind of its answer; empty: it has none, is not stored, and is the unit's to ask for again
	internal bool   // done within the turn: what it changes is in the unit's record
}

var recoveries = []recovery{
	{effect: unit.Spawn{Role: "main"}, class: unit.Probe, answer: "Spawned"},
	{effect: unit.Kill{Signal: 15}, class: unit.Idempotent, answer: "Done"},
	{effect: unit.Attach{Proc: unit.Proc{PID: 1}}, class: unit.Idempotent, answer: "Done"},
	{effect: unit.ReadPIDFile{Path: "/p"}, class: unit.Idempotent, answer: "PIDRead"},
	{effect: unit.FindMain{PID: 3}, class: unit.Idempotent, answer: "PIDRead"},
	{effect: unit.WatchPath{ID: "w"}, class: unit.Idempotent},
	{effect: unit.UnwatchPath{ID: "w"}, class: unit.Idempotent},
	{effect: unit.Realize{}, class: unit.Idempotent, answer: "Done"},
	{effect: unit.RemoveCgroup{}, class: unit.Idempotent, answer: "Done"},
	{effect: unit.Dirs{Remove: true}, class: unit.Idempotent, answer: "Done"},
	{effect: unit.Listen{}, class: unit.Idempotent, answer: "Done"},
	{effect: unit.WatchFD{Keys: []string{"k"}}, class: unit.Idempotent},
	{effect: unit.UnwatchFD{Keys: []string{"k"}}, class: unit.Idempotent},
	{effect: unit.StoreFD{From: "a", To: "b"}, class: unit.Idempotent, answer: "Done"},
	{effect: unit.DropFD{Keys: []string{"k"}}, class: unit.Idempotent, answer: "Done"},
	{effect: sys.Check{Conditions: []unit.Condition{{Type: "ConditionPathExists", Param: "/x"}}}, class: unit.Idempotent, answer: "Checked"},
	{effect: sys.Load{Names: []unit.Name{"b.service"}}, class: unit.Idempotent, internal: true}, // who needs the file asks again
	{effect: sys.Shutdown{Verb: "reboot"}, class: unit.Idempotent, internal: true},              // in the engine's own record: TestShutdownIsRepeated
	{effect: sys.Reexec{}, class: unit.AtMostOnce, internal: true},                              // not stored: the next core is what it asked for
	{effect: unit.Arm{}, class: unit.Internal, internal: true},
	{effect: unit.Disarm{}, class: unit.Internal, internal: true},
	{effect: unit.Enqueue{}, class: unit.Internal, internal: true},
	{effect: unit.Act{}, class: unit.Internal, internal: true},
	{effect: unit.Say{}, class: unit.Internal, internal: true},
}

// committed makes an engine that died after it had committed an effect of a.service, and gives what the next
// one does with it, having probed out.
func committed(t *testing.T, f unit.Effect, out sys.Outcome) (*Engine, *bench, *statetest.Mem) {
	t.Helper()
	store := new(statetest.Mem)
	load := loader(parse(t, "a.service:\nb.service:"))
	b := &bench{load: load}
	e := newToyEngine(t, b, store, "")
	ask(e, b, OpLoad{Unit: "a.service"})
	settleToy(t, e, b)
	x := e.lookup("a.service")
	x.seq++
	e.emit(x, unit.Emitted{Seq: x.seq, Effect: f})
	settleToy(t, e, b)
	require.Equal(t, f, b.acts[len(b.acts)-1].Effect)
	next := &bench{load: load, probe: func(in sys.Intent) sys.Outcome {
		require.Equal(t, f, in.Effect)
		return out
	}}
	store = store.Reopen()
	return newToyEngine(t, next, store, ""), next, store
}

// TestEveryEffectRecovers: each type of effect, with each outcome of a probe. A new type fails this test until
// somebody says here what becomes of it.
func TestEveryEffectRecovers(t *testing.T) {
	var names []string
	for _, row := range recoveries {
		name := typeName(row.effect)
		names = append(names, name)
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row.class, row.effect.Class())
			if row.class != unit.Internal {
				require.Equal(t, name, effectNames[effectKind(row.effect)])
			}
			if row.internal {
				return
			}
			require.Equal(t, row.answer != "", answered(row.effect))
			for _, out := range []sys.Outcome{{State: sys.Unknown}, {State: sys.NotDone}, {State: sys.Done},
				{State: sys.Done, Event: unit.Spawned{Seq: 1, Proc: unit.Proc{PID: 5, Start: 6}}}} {
				e, b, store := committed(t, row.effect, out)
				pending := len(e.lookup("a.service").pending)
				settleToy(t, e, b)
				repeated := slices.ContainsFunc(b.acts, func(in sys.Intent) bool { return typeName(in.Effect) == name && in.Seq == 1 })
				left := len(e.lookup("a.service").pending)
				switch {
				case row.answer == "":
					require.Zero(t, pending)
					require.False(t, repeated)
				case row.class == unit.Idempotent:
					require.True(t, repeated)
					require.Equal(t, 1, left, "until its answer comes")
				case out.State == sys.NotDone:
					require.True(t, repeated, "what was not done is done")
				case out.State == sys.Done && out.Event == nil:
					require.False(t, repeated)
					require.Equal(t, 1, left, "its answer will come by itself")
				default:
					require.False(t, repeated, "what was done, or may have been, is not done again")
					require.Zero(t, left)
				}
				// Recovering twice is recovering once.
				b2 := &bench{load: b.load, probe: func(sys.Intent) sys.Outcome { return out }}
				f := newToyEngine(t, b2, store.Reopen(), "")
				settleToy(t, f, b2)
				require.Equal(t, left, len(f.lookup("a.service").pending))
				require.Equal(t, e.lookup("a.service").state, f.lookup("a.service").state)
			}
		})
	}
	slices.Sort(names)
	all := append(methodsOf(t, "../unit", "Class"), methodsOf(t, "sys", "Class")...)
	slices.Sort(all)
	require.Equal(t, all, names, "a new effect needs a line in recoveries, and a place in notes.go")
}

// TestShutdownIsRepeated by each new core, until init ends it.
func TestShutdownIsRepeated(t *testing.T) {
	store := new(statetest.Mem)
	b := &bench{load: loader(parse(t, "a.service:"))}
	e := newToyEngine(t, b, store, "")
	ask(e, b, OpShutdown{Verb: "reboot"})
	settleToy(t, e, b)
	for range 3 {
		store = store.Reopen()
		b = &bench{load: b.load}
		e = newToyEngine(t, b, store, "")
		settleToy(t, e, b)
		require.Equal(t, sys.Shutdown{Verb: "reboot"}, b.acts[0].Effect)
	}
}

// replays says for each kind of input how one that comes a second time is known: the core died after the
// commit and before the acknowledgement.
var replays = []struct {
	body  any
	known string
}{
	{unit.Spawned{Seq: 1, Proc: unit.Proc{PID: 5, Start: 6}}, "answer"},
	{unit.PIDRead{Seq: 1, Proc: unit.Proc{PID: 5, Start: 6}}, "answer"},
	{unit.Done{Seq: 1}, "answer"},
	{sys.Checked{Seq: 1, Results: []bool{true}}, "answer"},
	{sys.Loaded{Seq: 1}, "answer"},
	{unit.Exited{Proc: unit.Proc{PID: 5, Start: 6}}, "process"},   // the unit does not hold it any more
	{unit.Notified{From: unit.Proc{PID: 5, Start: 6}}, "process"}, // or says the same of a state that is the same
	{unit.Execed{Seq: 1}, "unit"},
	{unit.CgroupEmpty{}, "unit"},
	{unit.OOM{}, "unit"},
	{unit.FDReady{Key: "k"}, "lost"}, // dies with the core: the unit watches again when it is told Recovered
	{unit.PathChanged{ID: "w"}, "lost"},
	{sys.Request{}, "lost"}, // clients ask again: one with an ID is known by it
	{unit.TimerFired{ID: "t"}, "stored"},
	{sys.Signal{Number: sigINT}, "job"}, // merges with the job of the first
	{unit.Start{}, "engine"}, {unit.Stop{}, "engine"}, {unit.Reload{}, "engine"}, {unit.Request{}, "engine"},
	{unit.PeerChanged{}, "engine"}, {unit.Recovered{}, "engine"}, // the engine's own, never from the world
}

// TestEveryInputIsRecognised when it is replayed. What a kind's machine makes of a second exit or
// notification is tested where the machine is, and by the simulator's crashes between commit and
// acknowledgement.
func TestEveryInputIsRecognised(t *testing.T) {
	var events []string
	for _, row := range replays {
		name := typeName(row.body)
		if _, ok := row.body.(unit.Event); ok {
			events = append(events, name)
		}
		t.Run(name, func(t *testing.T) {
			switch row.known {
			case "answer":
				for _, f := range []unit.Effect{unit.Spawn{Role: "main"}, unit.FindMain{}, unit.Realize{}, sys.Check{}} {
					e, b, store := committed(t, f, sys.Outcome{State: sys.Done})
					in := sys.Input{ID: 4, Unit: "a.service", Body: row.body}
					b.inputs = append(b.inputs, in)
					settleToy(t, e, b)
					x := e.lookup("a.service")
					first := encodedUnit(e, x)
					_, loaded := row.body.(sys.Loaded)
					require.Equal(t, loaded, len(x.pending) == 1)
					store = store.Reopen()
					b2 := &bench{load: b.load, probe: b.probe, inputs: []sys.Input{in}}
					e2 := newToyEngine(t, b2, store, "")
					settleToy(t, e2, b2)
					require.Contains(t, b2.acked, uint64(4), "it is consumed all the same")
					require.Equal(t, first, encodedUnit(e2, e2.lookup("a.service")))
				}
			case "job":
				store := new(statetest.Mem)
				load := loader(parse(t, "ctrl-alt-del.target: Requires=slow.service After=slow.service\nslow.service:"))
				for range 3 {
					b := &bench{load: load, inputs: []sys.Input{{ID: 4, Body: row.body}}}
					e := newToyEngine(t, b, store, "")
					settleToy(t, e, b)
					require.Equal(t, unit.Active, e.lookup("ctrl-alt-del.target").state.Active)
					require.Empty(t, e.jobs)
					store = store.Reopen()
				}
			case "stored":
				store := new(statetest.Mem)
				b := &bench{load: loader(parse(t, "a.service:"))}
				e := newToyEngine(t, b, store, "")
				ask(e, b, OpLoad{Unit: "a.service"})
				settleToy(t, e, b)
				e.arm(e.lookup("a.service"), "t", b.now+1)
				settleToy(t, e, b)
				b = &bench{load: b.load, now: b.now + 1}
				store = store.Reopen()
				e = newToyEngine(t, b, store, "")
				require.Len(t, e.lookup("a.service").timers, 1)
				settleToy(t, e, b)
				b = &bench{load: b.load, now: b.now}
				e = newToyEngine(t, b, store.Reopen(), "")
				require.Empty(t, e.lookup("a.service").timers, "it elapsed once")
			}
		})
	}
	slices.Sort(events)
	require.Equal(t, methodsOf(t, "../unit", "isEvent"), events, "a new event needs a line in replays")
}

// TestCrashInEachStepOfRecovery: a core that dies after a step has done nothing yet.
func TestCrashInEachStepOfRecovery(t *testing.T) {
	type outcome struct {
		acts  []sys.Intent
		units string
	}
	run := func(deaths []int) outcome {
		_, b, store := committed(t, unit.Spawn{Role: "main"}, sys.Outcome{State: sys.NotDone})
		for _, at := range deaths {
			left := at
			_, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: store, Types: toyTypes(),
				Checkpoint: func(s Stage) bool { left--; return s != StageRecovered || left >= 0 }})
			require.ErrorIs(t, err, ErrCrashed)
			require.Empty(t, b.acts)
			store = store.Reopen()
		}
		e := newToyEngine(t, b, store, "")
		settleToy(t, e, b)
		var steps []RecoveryStep
		for _, ev := range b.events {
			if r, ok := ev.(Recovery); ok {
				steps = append(steps, r.Step)
			}
		}
		require.Equal(t, []RecoveryStep{StepLoad, StepCompare, StepRepair, StepReconnect, StepResume}, steps)
		return outcome{b.acts, fmt.Sprint(store.Records())}
	}
	want := run(nil)
	for first := range 5 {
		require.Equal(t, want, run([]int{first}))
		for second := range 5 {
			require.Equal(t, want, run([]int{first, second}))
		}
	}
}
