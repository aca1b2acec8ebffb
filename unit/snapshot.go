package unit

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"
)

// Encoder writes a snapshot as tagged fields: a number that says field and wire type, then
// the value. Zero values are left out, so that a field costs nothing until it is used; a
// field given more than once is a list. Tags are never reused for another meaning.
type Encoder struct{ buf []byte }

// NewEncoder appends to buf.
func NewEncoder(buf []byte) *Encoder { return &Encoder{buf} }

// Data is buf with all that was written.
func (e *Encoder) Data() []byte { return e.buf }

const (
	wireUint  = 0
	wireBytes = 1
)

// Uint writes v under tag (1 or more) unless it is 0.
func (e *Encoder) Uint(tag uint, v uint64) {
	if v != 0 {
		e.buf = binary.AppendUvarint(e.buf, uint64(tag)<<1|wireUint)
		e.buf = binary.AppendUvarint(e.buf, v)
	}
}

// Int writes v, small magnitudes short, unless it is 0.
func (e *Encoder) Int(tag uint, v int64) { e.Uint(tag, uint64(v)<<1^uint64(v>>63)) }

// Bool writes v if it is true.
func (e *Encoder) Bool(tag uint, v bool) {
	if v {
		e.Uint(tag, 1)
	}
}

// Duration writes v unless it is 0.
func (e *Encoder) Duration(tag uint, v time.Duration) { e.Int(tag, int64(v)) }

// Str writes v unless it is empty.
func (e *Encoder) Str(tag uint, v string) {
	if v != "" {
		e.Item(tag, v)
	}
}

// Item writes v even if it is empty: an entry of a list.
func (e *Encoder) Item(tag uint, v string) {
	e.buf = binary.AppendUvarint(e.buf, uint64(tag)<<1|wireBytes)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(v)))
	e.buf = append(e.buf, v...)
}

// Message writes what f writes as one field, even if that is nothing.
func (e *Encoder) Message(tag uint, f func(*Encoder)) {
	e.buf = binary.AppendUvarint(e.buf, uint64(tag)<<1|wireBytes)
	at := len(e.buf)
	e.buf = append(e.buf, 0) // the length, in the one byte that most need
	f(e)
	n := len(e.buf) - at - 1
	if n < 1<<7 {
		e.buf[at] = byte(n)
		return
	}
	var size [binary.MaxVarintLen64]byte
	e.buf = slices.Replace(e.buf, at, at+1, size[:binary.PutUvarint(size[:], uint64(n))]...)
}

// Proc writes p unless it is zero.
func (e *Encoder) Proc(tag uint, p Proc) {
	if !p.IsZero() {
		e.Message(tag, func(e *Encoder) {
			e.Int(1, int64(p.PID))
			e.Uint(2, p.Start)
		})
	}
}

// FDRef writes r as one entry of a list.
func (e *Encoder) FDRef(tag uint, r FDRef) {
	e.Message(tag, func(e *Encoder) {
		e.Str(1, r.Key)
		e.Str(2, r.Name)
	})
}

// ErrSnapshot says that a snapshot is not what an Encoder wrote.
var ErrSnapshot = errors.New("malformed snapshot")

// Decoder reads what an Encoder wrote, field by field:
//
//	for d.Next() {
//		switch d.Tag() {
//		case 1:
//			u.count = d.Uint()
//		}
//	}
//	return d.Err()
//
// A field nobody asks for is skipped, which is how an older program reads a newer snapshot;
// a value read as the wrong type is an error. Memory is bounded by the input's size.
type Decoder struct {
	rest  []byte
	tag   uint
	bytes []byte
	num   uint64
	isNum bool
	err   error
}

// NewDecoder reads data, which must not change meanwhile.
func NewDecoder(data []byte) *Decoder { return &Decoder{rest: data} }

// Next goes to the next field; false at the end or after an error.
func (d *Decoder) Next() bool {
	if d.err != nil || len(d.rest) == 0 {
		return false
	}
	head, ok := d.uvarint()
	if !ok || head>>1 == 0 || head>>1 > math.MaxUint32 {
		d.err = ErrSnapshot
		return false
	}
	d.tag, d.isNum, d.bytes = uint(head>>1), head&1 == wireUint, nil
	v, ok := d.uvarint()
	if !ok || !d.isNum && v > uint64(len(d.rest)) {
		d.err = ErrSnapshot
		return false
	}
	d.num = v
	if !d.isNum {
		d.bytes, d.rest = d.rest[:v], d.rest[v:]
	}
	return true
}

func (d *Decoder) uvarint() (uint64, bool) {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		return 0, false
	}
	d.rest = d.rest[n:]
	return v, true
}

// Tag is the present field's.
func (d *Decoder) Tag() uint { return d.tag }

// Err is the first error.
func (d *Decoder) Err() error { return d.err }

// Uint is the present field's value.
func (d *Decoder) Uint() uint64 {
	if !d.isNum {
		d.err = ErrSnapshot
		return 0
	}
	return d.num
}

// Int is the present field's value.
func (d *Decoder) Int() int64 {
	v := d.Uint()
	return int64(v>>1) ^ -int64(v&1)
}

// Bool is the present field's value.
func (d *Decoder) Bool() bool { return d.Uint() != 0 }

// Duration is the present field's value.
func (d *Decoder) Duration() time.Duration { return time.Duration(d.Int()) }

// Str is the present field's value.
func (d *Decoder) Str() string {
	if d.isNum {
		d.err = ErrSnapshot
	}
	return string(d.bytes)
}

// Message reads the fields within the present one; f is called for each.
func (d *Decoder) Message(f func(*Decoder)) {
	if d.isNum {
		d.err = ErrSnapshot
		return
	}
	outer := *d
	d.rest = d.bytes
	for d.Next() {
		f(d)
	}
	outer.err = d.err
	*d = outer
}

// Proc is the present field's value.
func (d *Decoder) Proc() (p Proc) {
	d.Message(func(d *Decoder) {
		switch d.Tag() {
		case 1:
			p.PID = int(d.Int())
		case 2:
			p.Start = d.Uint()
		}
	})
	return p
}

// FDRef is the present field's value.
func (d *Decoder) FDRef() (r FDRef) {
	d.Message(func(d *Decoder) {
		switch d.Tag() {
		case 1:
			r.Key = d.Str()
		case 2:
			r.Name = d.Str()
		}
	})
	return r
}
