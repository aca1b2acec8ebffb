package state_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/state/statetest"
)

func has(rep state.Report, d state.Damage) bool {
	return slices.ContainsFunc(rep.Problems, func(p state.Problem) bool { return p.Damage == d })
}

// TestEveryFlippedByte: whatever byte of a log changes, at most the one commit that it lies in is lost, it is reported,
// and the file goes on being used.
func TestEveryFlippedByte(t *testing.T) {
	fs := &statetest.FS{}
	l, _ := open(t, small(fs))
	states := []model{{}}
	work := scenario(3, 8)
	for _, recs := range work {
		commit(t, l, recs...)
		states = append(states, states[len(states)-1].apply(recs))
	}
	full := states[len(states)-1]
	size := len(fs.Content("log.1"))
	for off := range size {
		for _, bit := range []uint{0, 7} {
			bad := fs.Restart()
			bad.Flip("log.1", int64(off), bit)
			l, rep := open(t, small(bad))
			got, _ := load(t, l)
			if off < 128 { // one of the two headers
				want(t, fmt.Sprint("header byte ", off), got, full)
				continue
			}
			ok := false
			for skip := range work { // all but one
				m := model{}
				for i, recs := range work {
					if i != skip {
						m = m.apply(recs)
					}
				}
				ok = ok || maps.Equal(got, m)
			}
			if !ok || rep.Clean() || rep.Commits != uint64(len(work)-1) {
				t.Fatalf("byte %d: %d commits, %v\ngot %s", off, rep.Commits, rep.Problems, got)
			}
		}
	}
}

func TestDamageInTheMiddle(t *testing.T) {
	fs := &statetest.FS{}
	l, _ := open(t, small(fs))
	var ends []int
	for i := range 5 {
		commit(t, l, unit(fmt.Sprint("u", i), "first"), unit("all", fmt.Sprint(i)))
		ends = append(ends, len(fs.Content("log.1")))
	}
	data := fs.Content("log.1")
	for i := ends[1]; i < ends[2]; i++ { // a whole commit, header and all
		data[i] = 0xA5
	}
	fs = fs.Restart()
	fs.Put("log.1", data)
	l, rep := open(t, small(fs))
	got, _ := load(t, l)
	if rep.Lost != 1 || !has(rep, state.BadFrame) || !has(rep, state.LostCommits) || rep.Dropped != int64(ends[2]-ends[1]) {
		t.Errorf("report = %+v", rep)
	}
	if len(got) != 5 || got[state.Key{Name: "all"}] != "3:4" {
		t.Errorf("got %s; want all but u2", got)
	}
}

// TestForgedFrame: bytes in a record that look like a frame of this file are not found by the search after damage, as their
// author does not know the salt.
func TestForgedFrame(t *testing.T) {
	forger := &statetest.FS{}
	cfg := small(forger)
	cfg.Salt = 1
	l, _ := open(t, cfg)
	commit(t, l, unit("x", "x"))
	commit(t, l, unit("evil", "evil"))
	forged := forger.Content("log.1")[128:]

	fs := &statetest.FS{}
	l, _ = open(t, small(fs))
	commit(t, l, unit("user", string(forged)))
	fs = fs.Restart()
	fs.Flip("log.1", 128, 3)
	l, rep := open(t, small(fs))
	got, _ := load(t, l)
	if len(got) != 0 || !has(rep, state.BadFrame) {
		t.Errorf("got %s, %v", got, rep.Problems)
	}
}

func TestDamagedSnapshotAndMissingLog(t *testing.T) {
	fs := &statetest.FS{}
	cfg := small(fs)
	l, _ := open(t, cfg)
	m := model{}
	for i := range 40 {
		recs := []state.Record{unit(fmt.Sprint("u", i), strings.Repeat("x", 100))}
		commit(t, l, recs...)
		m = m.apply(recs)
	}
	maintain(t, l)
	commit(t, l, unit("late", "late"))
	if fs.Content("units.2") == nil {
		t.Fatalf("no snapshot: %v", fs)
	}

	bad := fs.Restart()
	bad.Cut("units.2", int64(len(bad.Content("units.2"))-5))
	l, rep := open(t, small(bad))
	if got, _ := load(t, l); !has(rep, state.TornTail) || !has(rep, state.Unfinished) || rep.Whole() || got[state.Key{Name: "late"}] == "" {
		t.Errorf("cut snapshot: %v, %s", rep.Problems, got)
	}

	bad = fs.Restart()
	for off := int64(0); off < 128; off += 64 {
		bad.Flip("units.2", off+20, 1)
	}
	if _, rep = open(t, small(bad)); !has(rep, state.BadHeader) {
		t.Errorf("bad header: %v", rep.Problems)
	}

	bad = fs.Restart()
	if err := bad.Remove("log.2"); err != nil {
		t.Fatal(err)
	}
	if _, rep = open(t, small(bad)); !has(rep, state.MissingFile) {
		t.Errorf("log removed: %v", rep.Problems)
	}
}

// TestDamageWhileOpen: a record that changed on disk is not copied with a new checksum but given up, and said so.
func TestDamageWhileOpen(t *testing.T) {
	fs := &statetest.FS{}
	l, _ := open(t, small(fs))
	commit(t, l, unit("good", "g"), unit("bad", strings.Repeat("b", 100)))
	data := fs.Content("log.1")
	fs.Flip("log.1", int64(bytes.Index(data, []byte("bbbb"))+10), 0)
	if got, rep := load(t, l); len(got) != 1 || !has(rep, state.BadChecksum) {
		t.Errorf("Load = %s, %v", got, rep.Problems)
	}
	for i := range 40 {
		commit(t, l, unit("other", strings.Repeat("x", 50+i)))
	}
	maintain(t, l)
	if lost := l.TakeLost(); len(lost) != 1 || lost[0].Name != "bad" {
		t.Errorf("TakeLost = %v", lost)
	}
	commit(t, l, unit("bad", "again"))
	got, _ := load(t, l)
	want(t, "after", got, model{{Name: "good"}: "3:g", {Name: "bad"}: "3:again", {Name: "other"}: "3:" + strings.Repeat("x", 89)})
}

// newer makes a file of a format that does not exist yet.
func newer(data []byte) []byte {
	data = slices.Clone(data)
	for off := 0; off < 128; off += 64 {
		h := data[off : off+64]
		binary.LittleEndian.PutUint32(h[8:], state.Format+1)
		binary.LittleEndian.PutUint32(h[60:], crc32.Checksum(h[:60], crc32.MakeTable(crc32.Castagnoli)))
	}
	return data
}

func TestNewerFormatIsRefused(t *testing.T) {
	fs := &statetest.FS{}
	l, _ := open(t, small(fs))
	for range 60 {
		commit(t, l, unit("a", strings.Repeat("x", 60)))
	}
	maintain(t, l)
	for _, name := range fs.Names() {
		next := fs.Restart()
		next.Put(name, newer(next.Content(name)))
		next.Put("units.9.tmp", []byte("unfinished"))
		before := fmt.Sprint(next)
		_, _, err := state.Open(small(next))
		var ve *state.VersionError
		if !errors.As(err, &ve) || ve.File != name || ve.Have != state.Format+1 || ve.Max != state.Format {
			t.Errorf("%s: Open = %v; want a VersionError", name, err)
		}
		if after := fmt.Sprint(next); after != before {
			t.Errorf("%s: files changed from %s to %s", name, before, after)
		}
		if _, _, err = state.Open(small(next)); !errors.As(err, &ve) {
			t.Errorf("%s: second Open = %v; want the same", name, err)
		}
	}
}

// frameOf builds a commit as a later program of the same format might.
func frameOf(seq uint64, salt uint64, content []byte) []byte {
	tab := crc32.MakeTable(crc32.Castagnoli)
	var s [8]byte
	binary.LittleEndian.PutUint64(s[:], salt)
	seed := crc32.Checksum(s[:], tab)
	b := make([]byte, 24, 24+len(content))
	le := binary.LittleEndian
	le.PutUint16(b, 0xC7A5)
	b[2], b[3] = 1, 1
	le.PutUint32(b[4:], uint32(len(content)))
	le.PutUint64(b[8:], seq)
	le.PutUint32(b[16:], crc32.Update(seed, tab, content))
	le.PutUint32(b[20:], crc32.Update(seed, tab, b[:20]))
	return append(b, content...)
}

func TestUnknownFieldsSurviveCompaction(t *testing.T) {
	fs := &statetest.FS{}
	l, _ := open(t, small(fs))
	commit(t, l, unit("a", "1"))
	var e record.Encoder
	e.String(9, "a field of the commit")
	e.Message(1, func(e *record.Encoder) {
		e.Uint(1, 0)
		e.String(2, "new")
		e.Bytes(4, []byte("data"))
		e.String(77, "of a later program")
	})
	fs = fs.Restart()
	fs.Put("log.1", append(fs.Content("log.1"), frameOf(2, 42, e.Data())...))
	l, rep := open(t, small(fs))
	if !rep.Clean() {
		t.Fatalf("report %v", rep.Problems)
	}
	for range 60 {
		commit(t, l, unit("a", strings.Repeat("x", 60)))
	}
	maintain(t, l)
	found := false
	for _, name := range fs.Names() {
		found = found || strings.HasPrefix(name, "units.") && bytes.Contains(fs.Content(name), []byte("of a later program"))
	}
	if got, _ := load(t, l); !found || got[state.Key{Name: "new"}] != "0:data" {
		t.Errorf("the field is gone: %v %s", fs, got)
	}
}

func TestIntactNonsense(t *testing.T) {
	bad := map[string]func(e *record.Encoder){
		"no key": func(e *record.Encoder) { e.Message(1, func(e *record.Encoder) { e.Bytes(4, nil) }) },
		"segment 9": func(e *record.Encoder) {
			e.Message(1, func(e *record.Encoder) { e.Uint(1, 9); e.String(2, "k"); e.Bytes(4, nil) })
		},
		"no value": func(e *record.Encoder) { e.Message(1, func(e *record.Encoder) { e.String(2, "k") }) },
		"both": func(e *record.Encoder) {
			e.Message(1, func(e *record.Encoder) { e.String(2, "k"); e.Bytes(4, nil); e.Bool(5, true) })
		},
		"no message": func(e *record.Encoder) { e.Uint(1, 1) },
		"key too long": func(e *record.Encoder) {
			e.Message(1, func(e *record.Encoder) { e.String(2, strings.Repeat("k", 2000)); e.Bytes(4, nil) })
		},
		"half a record": func(e *record.Encoder) {
			e.Message(1, func(e *record.Encoder) { e.String(2, "k"); e.Bytes(4, nil) })
			e.Raw(record.Unknown{0x0b, 0x7f})
		},
	}
	for name, fill := range bad {
		fs := &statetest.FS{}
		l, _ := open(t, small(fs))
		commit(t, l, unit("a", "1"))
		var e record.Encoder
		fill(&e)
		fs = fs.Restart()
		fs.Put("log.1", append(fs.Content("log.1"), frameOf(2, 42, e.Data())...))
		l, rep := open(t, small(fs))
		if got, _ := load(t, l); !has(rep, state.BadRecord) || len(got) != 1 {
			t.Errorf("%s: %v, %s", name, rep.Problems, got)
		}
	}
}

// corpus is a log, a snapshot and the log that was begun with it.
func corpus(tb testing.TB) (log1, units2, log2 []byte) {
	fs := &statetest.FS{}
	l, _ := open(tb, small(fs))
	for _, recs := range scenario(4, 30) {
		commit(tb, l, recs...)
	}
	log1 = fs.Content("log.1")
	maintain(tb, l)
	commit(tb, l, unit("late", "late"))
	return log1, fs.Content("units.2"), fs.Content("log.2")
}

// survives: whatever bytes lie in the directory, the store opens, reports, and works.
func survives(t *testing.T, log1, units2, log2 []byte) {
	t.Helper()
	fs := &statetest.FS{}
	fs.Put("log.1", log1)
	fs.Put("units.2", units2)
	fs.Put("log.2", log2)
	l, _, err := state.Open(small(fs))
	var ve *state.VersionError
	if errors.As(err, &ve) {
		return
	}
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	m, _ := load(t, l)
	churn := []state.Record{unit("new", "value"), unit("churn", strings.Repeat("x", 100))}
	for range 25 {
		commit(t, l, churn...)
	}
	m = m.apply(churn)
	maintain(t, l)
	got, _ := load(t, l)
	want(t, "after compaction", got, m)
	next, _ := open(t, small(fs.Restart()))
	got, _ = load(t, next)
	want(t, "opened again", got, m)
}

func FuzzLoad(f *testing.F) {
	log1, units2, log2 := corpus(f)
	f.Add(log1, units2, log2)
	f.Add(log1[128:], units2[:len(units2)-3], []byte{})
	f.Add(bytes.Repeat([]byte{0xA5, 0xC7}, 300), log1, units2)
	f.Add(newer(log1), units2, log1)
	f.Fuzz(survives)
}

// TestRandomDamage does what the fuzzer does, a fixed number of times, with the same bytes each time.
func TestRandomDamage(t *testing.T) {
	log1, units2, log2 := corpus(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		files := [][]byte{slices.Clone(log1), slices.Clone(units2), slices.Clone(log2)}
		for range 1 + rng.IntN(6) {
			i := rng.IntN(3)
			b := files[i]
			if len(b) == 0 {
				continue
			}
			at := rng.IntN(len(b))
			n := rng.IntN(len(b) - at)
			switch rng.IntN(6) {
			case 0:
				b = b[:at]
			case 1:
				b = slices.Delete(b, at, at+n)
			case 2:
				b = slices.Insert(b, at, slices.Clone(b[at:at+n])...)
			case 3:
				b = slices.Insert(b, at, make([]byte, n)...)
			case 4:
				from := files[rng.IntN(3)]
				b = slices.Insert(b, at, slices.Clone(from[:min(n, len(from))])...)
			default:
				b[at] ^= byte(1 + rng.IntN(255))
			}
			files[i] = b
		}
		survives(t, files[0], files[1], files[2])
	}
}
