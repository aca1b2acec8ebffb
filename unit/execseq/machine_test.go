package execseq

import (
	"reflect"
	"testing"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// TestSignal is the table of kill modes and rungs, with a main and a control process, and
// with an empty group.
func TestSignal(t *testing.T) {
	main, control := unit.Proc{PID: 5, Start: 1}, unit.Proc{PID: 6, Start: 1}
	for _, tc := range []struct {
		mode execspec.KillMode
		rung Rung
		want []unit.Kill
	}{
		{execspec.KillControlGroup, RungTerm, []unit.Kill{{Signal: 15, Cont: true}}},
		{execspec.KillControlGroup, RungKill, []unit.Kill{{Signal: 9, Cont: true}}},
		{execspec.KillControlGroup, RungWatchdog, []unit.Kill{{Signal: 6, Cont: true}}},
		{execspec.KillMixed, RungTerm, []unit.Kill{{Proc: main, Signal: 15, Cont: true}, {Proc: control, Signal: 15, Cont: true}}},
		{execspec.KillMixed, RungKill, []unit.Kill{{Signal: 9, Cont: true}}},
		{execspec.KillProcess, RungKill, []unit.Kill{{Proc: main, Signal: 9, Cont: true}, {Proc: control, Signal: 9, Cont: true}}},
		{execspec.KillNone, RungKill, nil},
	} {
		m := Machine{Main: Process{Proc: main}, Control: Process{Proc: control}}
		k := execspec.NewKillContext()
		k.Mode = tc.mode
		got, wait := signal(&m, &k, tc.rung)
		if !reflect.DeepEqual(got, tc.want) || wait != (tc.want != nil) {
			t.Errorf("%s, rung %d: %v, wait %v; want %v", tc.mode, tc.rung, got, wait, tc.want)
		}
		m = New()
		if got, wait := signal(&m, &k, tc.rung); got != nil || wait {
			t.Errorf("%s, rung %d, nobody there: %v, wait %v", tc.mode, tc.rung, got, wait)
		}
	}
}

func signal(m *Machine, k *execspec.KillContext, r Rung) (out []unit.Kill, wait bool) {
	var seq uint64
	tx := unit.NewTx(unit.Stamp{}, "x", nil, &seq)
	wait = m.Signal(tx, k, r, false)
	for _, e := range tx.Effects() {
		out = append(out, e.Effect.(unit.Kill))
	}
	return out, wait
}

func TestClimb(t *testing.T) {
	k := execspec.NewKillContext()
	var seq uint64
	climb := func(m Machine, r Rung) (Rung, *unit.Tx) {
		tx := unit.NewTx(unit.Stamp{Mono: time.Second}, "x", nil, &seq)
		return m.Climb(tx, &k, r, false, Times{Stop: 5 * time.Second, Abort: 9 * time.Second}), tx
	}
	if r, tx := climb(New(), RungTerm); r != RungOver || tx.Effects() != nil {
		t.Errorf("nobody there: rung %d, %v", r, tx.Effects())
	}
	r, tx := climb(Machine{Main: Process{Proc: unit.Proc{PID: 5}}}, RungWatchdog)
	arm, ok := tx.Effects()[1].Effect.(unit.Arm)
	if r != RungWatchdog || !ok || arm.At != 10*time.Second {
		t.Errorf("watchdog: rung %d, %v", r, tx.Effects())
	}
	k.Mode = execspec.KillMixed // nobody but a stray process: straight to SIGKILL for all
	if r, _ := climb(Machine{}, RungTerm); r != RungKill {
		t.Errorf("mixed, strays only: rung %d; want %d", r, RungKill)
	}
	k.SendSIGKILL = false
	if r, _ := climb(Machine{}, RungTerm); r != RungOver {
		t.Errorf("SendSIGKILL=no: rung %d; want %d", r, RungOver)
	}
}

func TestAbsorbStale(t *testing.T) {
	var seq uint64
	tx := unit.NewTx(unit.Stamp{}, "x", nil, &seq)
	m := New()
	for _, ev := range []unit.Event{unit.Spawned{}, unit.Execed{}, unit.Exited{}, unit.Done{}, unit.TimerFired{ID: "other"}, unit.Start{}} {
		before := m
		if n := m.Absorb(tx, ev); n.Kind != None || m != before {
			t.Errorf("Absorb(%T) = %v", ev, n)
		}
	}
	m.Absorb(tx, unit.Spawned{Seq: 77, Proc: unit.Proc{PID: 9}})
	es := tx.Effects()
	if k, ok := es[len(es)-1].Effect.(unit.Kill); !ok || k.Proc.PID != 9 {
		t.Errorf("a process that nobody waits for lives on: %v", es)
	}
}

func TestMachineSnapshot(t *testing.T) {
	m := Machine{Main: Process{"main", 3, 4, unit.Proc{PID: 5, Start: 6}}, Control: Process{Role: "stop/0", Exec: 9}, List: "stop", Index: 2,
		Empty: true, KillSeq: 7, Owed: 15, Armed: true, Deadline: time.Minute}
	e := unit.NewEncoder(nil)
	m.Encode(e)
	var got Machine
	d := unit.NewDecoder(e.Data())
	for d.Next() {
		got.DecodeField(d)
	}
	if d.Err() != nil || got != m {
		t.Errorf("decoded %+v, %v; want %+v", got, d.Err(), m)
	}
}
