package core

import (
	"slices"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// storedUnit is what the store has of one unit, and then what was decoded of it.
type storedUnit struct {
	name    string
	spec    string // the record; empty, too, if it is lost
	hasSpec bool
	data    []byte // the record; nil: there is none, or it is lost

	x    *entry
	read decodedUnit
}

// decodedUnit comes of a storedUnit's bytes and of nothing else.
type decodedUnit struct {
	spec    *unit.Spec
	specErr error
	over    bool // the rest was tried
	load    unit.LoadState
	reason  string // with load: before the record was read
	saved   stored
	err     error // of the record
	u       unit.Unit
	unitErr error
}

// storedUnits collects the records of units.
type storedUnits struct {
	list  []storedUnit
	at    map[string]int32
	specs int
	room  arena
}

func newStoredUnits(n int) *storedUnits {
	return &storedUnits{list: make([]storedUnit, 0, n), at: make(map[string]int32, n)}
}

func (l *storedUnits) of(name string) *storedUnit {
	i, ok := l.at[name]
	if !ok {
		i = int32(len(l.list))
		l.at[name] = i
		l.list = append(l.list, storedUnit{name: name})
	}
	return &l.list[i]
}

func (l *storedUnits) addSpec(name string, data []byte) {
	s := l.of(name)
	s.spec, s.hasSpec = string(data), true
	l.specs++
}

func (l *storedUnits) addUnit(name string, data []byte) { l.of(name).data = l.room.keep(data) }

// sort brings the units into the order of their names.
func (l *storedUnits) sort() {
	l.at = nil
	slices.SortFunc(l.list, func(a, b storedUnit) int { return strings.Compare(a.name, b.name) })
}

// arena keeps copies of many small pieces that are needed for the same time.
type arena struct{ room []byte }

const arenaPiece = 256 << 10

func (a *arena) keep(b []byte) []byte {
	if a.room == nil || cap(a.room)-len(a.room) < len(b) {
		a.room = make([]byte, 0, max(arenaPiece, len(b)))
	}
	from := len(a.room)
	a.room = append(a.room, b...)
	return a.room[from:len(a.room):len(a.room)]
}

// decodePart is how many units one call of Config.Spread decodes.
const decodePart = 64

// decodeAll decodes all units of a sorted list, on several processors if it may. It may not if the core before may have died
// of one of them: then each is noted, so that it is known which.
func (e *Engine) decodeAll(list []storedUnit) {
	alone := e.cfg.Spread == nil || e.cfg.Recorder.Blame || e.rec != nil && len(e.rec.suspects) > 0
	for batch := range slices.Chunk(list, batchParts*decodePart) {
		e.cfg.World.Pulse.Further()
		if alone {
			e.decodePart(batch, e.shared, e.rec)
			continue
		}
		parts := slices.Collect(slices.Chunk(batch, decodePart))
		e.cfg.Spread(len(parts), func(i int) { e.decodePart(parts[i], newShared(), nil) })
	}
}

// batchParts is how many parts are decoded before init is told that it goes on.
const batchParts = 16

// decodePart decodes some units. It changes nothing but them; rec may be nil.
func (e *Engine) decodePart(part []storedUnit, share *shared, rec *recorder) {
	var dec specDecoder
	for i := range part {
		s := &part[i]
		if e.quar[unit.Name(s.name)] != nil {
			continue // restore does what may be done
		}
		e.decodeOne(s, &dec, share, rec)
	}
}

func (e *Engine) decodeOne(s *storedUnit, dec *specDecoder, share *shared, rec *recorder) {
	d, x := &s.read, s.x
	outer := rec.begin(note{stage: stageDecode, name: s.name})
	d.spec, d.specErr = dec.decode(s.spec)
	rec.end(outer)
	if d.specErr != nil || d.spec.Name != x.name || s.data == nil {
		return
	}
	e.setSpecOnly(x, d.spec)
	d.over, d.load, d.reason = true, x.load, x.reason
	outer = rec.begin(note{stage: stageDecode, name: s.name})
	d.saved, d.err = decodeUnit(s.data, x, share)
	rec.end(outer)
	if d.err == nil && !x.clearing() && d.saved.hasUnit && !x.keptAsStored(d.load, d.saved) {
		d.u, d.unitErr = restoreUnit(x.typ, x.spec, d.saved.version, d.saved.snapshot, rec)
	}
}

// keptAsStored: no machine can be made of what is stored, since its kind or its settings are not known now.
func (x *entry) keptAsStored(load unit.LoadState, s stored) bool {
	return x.typ == nil || load == unit.LoadError && x.spec.FragmentPath == "" && s.hasUnit
}

// specOf is s's specification. A unit whose settings cannot be read gets some that say so, until the next daemon-reload.
func (e *Engine) specOf(s *storedUnit) *unit.Spec {
	why := "its stored settings cannot be read; daemon-reload reads its files again"
	name := unit.Name(s.name)
	q, d := e.quar[name], &s.read
	if q != nil && q.stage == stageDecode {
		return &unit.Spec{Name: name, Load: unit.LoadError, LoadError: why}
	}
	if q != nil {
		outer := e.doing(stageDecode, name)
		d.spec, d.specErr = new(specDecoder).decode(s.spec)
		e.rec.end(outer)
	}
	if d.specErr == nil && d.spec.Name == name {
		return d.spec
	}
	if d.specErr != nil {
		why += ": " + d.specErr.Error()
	}
	e.say(unit.LevelErr, name, why)
	return &unit.Spec{Name: name, Load: unit.LoadError, LoadError: why}
}
