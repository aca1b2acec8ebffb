package record

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// SyntaxError says that bytes are no record: they are damaged, or of another format.
type SyntaxError struct {
	Offset int // where the bad field begins
	What   string
}

// Error describes the place and the damage.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("cannot decode record at byte %d: %s", e.Offset, e.What)
}

// KindError says that a field is well formed but is not what the reader asked for.
type KindError struct {
	Tag  uint32
	Kind Kind
	Want string // "uint", "int", "bytes", "message", or the range that the value left
}

// Error describes the field.
func (e *KindError) Error() string {
	return fmt.Sprintf("cannot decode field %d of kind %d: want %s", e.Tag, e.Kind, e.Want)
}

// Field is one field of a record. It aliases the record's bytes.
type Field struct {
	Tag  uint32
	Kind Kind

	num  uint64 // KindUint, KindInt: the raw number
	data []byte // kinds with a length: the content
	raw  []byte // the whole field, key and all
}

// Unknown are fields that a reader does not know and keeps, to write them back with Encoder.Raw.
type Unknown []byte

// Keep appends a copy of f.
func (u *Unknown) Keep(f Field) { *u = append(*u, f.raw...) }

// Decode calls fn for each field of data, in order. It stops at the first error: fn's own, which it returns as
// it is, or a *SyntaxError; fn has then seen the fields before. Nested messages are opened by Field.Message, so
// that fn alone decides how deep it goes.
func Decode(data []byte, fn func(Field) error) error {
	for off := 0; off < len(data); {
		f, n, what := parse(data[off:])
		if what != "" {
			return &SyntaxError{Offset: off, What: what}
		}
		if err := fn(f); err != nil {
			return err
		}
		off += n
	}
	return nil
}

// Valid reports whether data is a well-formed sequence of fields (nested messages are not opened).
func Valid(data []byte) error {
	return Decode(data, func(Field) error { return nil })
}

// First reads the field at the beginning of data and says how many bytes it takes, for those who would rather have a
// loop than a function. The error is a *SyntaxError; empty data is one.
func First(data []byte) (f Field, n int, err error) {
	f, n, what := parse(data)
	if what != "" {
		return Field{}, 0, &SyntaxError{What: what}
	}
	return f, n, nil
}

// parse reads the field at the beginning of b and says how long it is, or what is wrong.
func parse(b []byte) (f Field, n int, what string) {
	if len(b) > 1 && b[0]|b[1] < 0x80 && b[0]>>kindBits != 0 { // one byte each, as nearly always
		k := Kind(b[0] & kindMask)
		if !k.hasLength() {
			return Field{Tag: uint32(b[0] >> kindBits), Kind: k, num: uint64(b[1]), raw: b[:2:2]}, 2, ""
		}
		if end := 2 + int(b[1]); end <= len(b) {
			return Field{Tag: uint32(b[0] >> kindBits), Kind: k, data: b[2:end:end], raw: b[:end:end]}, end, ""
		}
	}
	return parseAny(b)
}

func parseAny(b []byte) (f Field, n int, what string) {
	h, what := parseHead(b)
	if what != "" {
		return f, 0, what
	}
	f = Field{Tag: h.tag, Kind: h.kind, num: h.num, raw: b[:h.end:h.end]}
	if h.kind.hasLength() {
		f.num, f.data = 0, b[h.from:h.end:h.end]
	}
	return f, h.end, ""
}

// head is what stands before a field's content, and where that is.
type head struct {
	tag       uint32
	kind      Kind
	num       uint64 // the number, or the content's length
	from, end int    // of the content; a number has none
}

func parseHead[T string | []byte](b T) (h head, what string) {
	if len(b) > 1 && b[0]|b[1] < 0x80 && b[0]>>kindBits != 0 { // one byte each, as nearly always
		h = head{uint32(b[0] >> kindBits), Kind(b[0] & kindMask), uint64(b[1]), 2, 2}
		return h.within(len(b))
	}
	key, n := uvarint(b)
	if n == 0 {
		return h, "bad key"
	}
	tag := key >> kindBits
	if tag == 0 || tag > MaxTag {
		return h, "tag out of range"
	}
	num, m := uvarint(b[n:])
	if m == 0 {
		return h, "bad number or length"
	}
	n += m
	h = head{uint32(tag), Kind(key & kindMask), num, n, n}
	return h.within(len(b))
}

// within sets the end, which must not be behind size.
func (h head) within(size int) (head, string) {
	if h.kind.hasLength() {
		if h.num > uint64(size-h.from) {
			return h, "content longer than the record"
		}
		h.end += int(h.num)
	}
	return h, ""
}

// uvarint reads a number in its shortest form; n is 0 if there is none.
func uvarint[T string | []byte](b T) (v uint64, n int) {
	for i := 0; i < len(b) && i < binary.MaxVarintLen64; i++ {
		c := b[i]
		if c >= 0x80 {
			v |= uint64(c&0x7f) << (7 * i)
			continue
		}
		if i > 0 && c == 0 || i == binary.MaxVarintLen64-1 && c > 1 {
			return 0, 0
		}
		return v | uint64(c)<<(7*i), i + 1
	}
	return 0, 0
}

func (f Field) mismatch(want string) error {
	return &KindError{Tag: f.Tag, Kind: f.Kind, Want: want}
}

// Uint returns the value of a KindUint field.
func (f Field) Uint() (uint64, error) {
	if f.Kind != KindUint {
		return 0, f.mismatch("uint")
	}
	return f.num, nil
}

// Int returns the value of a KindInt field.
func (f Field) Int() (int64, error) {
	if f.Kind != KindInt {
		return 0, f.mismatch("int")
	}
	return unzigzag(f.num), nil
}

// Bool returns the value of a KindUint field that is 0 or 1.
func (f Field) Bool() (bool, error) {
	if f.Kind != KindUint || f.num > 1 {
		return false, f.mismatch("bool")
	}
	return f.num == 1, nil
}

// Bytes returns the content of a KindBytes field; it aliases the record.
func (f Field) Bytes() ([]byte, error) {
	if f.Kind != KindBytes {
		return nil, f.mismatch("bytes")
	}
	return f.data, nil
}

// Str returns the content of a KindBytes field as a string of its own.
func (f Field) Str() (string, error) {
	b, err := f.Bytes()
	return string(b), err
}

// Message calls fn for each field of a KindMessage field, as Decode does.
func (f Field) Message(fn func(Field) error) error {
	if f.Kind != KindMessage {
		return f.mismatch("message")
	}
	return Decode(f.data, fn)
}

// Content returns the encoded fields of a KindMessage field, to be decoded later; it aliases the record.
func (f Field) Content() ([]byte, error) {
	if f.Kind != KindMessage {
		return nil, f.mismatch("message")
	}
	return f.data, nil
}

// Unsigned are the types that Uint reads into.
type Unsigned interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uint
}

// Signed are the types that Int reads into.
type Signed interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~int
}

// Uint reads f into dst, or says why it cannot: another kind, or a number that dst cannot hold.
func Uint[T Unsigned](f Field, dst *T) error {
	v, err := f.Uint()
	if err != nil {
		return err
	}
	if uint64(T(v)) != v {
		return f.mismatch("a smaller number")
	}
	*dst = T(v)
	return nil
}

// Int reads f into dst, or says why it cannot.
func Int[T Signed](f Field, dst *T) error {
	v, err := f.Int()
	if err != nil {
		return err
	}
	if int64(T(v)) != v {
		return f.mismatch("a smaller number")
	}
	*dst = T(v)
	return nil
}

// Count reads a KindUint field into a signed type: for counts and sizes that Go keeps in an int.
func Count[T Signed](f Field, dst *T) error {
	v, err := f.Uint()
	if err != nil {
		return err
	}
	if v > math.MaxInt64 || int64(T(v)) != int64(v) || T(v) < 0 {
		return f.mismatch("a smaller number")
	}
	*dst = T(v)
	return nil
}

// Bool reads f into dst.
func Bool[T ~bool](f Field, dst *T) error {
	v, err := f.Bool()
	if err != nil {
		return err
	}
	*dst = T(v)
	return nil
}

// String reads f into dst.
func String[T ~string](f Field, dst *T) error {
	v, err := f.Bytes()
	if err != nil {
		return err
	}
	*dst = T(v)
	return nil
}

// Append reads f as a string and appends it to a list.
func Append[T ~string](f Field, dst *[]T) error {
	v, err := f.Bytes()
	if err != nil {
		return err
	}
	*dst = append(*dst, T(v))
	return nil
}

// Bytes reads a copy of f into dst: nil if it is empty.
func Bytes(f Field, dst *[]byte) error {
	v, err := f.Bytes()
	if err != nil {
		return err
	}
	*dst = nil
	if len(v) != 0 {
		*dst = slices.Clone(v)
	}
	return nil
}
