package core

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

// program is one of a certain age: the versions of unit records that it writes.
type program struct{ oldest, newest uint32 }

func (p program) start(t *testing.T, store state.Store, hold bool) (*Engine, *bench, error) {
	t.Helper()
	b := &bench{now: 1, load: loader(parse(t, "a.service:\nb.service:"))}
	e, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: store, Types: toyTypes(), Observe: b.observe, Hold: hold,
		formats: func(list []format) []format {
			for i := range list {
				if list[i].name == "unit" {
					list[i].oldest, list[i].newest = p.oldest, p.newest
				}
			}
			return list
		}})
	return e, b, err
}

// versionsOf are the versions of the stored records of units.
func versionsOf(t *testing.T, store state.Store) (list []uint32) {
	for _, r := range loadAll(t, store) {
		if r.Segment == state.Units {
			list = append(list, r.Version)
		}
	}
	return list
}

// TestProbationKeepsTheFormat: a program with a newer version, that is not there yet, writes the old one until it
// need not make room any more for the program before, which goes on with all that was written.
func TestProbationKeepsTheFormat(t *testing.T) {
	old, young := program{1, 1}, program{1, 2}
	store := new(statetest.Mem)
	start := func(e *Engine, b *bench, n unit.Name) {
		r := ask(e, b, OpJob{Unit: n, Type: unit.JobStart, Mode: unit.ModeReplace})
		settleToy(t, e, b)
		require.NoError(t, r.Err)
		require.Equal(t, unit.Active, e.lookup(n).state.Active)
	}
	e, b, err := old.start(t, store, true)
	require.NoError(t, err)
	start(e, b, "a.service")

	e, b, err = young.start(t, store.Reopen(), true)
	require.NoError(t, err)
	start(e, b, "b.service")
	require.Equal(t, []uint32{1, 1}, versionsOf(t, e.cfg.Store))

	// It dies too often: the one before goes on.
	back, _, err := old.start(t, e.cfg.Store.(*statetest.Mem).Clone(), true)
	require.NoError(t, err)
	require.Equal(t, unit.Active, back.lookup("b.service").state.Active)

	// Or it does not.
	e.Release()
	r := ask(e, b, OpJob{Unit: "b.service", Type: unit.JobStop, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	require.NoError(t, r.Err)
	require.Equal(t, []uint32{1, 2}, versionsOf(t, e.cfg.Store))
	var refused *FormatError
	_, _, err = old.start(t, e.cfg.Store.(*statetest.Mem).Clone(), true)
	require.ErrorAs(t, err, &refused)
	require.Equal(t, FormatError{"unit", 2, 1, 1}, *refused)
	again, _, err := young.start(t, e.cfg.Store.(*statetest.Mem).Clone(), true)
	require.NoError(t, err)
	require.EqualValues(t, 2, again.formats.version("unit"), "it is its own now")

	// A program that has forgotten how to write the old version does not take over.
	_, _, err = program{2, 2}.start(t, store.Clone(), true)
	require.ErrorAs(t, err, &refused)
	_, _, err = program{2, 2}.start(t, store.Clone(), false)
	require.NoError(t, err)
	e, b, err = program{2, 2}.start(t, new(statetest.Mem), true)
	require.NoError(t, err, "there is nothing to go back to")
	start(e, b, "a.service")
	require.Equal(t, []uint32{2}, versionsOf(t, e.cfg.Store))
}

// TestFormatsOfOthers: what an older program does not know is in the store still, and the store goes on to say so.
func TestFormatsOfOthers(t *testing.T) {
	f := formats{own: []format{{"unit", 1, 3}, {"spec", 1, 1}}, stored: map[string]uint32{"kind timer": 2, "kind path": 4, "unit": 2}}
	again := formats{stored: map[string]uint32{}}
	var enc record.Encoder
	f.encode(&enc, 9)
	require.NoError(t, record.Decode(enc.Data(), again.decode))
	require.Equal(t, map[string]uint32{"kind timer": 2, "kind path": 4, "unit": 3}, again.stored)
}

// TestProbationWithRecordsOnceWritten: what cores wrote once is taken over on probation, and written as they
// can read it.
func TestProbationWithRecordsOnceWritten(t *testing.T) {
	for _, dir := range fixtures(t) {
		recs := recordsOf(t, dir)
		before := make(map[state.Segment]uint32)
		for _, r := range recs {
			before[r.Segment] = max(before[r.Segment], r.Version)
		}
		for _, p := range []program{{1, 1}, {1, 2}} {
			store := new(statetest.Mem)
			require.NoError(t, store.Commit(recs))
			b := &bench{now: 1}
			e, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: store, Types: realTypes(), Observe: b.observe, Hold: true,
				formats: func(list []format) []format {
					for i := range list {
						list[i].oldest, list[i].newest = p.oldest, max(p.newest, list[i].newest)
					}
					return list
				}})
			require.NoError(t, err, dir)
			for _, x := range e.list {
				x.specDirty = true
				e.touch(x)
			}
			e.metaDirty = true
			_, err = e.Step()
			require.NoError(t, err)
			after := loadAll(t, store)
			require.GreaterOrEqual(t, len(after), len(recs))
			for _, r := range after {
				require.LessOrEqual(t, r.Version, before[r.Segment], "%s: %v %s", dir, r.Segment, r.Key)
			}
		}
		_, err := New(Config{World: sys.World{Clock: &bench{}, Source: &bench{}, Actor: &bench{}, Prober: &bench{}, Pulse: &bench{}}, Store: memOf(t, recs), Types: realTypes(), Observe: func(Event) {}, Hold: true,
			formats: func(list []format) []format { list[0].oldest, list[0].newest = 3, 3; return list }})
		require.True(t, errors.As(err, new(*FormatError)), "%s: %v", dir, err)
	}
}

func memOf(t *testing.T, recs []state.Record) *statetest.Mem {
	store := new(statetest.Mem)
	require.NoError(t, store.Commit(recs))
	return store
}
