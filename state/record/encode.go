package record

import (
	"encoding/binary"
	"slices"
)

// Kind says how a field's value is laid out.
type Kind uint8

// The kinds. The values 4 to 7 are reserved for kinds that have a length like KindBytes.
const (
	KindUint    Kind = 0 // unsigned integer, or a bool as 0 or 1
	KindInt     Kind = 1 // signed integer
	KindBytes   Kind = 2 // bytes or a string
	KindMessage Kind = 3 // nested fields

	kindBits = 3
	kindMask = 1<<kindBits - 1
)

func (k Kind) hasLength() bool { return k != KindUint && k != KindInt }

// MaxTag is the greatest tag.
const MaxTag = 1<<28 - 1

// Encoder appends fields to a buffer. The zero value is ready; it belongs to one goroutine at a time.
// A tag of 0 or above MaxTag is a bug of the caller and panics.
type Encoder struct {
	buf  []byte
	open int // messages begun and not ended
}

// Reset empties the encoder and keeps its buffer.
func (e *Encoder) Reset() { e.buf, e.open = e.buf[:0], 0 }

// Grow makes room for n more bytes.
func (e *Encoder) Grow(n int) { e.buf = slices.Grow(e.buf, n) }

// Data returns what was encoded, valid until the next call on e. A message that is still open is a bug and panics.
func (e *Encoder) Data() []byte {
	if e.open != 0 {
		panic("record: Data with an open message")
	}
	return e.buf
}

// Clone returns a copy of what was encoded, nil if that is nothing.
func (e *Encoder) Clone() []byte {
	if len(e.Data()) == 0 {
		return nil
	}
	return slices.Clone(e.buf)
}

// Len is the number of bytes encoded so far.
func (e *Encoder) Len() int { return len(e.buf) }

func (e *Encoder) key(tag uint32, k Kind) {
	if tag == 0 || tag > MaxTag {
		panic("record: tag out of range")
	}
	e.buf = binary.AppendUvarint(e.buf, uint64(tag)<<kindBits|uint64(k))
}

// Uint appends an unsigned integer.
func (e *Encoder) Uint(tag uint32, v uint64) {
	e.key(tag, KindUint)
	e.buf = binary.AppendUvarint(e.buf, v)
}

// Int appends a signed integer.
func (e *Encoder) Int(tag uint32, v int64) {
	e.key(tag, KindInt)
	e.buf = binary.AppendUvarint(e.buf, zigzag(v))
}

// Bool appends a bool, as the unsigned integer 0 or 1.
func (e *Encoder) Bool(tag uint32, v bool) {
	if v {
		e.Uint(tag, 1)
		return
	}
	e.Uint(tag, 0)
}

// String appends a string; any bytes are allowed.
func (e *Encoder) String(tag uint32, v string) {
	e.key(tag, KindBytes)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(v)))
	e.buf = append(e.buf, v...)
}

// Bytes appends bytes.
func (e *Encoder) Bytes(tag uint32, v []byte) {
	e.key(tag, KindBytes)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(v)))
	e.buf = append(e.buf, v...)
}

// Strings appends one field per string: a list.
func (e *Encoder) Strings(tag uint32, vs []string) {
	for _, v := range vs {
		e.String(tag, v)
	}
}

// Message appends a nested message, which fill writes.
func (e *Encoder) Message(tag uint32, fill func(*Encoder)) {
	m := e.Begin(tag)
	fill(e)
	e.End(m)
}

// Mark is where an open message began.
type Mark struct{ at, depth int }

// Begin opens a nested message: what is written until End(mark) belongs to it. Messages nest.
func (e *Encoder) Begin(tag uint32) Mark {
	e.key(tag, KindMessage)
	e.buf = append(e.buf, 0) // the length, in the one byte that most messages need
	e.open++
	return Mark{at: len(e.buf), depth: e.open}
}

// End closes the message that Begin opened last. Anything else is a bug and panics.
func (e *Encoder) End(m Mark) {
	if m.depth == 0 || m.depth != e.open {
		panic("record: End of a message that is not the innermost open one")
	}
	e.open--
	size := uint64(len(e.buf) - m.at)
	extra := uvarintLen(size) - 1
	if extra > 0 { // make room by moving the content: cheaper than encoding it twice
		n := len(e.buf)
		e.buf = slices.Grow(e.buf, extra)[:n+extra]
		copy(e.buf[m.at+extra:], e.buf[m.at:n])
	}
	binary.PutUvarint(e.buf[m.at-1:m.at+extra], size)
}

// OptUint is Uint, but nothing for 0.
func (e *Encoder) OptUint(tag uint32, v uint64) {
	if v != 0 {
		e.Uint(tag, v)
	}
}

// OptInt is Int, but nothing for 0.
func (e *Encoder) OptInt(tag uint32, v int64) {
	if v != 0 {
		e.Int(tag, v)
	}
}

// OptBool is Bool, but nothing for false.
func (e *Encoder) OptBool(tag uint32, v bool) {
	if v {
		e.Bool(tag, v)
	}
}

// OptString is String, but nothing for "".
func (e *Encoder) OptString(tag uint32, v string) {
	if v != "" {
		e.String(tag, v)
	}
}

// OptBytes is Bytes, but nothing for an empty slice.
func (e *Encoder) OptBytes(tag uint32, v []byte) {
	if len(v) != 0 {
		e.Bytes(tag, v)
	}
}

// Raw appends fields that a reader kept without knowing them.
func (e *Encoder) Raw(u Unknown) { e.buf = append(e.buf, u...) }

// Field appends a field as it was read.
func (e *Encoder) Field(f Field) { e.buf = append(e.buf, f.raw...) }

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

func uvarintLen(v uint64) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}
