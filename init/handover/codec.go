package handover

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strconv"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/state/record"
)

// Format is the newest format, the one that is written.
const Format = 1

// Bounds of what is read.
const (
	MaxSize  = 64 << 20
	maxCount = 1 << 17 // of each list
)

const (
	magic      = "SMINITHO"
	headerSize = 20
)

// Errors of Decode.
var (
	ErrDamaged = errors.New("cannot read what init handed over: it is damaged")
	ErrBounds  = errors.New("cannot read what init handed over: it exceeds the bounds")
)

// FormatError says that the state is of another format.
type FormatError struct{ Have uint32 }

// Error says which formats meet.
func (e *FormatError) Error() string {
	return "cannot read what init handed over: its format is " + strconv.FormatUint(uint64(e.Have), 10) +
		", and this program knows " + strconv.Itoa(Format)
}

// FDError says that a descriptor is not what it should be.
type FDError struct {
	FD  FD
	Err error
}

// Error names the descriptor.
func (e *FDError) Error() string {
	return "cannot use descriptor " + strconv.Itoa(e.FD.FD) + " (" + e.FD.Key + ") that init handed over: " + e.Err.Error()
}

// Unwrap gives the system's error.
func (e *FDError) Unwrap() error { return e.Err }

// Encode gives the bytes.
func (s *State) Encode() []byte {
	var e record.Encoder
	e.Raw(make([]byte, headerSize))
	e.Encode(s.layout)
	b := e.Data()
	copy(b, magic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], Format)
	le.PutUint32(b[12:], uint32(len(b)-headerSize))
	le.PutUint32(b[16:], crc32.Checksum(b[headerSize:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// Decode reads the bytes of Encode. Strings and lists are copies.
func Decode(b []byte) (*State, error) {
	le := binary.LittleEndian
	switch {
	case len(b) > MaxSize:
		return nil, ErrBounds
	case len(b) < headerSize || string(b[:8]) != magic:
		return nil, ErrDamaged
	case le.Uint32(b[8:]) != Format:
		return nil, &FormatError{le.Uint32(b[8:])}
	case int(le.Uint32(b[12:])) != len(b)-headerSize:
		return nil, ErrDamaged
	case le.Uint32(b[16:]) != crc32.Checksum(b[headerSize:], crc32.MakeTable(crc32.Castagnoli)):
		return nil, ErrDamaged
	}
	s := &State{}
	if err := record.DecodeWalk(b[headerSize:], s.layout); err != nil {
		return nil, err
	}
	return s, nil
}

// layout tells all fields. Tags are never used twice.
func (s *State) layout(w *record.Walk) {
	record.WalkString(w, 1, &s.Version)
	record.WalkUint(w, 2, &s.Reexecs)
	record.WalkUint(w, 3, &s.Generation)
	w.Message(4, s.Core.layout)
	record.WalkUint(w, 5, &s.LastCause)
	exit(w, 6, &s.LastExit)
	list(w, 7, &s.Deaths, record.WalkInt[int64])
	record.WalkInt(w, 8, &s.Fails)
	record.WalkInt(w, 9, &s.StartAt)
	w.Message(10, s.Rescue.layout)
	list(w, 11, &s.FDs, func(w *record.Walk, tag uint32, d *FD) { w.Message(tag, d.layout) })
	list(w, 12, &s.Exits, func(w *record.Walk, tag uint32, x *Exit) { w.Message(tag, x.layout) })
	record.WalkUint(w, 13, &s.NextExit)
	list(w, 14, &s.Registered, func(w *record.Walk, tag uint32, p *Process) { w.Message(tag, p.layout) })
	record.WalkUint(w, 15, &s.Lost)
	list(w, 16, &s.Pending, func(w *record.Walk, tag uint32, p *Signal) { w.Message(tag, p.layout) })
	record.WalkUint(w, 17, &s.SignalID)
	record.WalkInt(w, 18, &s.Bursts)
	record.WalkInt(w, 19, &s.BurstAt)
	packet(w, 20, s.Intent.Verb != fdstore.VerbNone, fdstore.Message{Kind: fdstore.KindShutdown, Shutdown: s.Intent},
		func(m fdstore.Message) { s.Intent = m.Shutdown })
	record.WalkInt(w, 21, &s.Due)
	packet(w, 22, s.Outcome.Target != 0, fdstore.Message{Kind: fdstore.KindOutcome, Upgrade: s.Outcome},
		func(m fdstore.Message) { s.Outcome = m.Upgrade })
	w.Message(23, s.Running.layout)
	w.Message(24, s.Previous.layout)
	w.Message(25, s.Own.layout)
	w.Bool(26, &s.Behind)
	w.Message(27, s.Installed.layout)
	record.WalkInt(w, 28, &s.OOMScore)
	w.Unknown(&s.unknown)
}

func (c *Core) layout(w *record.Walk) {
	record.WalkInt(w, 1, &c.PID)
	w.Message(2, c.Conn.layout)
	record.WalkUint(w, 3, &c.Version)
	w.Bool(4, &c.Hello)
	w.Bool(5, &c.Turned)
	w.Bool(6, &c.Welcomed)
	w.Bool(7, &c.Complete)
	record.WalkInt(w, 8, &c.KillAt)
	record.WalkInt(w, 9, &c.Started)
	record.WalkInt(w, 10, &c.Bad)
	list(w, 11, &c.Unsent, record.WalkString[string])
	record.WalkUint(w, 12, &c.Stored)
	list(w, 13, &c.Results, record.WalkBytes)
	w.Bool(14, &c.Deaf)
	w.Bool(15, &c.Healthy)
	w.Message(16, c.Words.layout)
	w.Unknown(&c.unknown)
}

func (d *FD) layout(w *record.Walk) {
	record.WalkString(w, 1, &d.Key)
	record.WalkInt(w, 2, &d.FD)
	record.WalkUint(w, 3, &d.Dev)
	record.WalkUint(w, 4, &d.Ino)
	record.WalkUint(w, 5, &d.Kind)
}

func (b *Binary) layout(w *record.Walk) {
	w.Message(1, b.File.layout)
	record.WalkString(w, 2, &b.Path)
	record.WalkString(w, 3, &b.Version)
	record.WalkInt(w, 4, &b.Deadline)
}

func (r *Rescue) layout(w *record.Walk) {
	record.WalkUint(w, 1, &r.Stage)
	record.WalkInt(w, 2, &r.PID)
	record.WalkInt(w, 3, &r.Next)
	record.WalkInt(w, 4, &r.Started)
}

func (x *Exit) layout(w *record.Walk) {
	exit(w, 1, &x.Exit)
	w.Bool(2, &x.Wanted)
	w.Bool(3, &x.Sent)
	w.Bool(4, &x.Sure)
}

func (p *Process) layout(w *record.Walk) {
	record.WalkInt(w, 1, &p.PID)
	record.WalkUint(w, 2, &p.Start)
}

func (p *Signal) layout(w *record.Walk) {
	record.WalkInt(w, 1, &p.Number)
	record.WalkUint(w, 2, &p.ID)
	w.Bool(3, &p.Sent)
	record.WalkUint(w, 4, &p.Verb)
	record.WalkInt(w, 5, &p.Due)
}

func list[T any](w *record.Walk, tag uint32, l *[]T, item func(*record.Walk, uint32, *T)) {
	record.WalkList(w, tag, l, maxCount, ErrBounds, item)
}

// packet stores a message as the channel sends it, if there is one. One that cannot be encoded is left out.
func packet(w *record.Walk, tag uint32, is bool, m fdstore.Message, take func(fdstore.Message)) {
	w.Field(tag, func(e *record.Encoder) {
		if !is {
			return
		}
		if p, err := fdstore.Append(nil, m); err == nil {
			e.Bytes(tag, p)
		}
	}, func(f record.Field) error {
		b, err := f.Bytes()
		if err != nil {
			return err
		}
		got, err := fdstore.Decode(b)
		if err == nil && got.Kind != m.Kind {
			err = ErrDamaged
		}
		take(got)
		return err
	})
}

func exit(w *record.Walk, tag uint32, x *fdstore.Exit) {
	packet(w, tag, x.PID != 0, fdstore.Message{Kind: fdstore.KindExit, Exit: *x}, func(m fdstore.Message) { *x = m.Exit })
}
