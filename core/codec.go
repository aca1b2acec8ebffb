package core

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Versions of the engine's own records.
const (
	unitVersion = 1
	metaVersion = 1
)

const metaKey = "engine"

// usualRecord is the size of most units' records.
const usualRecord = 448

// encodeDirty turns everything that changed into e.records. All data share one buffer.
func (e *Engine) encodeDirty() {
	e.enc.Reset()
	e.enc.Grow(len(e.dirty) * usualRecord)
	e.records = slices.Grow(e.records[:0], len(e.dirty))
	marks := e.marks[:0]
	for _, n := range e.gone {
		for _, s := range [...]state.Segment{state.Specs, state.Units} {
			e.records = append(e.records, state.Record{Segment: s, Key: string(n)})
			marks = append(marks, -1)
		}
	}
	for i := 0; i < len(e.dirty); i++ { // a snapshot that fails may make more dirty
		x := e.dirty[i]
		e.further()
		if x.gone || !x.loaded {
			continue
		}
		e.takeSnapshot(x)
		if x.specDirty {
			e.records = append(e.records, state.Record{Segment: state.Specs, Key: string(x.name), Version: e.formats.version("spec"), Data: encodeSpec(x.spec)})
			marks = append(marks, -1)
		}
		if x.untouched() {
			continue
		}
		e.encodeUnit(&e.enc, x)
		e.records = append(e.records, state.Record{Segment: state.Units, Key: string(x.name), Version: e.formats.version("unit")})
		marks = append(marks, e.enc.Len())
	}
	if e.metaDirty {
		e.encodeMeta(&e.enc)
		e.records = append(e.records, state.Record{Segment: state.Meta, Key: metaKey, Version: e.formats.version("engine")})
		marks = append(marks, e.enc.Len())
	}
	if e.quarDirty {
		e.encodeQuarantine()
		marks = append(marks, -1)
	}
	marks = e.encodeRepeats(marks)
	data, from := e.enc.Data(), 0
	for i, to := range marks {
		if to >= 0 {
			e.records[i].Data = data[from:to:to]
			from = to
		}
	}
	e.marks = marks
}

// keepBuffer is the size up to which a buffer is kept for the next turn.
const keepBuffer = 256 << 10

// dropBuffers gives back what an unusually big commit needed, such as the first one after recovery.
func (e *Engine) dropBuffers() {
	if e.enc.Len() > keepBuffer {
		e.enc, e.records, e.marks = record.Encoder{}, nil, nil
	}
}

func (e *Engine) encodeMeta(enc *record.Encoder) {
	enc.Uint(1, uint64(e.nextJob))
	enc.Uint(2, e.invocation)
	enc.OptBool(3, e.started)
	enc.OptBool(4, e.booted && !e.bootPending)
	if e.shutdown != nil {
		enc.Message(5, func(enc *record.Encoder) {
			enc.String(1, e.shutdown.Verb)
			enc.Int(2, int64(e.shutdown.Code))
			enc.Raw(e.newerShutdown)
		})
	}
	enc.OptInt(6, int64(e.exitCode))
	for _, list := range [...][]jobLater{e.parked, e.later} {
		for i := range list {
			l := &list[i]
			enc.Message(7, func(enc *record.Encoder) {
				enc.String(1, string(l.unit))
				enc.Uint(2, uint64(l.typ))
				enc.Uint(3, uint64(l.mode))
				enc.String(4, l.why)
				encodeCause(enc, &l.by)
			})
		}
	}
	enc.OptString(8, cmp.Or(e.cfg.BootID, e.bootID))
	e.formats.encode(enc, 9)
	enc.Raw(e.unknown)
}

func (e *Engine) decodeMeta(data []byte) error {
	return record.Decode(data, func(f record.Field) error {
		switch f.Tag {
		case 1:
			return record.Uint(f, &e.nextJob)
		case 2:
			return record.Uint(f, &e.invocation)
		case 3:
			return record.Bool(f, &e.started)
		case 4:
			return record.Bool(f, &e.booted)
		case 5:
			e.shutdown = new(sys.Shutdown)
			return f.Message(func(f record.Field) error {
				switch f.Tag {
				case 1:
					return record.String(f, &e.shutdown.Verb)
				case 2:
					return record.Int(f, &e.shutdown.Code)
				}
				e.newerShutdown.Keep(f)
				return nil
			})
		case 6:
			return record.Int(f, &e.exitCode)
		case 7:
			var l jobLater
			err := f.Message(func(f record.Field) error {
				switch f.Tag {
				case 1:
					return record.String(f, &l.unit)
				case 2:
					return record.Uint(f, &l.typ)
				case 3:
					return record.Uint(f, &l.mode)
				case 4:
					return record.String(f, &l.why)
				}
				_, err := decodeCause(f, &l.by, nil)
				return err
			})
			e.later = append(e.later, l)
			return err
		case 8:
			return record.String(f, &e.bootID)
		case 9:
			return e.formats.decode(f)
		}
		e.unknown.Keep(f)
		return nil
	})
}

// encodeUnit writes x's record; its snapshot is in e.snapshot.
func (e *Engine) encodeUnit(enc *record.Encoder, x *entry) {
	switch {
	case x.u != nil:
		enc.Uint(1, uint64(x.typ.Version))
		enc.Bytes(2, e.snapshot)
	case x.saved.hasUnit:
		enc.Uint(1, uint64(x.saved.version))
		enc.Bytes(2, x.saved.snapshot)
	}
	enc.OptUint(3, x.seq)
	for _, em := range x.pending {
		if raw := x.asRead[em.Seq]; raw != nil {
			enc.Raw(raw)
			continue
		}
		encodePending(enc, em)
	}
	for _, t := range x.timers {
		m := enc.Begin(5)
		enc.String(1, t.id)
		enc.Int(2, int64(t.at))
		enc.Raw(t.unknown)
		enc.End(m)
	}
	if j := x.job; j != nil {
		m := enc.Begin(6)
		enc.Uint(1, uint64(j.id))
		enc.Uint(2, uint64(j.typ))
		enc.OptBool(3, j.running)
		enc.OptBool(4, j.irreversible)
		enc.OptBool(5, j.ignoreOrder)
		enc.OptInt(6, int64(j.began))
		enc.OptInt(7, int64(j.deadline))
		enc.OptBool(8, j.checking)
		enc.Raw(j.unknown)
		enc.End(m)
	}
	if x.invocation != [16]byte{} {
		enc.Bytes(7, x.invocation[:])
	}
	m := enc.Begin(8)
	for i, t := range x.times.all() {
		if t.Real != 0 || t.Mono != 0 {
			tm := enc.Begin(uint32(i + 1))
			enc.OptInt(1, int64(t.Real))
			enc.OptInt(2, int64(t.Mono))
			enc.OptInt(3, int64(t.Boot))
			enc.End(tm)
		}
	}
	enc.Raw(x.newerTimes)
	enc.End(m)
	for _, t := range x.starts {
		enc.Int(9, int64(t))
	}
	enc.OptBool(10, x.limited)
	enc.OptBool(11, !x.condition)
	enc.OptBool(12, !x.assert)
	enc.OptString(13, x.cgroup)
	if x.u == nil && x.state.Active != unit.Inactive {
		m := enc.Begin(14)
		enc.Uint(1, uint64(x.state.Active))
		enc.String(2, x.state.Sub)
		enc.String(3, x.state.Result)
		enc.End(m)
	}
	enc.OptString(15, string(x.load))
	enc.OptString(16, x.reason)
	encodeChanges(enc, x)
	encodeEnded(enc, x)
	enc.Raw(x.unknown)
}

// all lists the stamps; the places are their tags in the store: append only.
func (t *Times) all() [7]*unit.Stamp {
	return [...]*unit.Stamp{&t.StateChange, &t.InactiveExit, &t.ActiveEnter, &t.ActiveExit, &t.InactiveEnter, &t.Condition, &t.Assert}
}

// stored is a unit's record while it is read back.
type stored struct {
	version  uint32
	snapshot []byte
	hasUnit  bool
}

func decodeUnit(data []byte, x *entry, share *shared) (s stored, err error) {
	x.condition, x.assert, x.changes = true, true, nil
	err = record.Decode(data, func(f record.Field) error {
		switch f.Tag {
		case 1:
			s.hasUnit = true
			return record.Uint(f, &s.version)
		case 2:
			return record.Bytes(f, &s.snapshot)
		case 3:
			return record.Uint(f, &x.seq)
		case 4:
			return decodePending(f, x)
		case 5:
			return decodeTimer(f, x)
		case 6:
			return decodeJob(f, x)
		case 7:
			b, err := f.Bytes()
			copy(x.invocation[:], b)
			return err
		case 8:
			return decodeTimes(f, x)
		case 9:
			var t time.Duration
			err := record.Int(f, &t)
			x.starts = append(x.starts, t)
			return err
		case 10:
			return record.Bool(f, &x.limited)
		case 11:
			return decodeNot(f, &x.condition)
		case 12:
			return decodeNot(f, &x.assert)
		case 13:
			return record.String(f, &x.cgroup)
		case 14:
			return f.Message(func(f record.Field) error {
				switch f.Tag {
				case 1:
					return record.Uint(f, &x.state.Active)
				case 2:
					return record.String(f, &x.state.Sub)
				case 3:
					return record.String(f, &x.state.Result)
				}
				return nil
			})
		case 15:
			return record.String(f, &x.load)
		case 16:
			return record.String(f, &x.reason)
		case tagChanges:
			c, err := decodeChange(f, share)
			x.changes = append(x.changes, c)
			return err
		case tagEnded:
			p, err := decodeProc(f)
			x.ended.procs = append(x.ended.procs, p)
			return err
		}
		x.unknown.Keep(f)
		return nil
	})
	x.changes = slices.Clone(x.changes[max(0, len(x.changes)-maxChanges):])
	return s, err
}

// encodePending writes one unanswered effect of a unit.
func encodePending(enc *record.Encoder, em unit.Emitted) {
	m := enc.Begin(4)
	encodeEffect(enc, em)
	enc.End(m)
}

// decodePending reads what encodePending wrote. An effect does not change, so that one of which a newer
// version wrote more than this one reads is kept as it was read.
func decodePending(f record.Field, x *entry) error {
	em, err := decodeEffect(f)
	if err != nil {
		return err
	}
	x.pending = append(x.pending, em)
	var raw record.Unknown
	raw.Keep(f)
	var known record.Encoder
	encodePending(&known, em)
	if !bytes.Equal(raw, known.Data()) {
		if x.asRead == nil {
			x.asRead = make(map[uint64]record.Unknown)
		}
		x.asRead[em.Seq] = raw
	}
	return nil
}

func decodeNot(f record.Field, dst *bool) error {
	var b bool
	err := record.Bool(f, &b)
	*dst = !b
	return err
}

func decodeTimer(f record.Field, x *entry) error {
	var t timer
	err := f.Message(func(f record.Field) error {
		switch f.Tag {
		case 1:
			return record.String(f, &t.id)
		case 2:
			return record.Int(f, &t.at)
		}
		t.unknown.Keep(f)
		return nil
	})
	x.timers = append(x.timers, t)
	return err
}

func decodeJob(f record.Field, x *entry) error {
	j := &job{x: x}
	x.job = j
	err := f.Message(func(f record.Field) error {
		switch f.Tag {
		case 1:
			return record.Uint(f, &j.id)
		case 2:
			return record.Uint(f, &j.typ)
		case 3:
			return record.Bool(f, &j.running)
		case 4:
			return record.Bool(f, &j.irreversible)
		case 5:
			return record.Bool(f, &j.ignoreOrder)
		case 6:
			return record.Int(f, &j.began)
		case 7:
			return record.Int(f, &j.deadline)
		case 8:
			return record.Bool(f, &j.checking)
		}
		j.unknown.Keep(f)
		return nil
	})
	if err == nil && (j.id == 0 || j.typ < unit.JobStart || j.typ > unit.JobRestart) {
		return fmt.Errorf("cannot read job %d of type %d", j.id, j.typ)
	}
	return err
}

func decodeTimes(f record.Field, x *entry) error {
	all := x.times.all()
	return f.Message(func(f record.Field) error {
		if int(f.Tag) > len(all) {
			x.newerTimes.Keep(f)
			return nil
		}
		s := all[f.Tag-1]
		return f.Message(func(f record.Field) error {
			switch f.Tag {
			case 1:
				return record.Int(f, &s.Real)
			case 2:
				return record.Int(f, &s.Mono)
			case 3:
				return record.Int(f, &s.Boot)
			}
			return nil
		})
	})
}
