package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/godbus/dbus/v5"
)

const (
	// maxDepth bounds the nesting of containers, as the specification does.
	maxDepth = 64
	// maxValues bounds what one body unfolds into.
	maxValues = 4 << 20
)

// Struct is a decoded D-Bus structure.
type Struct []any

// DecodeBody decodes the body by the message's signature into Body. Basic types become their
// Go counterparts (object paths dbus.ObjectPath, signatures dbus.Signature, variants
// dbus.Variant, descriptors their uint32 index), arrays of bytes and of strings become []byte and
// []string, dictionaries with string keys and variant values become map[string]dbus.Variant,
// other arrays and dictionaries []any, structures and other dictionary entries Struct.
func (m *Message) DecodeBody() error {
	if m.Signature == "" {
		m.Body = nil
		return nil
	}
	d := &decoder{order: m.order, buf: m.raw}
	var body []any
	for sig := m.Signature; sig != "" && d.err == nil; {
		var one string
		if one, sig, d.err = NextType(sig); d.err == nil {
			body = append(body, d.value(one, 0))
		}
	}
	if d.err == nil && d.pos != len(d.buf) {
		d.fail("%d bytes after the last value", len(d.buf)-d.pos)
	}
	if d.err != nil {
		return d.err
	}
	m.Body = body
	return nil
}

// decoder reads values from buf; the first error sticks.
type decoder struct {
	order  binary.ByteOrder
	buf    []byte
	pos    int
	values int
	err    error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
	}
}

func (d *decoder) align(n int) {
	to := (d.pos + n - 1) &^ (n - 1)
	for ; d.pos < to && d.err == nil; d.pos++ {
		if d.pos >= len(d.buf) || d.buf[d.pos] != 0 {
			d.fail("bad padding at byte %d", d.pos)
		}
	}
}

// take gives the next n bytes, aligned.
func (d *decoder) take(n, alignment int) []byte {
	d.align(alignment)
	if d.err == nil && n > len(d.buf)-d.pos {
		d.fail("%d bytes at %d, there are %d", n, d.pos, len(d.buf)-d.pos)
	}
	if d.err != nil {
		return nil
	}
	b := d.buf[d.pos : d.pos+n]
	d.pos += n
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1, 1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.take(4, 4); b != nil {
		return d.order.Uint32(b)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8, 8); b != nil {
		return d.order.Uint64(b)
	}
	return 0
}

func (d *decoder) uint16() uint16 {
	if b := d.take(2, 2); b != nil {
		return d.order.Uint16(b)
	}
	return 0
}

func (d *decoder) text(n uint32) string {
	if uint64(n)+1 > uint64(len(d.buf)) {
		d.fail("string of %d bytes", n)
		return ""
	}
	b := d.take(int(n)+1, 1)
	if b == nil {
		return ""
	}
	s := string(b[:n])
	if b[n] != 0 || strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
		d.fail("bad string")
	}
	return s
}

func (d *decoder) signature() string { return d.text(uint32(d.byte())) }

func isBasic(c byte) bool { return strings.IndexByte("ybnqiuxtdsogh", c) >= 0 }

func (d *decoder) basic(c byte) any {
	switch c {
	case 'y':
		return d.byte()
	case 'b':
		v := d.uint32()
		if v > 1 {
			d.fail("boolean of %d", v)
		}
		return v == 1
	case 'n':
		return int16(d.uint16())
	case 'q':
		return d.uint16()
	case 'i':
		return int32(d.uint32())
	case 'u', 'h':
		return d.uint32()
	case 'x':
		return int64(d.uint64())
	case 't':
		return d.uint64()
	case 'd':
		return math.Float64frombits(d.uint64())
	case 's':
		return d.text(d.uint32())
	case 'o':
		p := dbus.ObjectPath(d.text(d.uint32()))
		if d.err == nil && !p.IsValid() {
			d.fail("object path %q", string(p))
		}
		return p
	case 'g':
		sig, err := dbus.ParseSignature(d.signature())
		if err != nil {
			d.fail("bad signature")
		}
		return sig
	}
	d.fail("unknown type %q", c)
	return nil
}

func (d *decoder) value(sig string, depth int) any {
	if d.values++; depth > maxDepth || d.values > maxValues {
		d.fail("more nesting or more values than allowed")
	}
	if d.err != nil {
		return nil
	}
	switch sig[0] {
	case 'v':
		return d.variant(depth)
	case 'a':
		return d.array(sig[1:], depth)
	case '(', '{':
		return d.structure(sig[1:len(sig)-1], depth)
	}
	return d.basic(sig[0])
}

func (d *decoder) variant(depth int) any {
	s := d.signature()
	one, rest, err := NextType(s)
	if d.err == nil && (err != nil || rest != "" || one[0] == '{') {
		d.fail("variant of type %q", s)
	}
	if d.err != nil {
		return dbus.Variant{}
	}
	sig, err := dbus.ParseSignature(s)
	if err != nil {
		d.fail("variant of type %q", s)
		return dbus.Variant{}
	}
	return dbus.MakeVariantWithSignature(d.value(s, depth+1), sig)
}

func (d *decoder) structure(sig string, depth int) Struct {
	d.align(8)
	var out Struct
	for sig != "" && d.err == nil {
		var one string
		if one, sig, d.err = NextType(sig); d.err == nil {
			out = append(out, d.value(one, depth+1))
		}
	}
	return out
}

func (d *decoder) array(elem string, depth int) any {
	n := d.uint32()
	d.align(alignment(elem[0]))
	if d.err == nil && uint64(n) > uint64(len(d.buf)-d.pos) {
		d.fail("array of %d bytes, there are %d", n, len(d.buf)-d.pos)
	}
	if d.err != nil {
		return nil
	}
	whole, end := d.buf, d.pos+int(n)
	d.buf = whole[:end] // no element reaches beyond its array
	v := d.elements(elem, depth)
	d.buf = whole
	return v
}

func (d *decoder) elements(elem string, depth int) any {
	switch elem {
	case "y":
		return append([]byte{}, d.take(len(d.buf)-d.pos, 1)...)
	case "s":
		out := []string{}
		for d.pos < len(d.buf) && d.err == nil {
			out = append(out, d.text(d.uint32()))
		}
		return out
	case "{sv}":
		out := map[string]dbus.Variant{}
		for d.pos < len(d.buf) && d.err == nil {
			d.align(8)
			k := d.text(d.uint32())
			if v, ok := d.value("v", depth+2).(dbus.Variant); ok {
				out[k] = v
			}
		}
		return out
	}
	out := []any{}
	for d.pos < len(d.buf) && d.err == nil {
		out = append(out, d.value(elem, depth+1))
	}
	return out
}

func alignment(c byte) int {
	switch c {
	case 'n', 'q':
		return 2
	case 'b', 'i', 'u', 'h', 's', 'o', 'a':
		return 4
	case 'x', 't', 'd', '(', '{':
		return 8
	}
	return 1
}

// NextType splits the first complete type off a signature.
func NextType(sig string) (one, rest string, err error) {
	n := typeLen(sig, 0)
	if n <= 0 || len(sig) > 255 {
		return "", "", fmt.Errorf("%w: signature %q", ErrMalformed, sig)
	}
	return sig[:n], sig[n:], nil
}

// typeLen is the length of the complete type at the start of sig, 0 if there is none.
func typeLen(sig string, depth int) int {
	if sig == "" || depth > maxDepth {
		return 0
	}
	switch c := sig[0]; {
	case isBasic(c) || c == 'v':
		return 1
	case c == 'a':
		if n := dictLen(sig[1:], depth+1); n > 0 {
			return n + 1
		}
		if n := typeLen(sig[1:], depth+1); n > 0 {
			return n + 1
		}
	case c == '(':
		i := 1
		for i < len(sig) && sig[i] != ')' {
			n := typeLen(sig[i:], depth+1)
			if n == 0 {
				return 0
			}
			i += n
		}
		if i > 1 && i < len(sig) {
			return i + 1
		}
	}
	return 0
}

// dictLen is the length of the dictionary entry type at the start of sig, 0 if there is none.
func dictLen(sig string, depth int) int {
	if len(sig) < 4 || sig[0] != '{' || !isBasic(sig[1]) {
		return 0
	}
	n := typeLen(sig[2:], depth+1)
	if n == 0 || len(sig) <= 2+n || sig[2+n] != '}' {
		return 0
	}
	return n + 3
}
