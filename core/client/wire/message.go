package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// Flags of a message.
const (
	NoReply = byte(dbus.FlagNoReplyExpected)
)

// Message is one D-Bus message. Empty strings and zeros stand for absent header fields.
type Message struct {
	Type        dbus.Type
	Flags       byte
	Serial      uint32
	ReplySerial uint32
	Path        string
	Interface   string
	Member      string
	ErrorName   string
	Destination string
	Sender      string
	Signature   string
	FDs         uint32 // number of descriptors that travel with the message
	Body        []any  // for Encode; filled by DecodeBody

	order binary.ByteOrder
	raw   []byte // the body's bytes
}

// serialAt is where the serial number stands in the header.
const serialAt = 8

// Encode gives the message's bytes, in little-endian order. Signature is what the receiver will
// decode by; it must fit Body, where a slice of two-field structs may stand for a dictionary, so
// that its order is kept. Serial must not be 0.
func (m *Message) Encode() (frame []byte, err error) {
	defer func() {
		// godbus panics on types that D-Bus cannot carry; such a value is our bug, but it
		// must cost this one message only.
		if p := recover(); p != nil {
			frame, err = nil, fmt.Errorf("cannot encode %s: %v", m.describe(), p)
		}
	}()
	h := make(map[dbus.HeaderField]dbus.Variant, 5)
	put := func(f dbus.HeaderField, s string) {
		if s != "" {
			h[f] = dbus.MakeVariant(s)
		}
	}
	put(dbus.FieldInterface, m.Interface)
	put(dbus.FieldMember, m.Member)
	put(dbus.FieldErrorName, m.ErrorName)
	put(dbus.FieldDestination, m.Destination)
	put(dbus.FieldSender, m.Sender)
	if m.Path != "" {
		h[dbus.FieldPath] = dbus.MakeVariant(dbus.ObjectPath(m.Path))
	}
	if m.ReplySerial != 0 {
		h[dbus.FieldReplySerial] = dbus.MakeVariant(m.ReplySerial)
	}
	if m.FDs != 0 {
		h[dbus.FieldUnixFDs] = dbus.MakeVariant(m.FDs)
	}
	if m.Signature != "" {
		sig, err := dbus.ParseSignature(m.Signature)
		if err != nil {
			return nil, fmt.Errorf("cannot encode %s: %w", m.describe(), err)
		}
		h[dbus.FieldSignature] = dbus.MakeVariant(sig)
	}
	out := &dbus.Message{Type: m.Type, Flags: dbus.Flags(m.Flags), Headers: h, Body: m.Body}
	var b bytes.Buffer
	if err := out.EncodeTo(&b, binary.LittleEndian); err != nil {
		return nil, fmt.Errorf("cannot encode %s: %w", m.describe(), err)
	}
	// godbus keeps the serial to itself and leaves it 0, which the protocol forbids.
	binary.LittleEndian.PutUint32(b.Bytes()[serialAt:], m.Serial)
	return b.Bytes(), nil
}

func (m *Message) describe() string {
	if m.Member != "" {
		return m.Interface + "." + m.Member
	}
	if m.ErrorName != "" {
		return m.ErrorName
	}
	return "a reply"
}

// Decode parses the header of a frame that Reader.Next gave; DecodeBody does the rest. The
// message refers to frame.
func Decode(frame []byte) (*Message, error) {
	if len(frame) < fixedHeader {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(frame))
	}
	size, err := frameSize(frame, len(frame))
	if err != nil {
		return nil, err
	}
	if size != len(frame) {
		return nil, fmt.Errorf("%w: %d bytes where the header says %d", ErrMalformed, len(frame), size)
	}
	order, _ := byteOrder(frame[0])
	m := &Message{
		Type: dbus.Type(frame[1]), Flags: frame[2], Serial: order.Uint32(frame[serialAt:]), order: order,
	}
	fields := int(order.Uint32(frame[12:]))
	d := &decoder{order: order, buf: frame[:fixedHeader+fields], pos: fixedHeader}
	if err := m.fields(d); err != nil {
		return nil, err
	}
	m.raw = frame[fixedHeader+(fields+7)&^7:]
	return m, m.check()
}

// fieldSignatures are the types of the header fields by their code.
var fieldSignatures = [...]string{
	dbus.FieldPath: "o", dbus.FieldInterface: "s", dbus.FieldMember: "s", dbus.FieldErrorName: "s",
	dbus.FieldReplySerial: "u", dbus.FieldDestination: "s", dbus.FieldSender: "s",
	dbus.FieldSignature: "g", dbus.FieldUnixFDs: "u",
}

func (m *Message) fields(d *decoder) error {
	var seen [len(fieldSignatures)]bool
	for d.pos < len(d.buf) {
		d.align(8)
		code := d.byte()
		sig := d.signature()
		if d.err != nil {
			return d.err
		}
		if len(sig) != 1 || !isBasic(sig[0]) {
			return fmt.Errorf("%w: header field %d of type %q", ErrMalformed, code, sig)
		}
		v := d.basic(sig[0])
		if d.err != nil {
			return d.err
		}
		if int(code) >= len(fieldSignatures) {
			continue // the specification: ignore what you do not know
		}
		if code == 0 || fieldSignatures[code] != sig || seen[code] {
			return fmt.Errorf("%w: header field %d of type %q", ErrMalformed, code, sig)
		}
		seen[code] = true
		m.setField(dbus.HeaderField(code), v)
	}
	return nil
}

func (m *Message) setField(code dbus.HeaderField, v any) {
	switch code {
	case dbus.FieldPath:
		m.Path = string(v.(dbus.ObjectPath))
	case dbus.FieldInterface:
		m.Interface = v.(string)
	case dbus.FieldMember:
		m.Member = v.(string)
	case dbus.FieldErrorName:
		m.ErrorName = v.(string)
	case dbus.FieldReplySerial:
		m.ReplySerial = v.(uint32)
	case dbus.FieldDestination:
		m.Destination = v.(string)
	case dbus.FieldSender:
		m.Sender = v.(string)
	case dbus.FieldSignature:
		m.Signature = v.(dbus.Signature).String()
	case dbus.FieldUnixFDs:
		m.FDs = v.(uint32)
	}
}

// check applies the rules about which fields a type of message needs.
func (m *Message) check() error {
	ok := m.Serial != 0 && (m.Signature != "") == (len(m.raw) != 0)
	switch m.Type {
	case dbus.TypeMethodCall:
		ok = ok && m.Path != "" && m.Member != ""
	case dbus.TypeMethodReply:
		ok = ok && m.ReplySerial != 0
	case dbus.TypeError:
		ok = ok && m.ReplySerial != 0 && m.ErrorName != ""
	case dbus.TypeSignal:
		ok = ok && m.Path != "" && m.Interface != "" && m.Member != ""
	case 0:
		ok = false
	}
	if !ok {
		return fmt.Errorf("%w: a required header field is missing", ErrMalformed)
	}
	return nil
}
