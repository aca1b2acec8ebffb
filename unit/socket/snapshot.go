package socket

import (
	"fmt"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Snapshot implements unit.Unit. Tags are never reused.
func (s *Socket) Snapshot(buf []byte) []byte {
	e := unit.NewEncoder(buf)
	e.Uint(1, uint64(s.phase))
	e.Uint(2, uint64(s.result))
	e.Message(3, s.m.Encode)
	for _, seq := range s.setup {
		e.Uint(4, seq)
	}
	e.Uint(5, s.listen)
	for _, o := range s.opened {
		e.Message(6, func(e *unit.Encoder) {
			e.Str(1, o.key)
			e.Str(2, o.name)
			e.Str(3, o.path)
		})
	}
	e.Bool(7, s.realized)
	e.Uint(8, uint64(s.triggers))
	e.Duration(9, s.began)
	e.Duration(10, s.look)
	for l := range s.status {
		for i := range s.status[l] {
			e.Message(11, func(e *unit.Encoder) { s.status[l][i].encode(e, l, i) })
		}
	}
	return e.Data()
}

// restore makes a socket in the state of a snapshot. At daemon-reload the new Spec may listen
// elsewhere: what is open stays open until the next stop.
func restore(spec *unit.Spec, keys *unit.KeySet, version uint32, snapshot []byte) (*Socket, error) {
	if version != Version {
		return nil, fmt.Errorf("cannot restore %s: snapshot has version %d, this is version %d", spec.Name, version, Version)
	}
	s, err := newSocket(spec, keys)
	if err != nil {
		return nil, err
	}
	s.data = data{}
	d := unit.NewDecoder(snapshot)
	for d.Next() {
		s.decodeField(d)
	}
	if err := d.Err(); err != nil {
		return nil, fmt.Errorf("cannot restore %s: %w", spec.Name, err)
	}
	if s.phase >= numPhases || s.result >= numResults {
		return nil, fmt.Errorf("cannot restore %s: %w", spec.Name, unit.ErrSnapshot)
	}
	return s, nil
}

func (s *Socket) decodeField(d *unit.Decoder) {
	switch d.Tag() {
	case 1:
		s.phase = phase(min(d.Uint(), uint64(numPhases)))
	case 2:
		s.result = result(min(d.Uint(), uint64(numResults)))
	case 3:
		d.Message(s.m.DecodeField)
	case 4:
		s.setup = append(s.setup, d.Uint())
	case 5:
		s.listen = d.Uint()
	case 6:
		s.decodeOpened(d)
	case 7:
		s.realized = d.Bool()
	case 8:
		s.triggers = uint32(d.Uint())
	case 9:
		s.began = d.Duration()
	case 10:
		s.look = d.Duration()
	case 11:
		s.decodeStatus(d)
	}
}

func (s *Socket) decodeOpened(d *unit.Decoder) {
	var o opened
	d.Message(func(d *unit.Decoder) {
		switch d.Tag() {
		case 1:
			o.key = d.Str()
		case 2:
			o.name = d.Str()
		case 3:
			o.path = d.Str()
		}
	})
	s.opened = append(s.opened, o)
}

func (x *execStatus) encode(e *unit.Encoder, l, i int) {
	e.Uint(1, uint64(l))
	e.Uint(2, uint64(i))
	e.Int(3, int64(x.pid))
	encodeStamp(e, 4, x.start)
	encodeStamp(e, 5, x.exit)
	e.Uint(6, uint64(x.end.Code))
	e.Int(7, int64(x.end.Status))
}

func encodeStamp(e *unit.Encoder, tag uint, t unit.Stamp) {
	if t != (unit.Stamp{}) {
		e.Message(tag, func(e *unit.Encoder) {
			e.Duration(1, t.Real)
			e.Duration(2, t.Mono)
			e.Duration(3, t.Boot)
		})
	}
}

// maxStatuses bounds the place of a command in a snapshot, which is not to be trusted.
const maxStatuses = 1 << 12

func (s *Socket) decodeStatus(d *unit.Decoder) {
	var l, i uint64
	var st execStatus
	d.Message(func(d *unit.Decoder) {
		switch d.Tag() {
		case 1:
			l = d.Uint()
		case 2:
			i = d.Uint()
		case 3:
			st.pid = int(d.Int())
		case 4:
			st.start = decodeStamp(d)
		case 5:
			st.exit = decodeStamp(d)
		case 6:
			st.end.Code = unit.ExitCode(d.Uint())
		case 7:
			st.end.Status = int(d.Int())
		}
	})
	if l < uint64(numLists) && i < maxStatuses {
		*s.statusOf(list(l), int(i)) = st
	}
}

func decodeStamp(d *unit.Decoder) (t unit.Stamp) {
	d.Message(func(d *unit.Decoder) {
		switch d.Tag() {
		case 1:
			t.Real = d.Duration()
		case 2:
			t.Mono = d.Duration()
		case 3:
			t.Boot = d.Duration()
		}
	})
	return t
}
