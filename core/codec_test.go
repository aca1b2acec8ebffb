package core

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

func sampleSpec() *unit.Spec {
	pos := unit.Pos{File: "/etc/systemd/system/a.service", Line: 3}
	return &unit.Spec{Name: "a.service", Aliases: []unit.Name{"b.service"}, Load: unit.LoadLoaded, LoadError: "none", FragmentPath: pos.File,
		DropIns:  []string{"/etc/systemd/system/a.service.d/x.conf"},
		Settings: []unit.Setting{{Section: "Service", Key: "ExecStart", Value: "/bin/a", Pos: pos}, {Section: "Unit", Key: "Description"}},
		Deps:     []unit.Dep{{Rel: unit.After, Unit: "c.service", Origin: unit.OriginUdev, Pos: pos}, {Rel: unit.RequiresMountsFor, Path: "/var"}},
		Diags:    []unit.Diagnostic{{Severity: unit.Error, Pos: pos, Key: "Unit.X", Text: "bad"}}}
}

// sampleEffects has each effect that has a stored form, every field set.
func sampleEffects() []unit.Effect {
	p, q := unit.Proc{PID: 7, Start: 8}, unit.Proc{PID: 9, Start: 10}
	l := unit.ListenSpec{}
	fill(reflect.ValueOf(&l).Elem())
	s := unit.Spawn{}
	fill(reflect.ValueOf(&s).Elem())
	return []unit.Effect{s, unit.Kill{Proc: p, Signal: 15, Except: []unit.Proc{q, p}, Cont: true}, unit.Kill{Signal: 9}, unit.Attach{Proc: p},
		unit.ReadPIDFile{Path: "/run/a"}, unit.FindMain{PID: 3}, unit.Realize{}, unit.RemoveCgroup{},
		unit.Dirs{Remove: true, Dirs: []unit.Dir{{Path: "/run/a", Mode: 0o755, User: "u", Group: "g"}}},
		unit.Listen{Sockets: []unit.ListenSpec{l}}, unit.StoreFD{From: "a", To: "b"}, unit.DropFD{Keys: []string{"a", "b"}, Unlink: []string{"/x"}},
		sys.Check{Conditions: []unit.Condition{{Type: "PathExists", Param: "/a", Trigger: true, Negate: true, Assert: true}}}}
}

// fill sets every field to something that is not zero, so that a field that a codec forgets
// shows as soon as it is added.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
		fill(v.Index(1))
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(42)
	case reflect.Uint8, reflect.Uint32:
		v.SetUint(43)
	default:
		panic(v.Kind())
	}
}

func TestSpecRoundTrip(t *testing.T) {
	want := sampleSpec()
	got, err := decodeSpec(encodeSpec(want))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func encodedEffect(em unit.Emitted) []byte {
	var e record.Encoder
	m := e.Begin(4)
	encodeEffect(&e, em)
	e.End(m)
	return e.Clone()
}

func TestEffectRoundTrip(t *testing.T) {
	for i, f := range sampleEffects() {
		want := unit.Emitted{Seq: uint64(i + 1), Effect: f}
		field, _, err := record.First(encodedEffect(want))
		require.NoError(t, err)
		got, err := decodeEffect(field)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func sampleEntry(t testing.TB) (*Engine, *entry) {
	e, _ := loaded(t, "a.service:", states{"a.service": unit.Active})
	x := e.lookup("a.service")
	for i, f := range sampleEffects() {
		x.pending = append(x.pending, unit.Emitted{Seq: uint64(i + 1), Effect: f})
	}
	x.seq, x.invocation, x.cgroup = 99, [16]byte{1, 2, 3}, "system.slice/a.service"
	x.timers = []timer{{id: "state", at: time.Second}, {id: "watchdog", at: time.Minute}}
	x.changes = sampleChanges()
	x.starts, x.limited, x.condition, x.assert = []time.Duration{5, 6}, true, false, false
	x.job = &job{id: 4, x: x, typ: unit.JobRestart, running: true, irreversible: true, ignoreOrder: true, began: 1, deadline: 2, checking: true}
	for i, s := range x.times.all() {
		*s = unit.Stamp{Real: time.Duration(i + 1), Mono: time.Duration(i + 2), Boot: time.Duration(i + 3)}
	}
	return e, x
}

func encodedUnit(e *Engine, x *entry) []byte {
	var enc record.Encoder
	e.takeSnapshot(x)
	e.encodeUnit(&enc, x)
	return enc.Clone()
}

func TestUnitRoundTrip(t *testing.T) {
	e, x := sampleEntry(t)
	data := encodedUnit(e, x)
	var newer record.Encoder // of a version to come
	newer.Raw(data)
	newer.String(200, "a field of tomorrow")
	y := &entry{name: x.name}
	s, err := decodeUnit(newer.Clone(), y, nil)
	require.NoError(t, err)
	require.True(t, s.hasUnit)
	y.job.x, y.u, y.typ, y.load = x, x.u, x.typ, x.load
	for _, f := range []struct{ got, want any }{{y.pending, x.pending}, {y.timers, x.timers}, {y.starts, x.starts}, {y.times, x.times},
		{*y.job, *x.job}, {y.invocation, x.invocation}, {y.cgroup, x.cgroup}, {y.seq, x.seq}, {y.limited, true}, {y.condition, false}, {y.assert, false}} {
		require.Equal(t, f.want, f.got)
	}
	require.Equal(t, newer.Clone(), encodedUnit(e, y), "unknown fields are kept")
	y.u, y.saved = nil, s
	y.state = orphanState
	require.True(t, bytes.Contains(encodedUnit(e, y), []byte("tomorrow")))
}

func TestMetaRoundTrip(t *testing.T) {
	e, _ := loaded(t, "a.service:", nil)
	e.nextJob, e.invocation, e.started, e.booted, e.exitCode = 7, 8, true, true, 9
	e.shutdown = &sys.Shutdown{Verb: "exit", Code: 3}
	e.later = []jobLater{{unit: "a.service", typ: unit.JobStart, mode: unit.ModeFail, why: "why", by: Cause{Kind: CauseUnit, Unit: "b.service", Rel: unit.OnFailure, Change: 3}}}
	e.parked = []jobLater{{unit: "b.service", typ: unit.JobStop, mode: unit.ModeReplace, why: "not"}}
	var enc record.Encoder
	e.encodeMeta(&enc)
	enc.Uint(99, 1)
	f := &Engine{}
	require.NoError(t, f.decodeMeta(enc.Clone()))
	require.Equal(t, append(e.parked, e.later...), f.later)
	require.Equal(t, e.shutdown, f.shutdown)
	var again record.Encoder
	f.encodeMeta(&again)
	require.Equal(t, enc.Clone(), again.Clone())
}

// Whatever is decoded is decoded again from its own encoding: no panic, no loss.

func FuzzSpec(f *testing.F) {
	f.Add(encodeSpec(sampleSpec()))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decodeSpec(data)
		if err != nil {
			return
		}
		once := encodeSpec(s)
		again, err := decodeSpec(once)
		require.NoError(t, err)
		require.Equal(t, once, encodeSpec(again))
	})
}

func FuzzUnit(f *testing.F) {
	e, x := sampleEntry(f)
	f.Add(encodedUnit(e, x))
	f.Fuzz(func(t *testing.T, data []byte) {
		y := &entry{name: "a.service"}
		s, err := decodeUnit(data, y, nil)
		if err != nil {
			return
		}
		y.saved = s
		once := encodedUnit(e, y)
		z := &entry{name: "a.service"}
		z.saved, err = decodeUnit(once, z, nil)
		require.NoError(t, err)
		require.Equal(t, once, encodedUnit(e, z))
	})
}

func FuzzEffect(f *testing.F) {
	for i, s := range sampleEffects() {
		f.Add(encodedEffect(unit.Emitted{Seq: uint64(i), Effect: s}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		field, _, err := record.First(data)
		if err != nil {
			return
		}
		em, err := decodeEffect(field)
		if err != nil {
			return
		}
		once := encodedEffect(em)
		field, _, err = record.First(once)
		require.NoError(t, err)
		again, err := decodeEffect(field)
		require.NoError(t, err)
		require.Equal(t, once, encodedEffect(again))
	})
}

func FuzzMeta(f *testing.F) {
	var enc record.Encoder
	(&Engine{later: []jobLater{{unit: "a.service", typ: unit.JobStart, mode: unit.ModeFail, why: "why", by: Cause{Kind: CauseUnit, Unit: "b.service", Rel: unit.OnFailure, Change: 3}}}, shutdown: &sys.Shutdown{Verb: "halt"}}).encodeMeta(&enc)
	f.Add(enc.Clone())
	f.Fuzz(func(_ *testing.T, data []byte) { _ = (&Engine{}).decodeMeta(data) })
}
