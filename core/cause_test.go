package core

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

func sampleChanges() []Change {
	caller := &Caller{UID: 1000, PID: 4711, Comm: "systemctl"}
	return []Change{
		{N: 3, Kind: ChangeJob, Type: unit.JobRestart, Mode: unit.ModeFail, Result: unit.JobFailed, State: unit.Failed, Idle: true, Starts: 2, Job: 4,
			Real: time.Hour, Mono: time.Minute, Ended: time.Second, Detail: "why", By: Cause{Kind: CauseClient, Text: "words", Caller: caller}},
		{N: 4, Kind: ChangeKill, Status: 9, Ended: 1, By: Cause{Kind: CauseUnit, Rel: unit.OnFailure, Unit: "b.service", Change: 7}},
		{N: 5, Kind: ChangeState, State: unit.Active, By: Cause{Kind: CauseExit, Code: unit.ExitDumped, PID: 5, Status: 11, Text: "main"}},
		{N: 6, Kind: ChangeJob, By: Cause{Kind: CauseIsolate, Unit: "c.target"}},
	}
}

func TestChangesRoundTrip(t *testing.T) {
	var enc record.Encoder
	x := &entry{name: "a.service", changes: sampleChanges()}
	encodeChanges(&enc, x)
	for _, share := range []*shared{nil, newShared()} {
		y := new(entry)
		_, err := decodeUnit(enc.Clone(), y, share)
		require.NoError(t, err)
		require.Equal(t, x.changes, y.changes)
		require.Empty(t, y.unknown)
	}
	for i := range x.changes { // every kind has words
		require.NotEmpty(t, x.changes[i].did())
		require.NotEmpty(t, x.changes[i].By.words())
	}
}

// TestChangesAreShared: what equal strings and callers weigh in memory does not grow with a crash.
func TestChangesAreShared(t *testing.T) {
	var enc record.Encoder
	encodeChanges(&enc, &entry{changes: sampleChanges()})
	share := newShared()
	x, y := new(entry), new(entry)
	for _, z := range []*entry{x, y} {
		_, err := decodeUnit(enc.Clone(), z, share)
		require.NoError(t, err)
		require.Equal(t, len(z.changes), cap(z.changes))
	}
	require.Same(t, x.changes[0].By.Caller, y.changes[0].By.Caller)
}

func TestEveryCauseHasWords(t *testing.T) {
	for k := CauseClient; k <= CauseActivity; k++ {
		for r := unit.Relation(0); r < unit.NumRelations; r++ {
			c := Cause{Kind: k, Rel: r, Unit: "a.service", Text: "text", Caller: &Caller{PID: 1}}
			require.NotEmpty(t, c.words(), k)
			require.False(t, strings.HasPrefix(k.String(), "cause-"), "%d has no name", k)
		}
	}
	require.Equal(t, "cause-99", CauseKind(99).String())
	require.Equal(t, "change-99", ChangeKind(99).String())
}

// TestChangesAreBounded: however much happens to a unit, it keeps the last changes, and who wanted it.
func TestChangesAreBounded(t *testing.T) {
	e, b := loaded(t, "a.service:\nb.service: Wants=a.service", nil)
	ask(e, b, OpJob{Unit: "b.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	x := e.lookup("a.service")
	for range 100 {
		e.note(x, Change{Kind: ChangeState, Ended: 1, By: Cause{Kind: CauseExit}})
		e.note(x, Change{Kind: ChangeJob, Type: unit.JobRestart, Result: unit.JobDone, Ended: 1, By: Cause{Kind: CauseRestart}})
	}
	require.Len(t, x.changes, maxChanges)
	require.Equal(t, unit.Name("b.service"), x.changes[0].By.Unit, "the pinned one")
	require.Equal(t, uint32(201), x.last())
	for range 100 {
		ask(e, b, OpKill{Unit: "a.service", Signal: 10})
		ask(e, b, OpJob{Unit: "a.service", Type: unit.JobStart, Mode: unit.ModeReplace})
		settleToy(t, e, b)
	}
	require.LessOrEqual(t, len(x.changes), maxChanges)
	idle := 0
	for _, c := range x.changes {
		if c.Idle {
			idle++
		}
	}
	require.Equal(t, 1, idle, "a start of what is up is remembered once")
}

// TestChainsEnd: causes that point at each other do not make the reader run in a circle.
func TestChainsEnd(t *testing.T) {
	e, _ := loaded(t, "a.service:\nb.service:", nil)
	a, b := e.lookup("a.service"), e.lookup("b.service")
	e.note(a, Change{Kind: ChangeJob, By: Cause{Kind: CauseUnit, Unit: "b.service", Change: 1}})
	e.note(b, Change{Kind: ChangeJob, By: Cause{Kind: CauseUnit, Unit: "a.service", Change: 1}})
	e.commit()
	e.publishView()
	require.Len(t, e.View().Why("a.service"), 2)
	require.Nil(t, e.View().Why("nothere.service"))
}

// TestWeightOfChanges: what the record weighs after a boot, per unit.
func TestWeightOfChanges(t *testing.T) {
	specs := server(1000)
	w := &bench{load: byName(specs)}
	store := new(statetest.Mem)
	e := newToyEngine(t, w, store, "multi-user.target")
	settleToy(t, e, w)
	size, stored := 0, 0
	for _, x := range e.list {
		size += int(reflect.TypeFor[[]Change]().Size()) + cap(x.changes)*int(reflect.TypeFor[Change]().Size())
		var enc record.Encoder
		encodeChanges(&enc, x)
		stored += enc.Len()
	}
	t.Logf("%d bytes a unit in memory, %d in the store", size/len(e.list), stored/len(e.list))
	require.LessOrEqual(t, size/len(e.list), 200)
	require.LessOrEqual(t, stored/len(e.list), 100)
}

func BenchmarkChangeNoted(b *testing.B) {
	e, _ := loaded(b, "a.service:", nil)
	x := e.lookup("a.service")
	b.ReportAllocs()
	for b.Loop() {
		e.note(x, Change{Kind: ChangeState, By: Cause{Kind: CauseExit}})
	}
}
