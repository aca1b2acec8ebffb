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
	s.fields(&e)
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
	if err := record.Decode(b[headerSize:], s.field); err != nil {
		return nil, err
	}
	return s, nil
}

// Tags, never used twice.
func (s *State) fields(e *record.Encoder) {
	e.OptString(1, s.Version)
	e.OptUint(2, s.Reexecs)
	e.OptUint(3, s.Generation)
	e.Message(4, s.Core.fields)
	e.OptUint(5, uint64(s.LastCause))
	exitField(e, 6, s.LastExit)
	for _, at := range s.Deaths {
		e.Int(7, at)
	}
	e.OptInt(8, s.Fails)
	e.OptInt(9, s.StartAt)
	e.Message(10, s.Rescue.fields)
	for i := range s.FDs {
		e.Message(11, s.FDs[i].fields)
	}
	for i := range s.Exits {
		x := &s.Exits[i]
		e.Message(12, func(e *record.Encoder) {
			exitField(e, 1, x.Exit)
			e.OptBool(2, x.Wanted)
			e.OptBool(3, x.Sent)
		})
	}
	e.OptUint(13, s.NextExit)
	for _, p := range s.Registered {
		e.Message(14, func(e *record.Encoder) { e.Int(1, p.PID); e.OptUint(2, p.Start) })
	}
	e.OptUint(15, s.Lost)
	for i := range s.Pending {
		e.Message(16, s.Pending[i].fields)
	}
	e.OptUint(17, s.SignalID)
	e.OptInt(18, s.Bursts)
	e.OptInt(19, s.BurstAt)
	if s.Intent.Verb != fdstore.VerbNone {
		packet(e, 20, fdstore.Message{Kind: fdstore.KindShutdown, Shutdown: s.Intent})
	}
	e.OptInt(21, s.Due)
	if s.Outcome.Target != 0 {
		packet(e, 22, fdstore.Message{Kind: fdstore.KindOutcome, Upgrade: s.Outcome})
	}
	e.Message(23, s.Running.fields)
	e.Message(24, s.Previous.fields)
	e.Message(25, s.Own.fields)
	e.OptBool(26, s.Behind)
	e.Message(27, s.Installed.fields)
	e.Raw(s.unknown)
}

func (s *State) field(f record.Field) error {
	switch f.Tag {
	case 1:
		return record.String(f, &s.Version)
	case 2:
		return record.Uint(f, &s.Reexecs)
	case 3:
		return record.Uint(f, &s.Generation)
	case 4:
		return f.Message(s.Core.field)
	case 5:
		return record.Uint(f, &s.LastCause)
	case 6:
		return readExit(f, &s.LastExit)
	case 7:
		return add(&s.Deaths, func(at *int64) error { return record.Int(f, at) })
	case 8:
		return record.Int(f, &s.Fails)
	case 9:
		return record.Int(f, &s.StartAt)
	case 10:
		return f.Message(s.Rescue.field)
	case 11:
		return add(&s.FDs, func(d *FD) error { return f.Message(d.field) })
	case 12:
		return add(&s.Exits, func(x *Exit) error { return f.Message(x.field) })
	case 13:
		return record.Uint(f, &s.NextExit)
	case 14:
		return add(&s.Registered, func(p *Process) error { return f.Message(p.field) })
	case 15:
		return record.Uint(f, &s.Lost)
	case 16:
		return add(&s.Pending, func(p *Signal) error { return f.Message(p.field) })
	case 17:
		return record.Uint(f, &s.SignalID)
	case 18:
		return record.Int(f, &s.Bursts)
	case 19:
		return record.Int(f, &s.BurstAt)
	case 20:
		m, err := readPacket(f, fdstore.KindShutdown)
		s.Intent = m.Shutdown
		return err
	case 21:
		return record.Int(f, &s.Due)
	case 22:
		m, err := readPacket(f, fdstore.KindOutcome)
		s.Outcome = m.Upgrade
		return err
	case 23:
		return f.Message(s.Running.field)
	case 24:
		return f.Message(s.Previous.field)
	case 25:
		return f.Message(s.Own.field)
	case 26:
		return record.Bool(f, &s.Behind)
	case 27:
		return f.Message(s.Installed.field)
	}
	s.unknown.Keep(f)
	return nil
}

// add appends an element that read fills, within the bounds.
func add[T any](list *[]T, read func(*T) error) error {
	if len(*list) >= maxCount {
		return ErrBounds
	}
	var v T
	if err := read(&v); err != nil {
		return err
	}
	*list = append(*list, v)
	return nil
}

// packet stores a message as the channel sends it. One that cannot be encoded is left out.
func packet(e *record.Encoder, tag uint32, m fdstore.Message) {
	if p, err := fdstore.Append(nil, m); err == nil {
		e.Bytes(tag, p)
	}
}

func readPacket(f record.Field, kind fdstore.Kind) (fdstore.Message, error) {
	b, err := f.Bytes()
	if err != nil {
		return fdstore.Message{}, err
	}
	m, err := fdstore.Decode(b)
	if err == nil && m.Kind != kind {
		err = ErrDamaged
	}
	return m, err
}

func exitField(e *record.Encoder, tag uint32, x fdstore.Exit) {
	if x.PID != 0 {
		packet(e, tag, fdstore.Message{Kind: fdstore.KindExit, Exit: x})
	}
}

func readExit(f record.Field, x *fdstore.Exit) error {
	m, err := readPacket(f, fdstore.KindExit)
	*x = m.Exit
	return err
}
