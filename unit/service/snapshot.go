package service

import (
	"fmt"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Snapshot implements unit.Unit. Tags are never reused.
func (s *Service) Snapshot(buf []byte) []byte {
	e := unit.NewEncoder(buf)
	e.Uint(1, uint64(s.phase))
	e.Uint(2, uint64(s.result))
	e.Uint(3, uint64(s.reloadResult))
	e.Message(4, s.m.Encode)
	for _, seq := range s.setup {
		e.Uint(5, seq)
	}
	e.Int(6, int64(s.mainIndex))
	e.Bool(7, s.mainRun)
	e.Bool(8, s.mainKnown)
	e.Bool(9, s.restartAllowed)
	e.Bool(10, s.flushRestarts)
	e.Uint(11, uint64(s.restarts))
	e.Duration(12, s.activeSince)
	for l := range s.status {
		for i := range s.status[l] {
			e.Message(13, func(e *unit.Encoder) {
				e.Uint(1, uint64(l))
				e.Uint(2, uint64(i))
				s.status[l][i].encode(e)
			})
		}
	}
	e.Message(14, s.main.encode)
	for _, r := range s.reads {
		e.Message(15, func(e *unit.Encoder) {
			e.Uint(1, r.seq)
			e.Uint(2, uint64(r.why))
		})
	}
	if h := s.held; h != nil {
		e.Message(16, func(e *unit.Encoder) {
			e.Proc(1, h.proc)
			e.Uint(2, uint64(h.exit.Code))
			e.Int(3, int64(h.exit.Status))
		})
	}
	e.Bool(17, s.pidWait)
	e.Uint(18, s.removal)
	e.Bool(19, s.leftover)
	e.Uint(20, uint64(s.notice))
	e.Str(21, s.statusText)
	e.Int(22, int64(s.errno))
	e.Bool(23, s.watchdog.armed)
	e.Duration(24, s.watchdog.at)
	e.Duration(25, s.override)
	for _, f := range s.stored {
		e.FDRef(26, f.FDRef)
		e.Str(31, f.from) // of the FDRef before it
	}
	e.Uint(27, s.nextFD)
	if s.conn.Key != "" {
		e.FDRef(28, s.conn)
	}
	e.Str(29, s.cgroup)
	e.Bool(30, s.dbusSaid)
	e.Bool(32, s.forgetful) // 31 is above
	return e.Data()
}

// The status of a command: tags 3 to 10 within its message.
func (x *execStatus) encode(e *unit.Encoder) {
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

func (x *execStatus) decodeField(d *unit.Decoder) {
	switch d.Tag() {
	case 3:
		x.pid = int(d.Int())
	case 4:
		x.start = decodeStamp(d)
	case 5:
		x.exit = decodeStamp(d)
	case 6:
		x.end.Code = unit.ExitCode(d.Uint())
	case 7:
		x.end.Status = int(d.Int())
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

// restore makes a service in the state of a snapshot. At daemon-reload the new Spec may have
// fewer commands than the state remembers: a list that runs ends with its present command.
func restore(spec *unit.Spec, keys *unit.KeySet, o Options, version uint32, snapshot []byte) (*Service, error) {
	if version != Version {
		return nil, fmt.Errorf("cannot restore %s: snapshot has version %d, this is version %d", spec.Name, version, Version)
	}
	s, err := newService(spec, keys, o)
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
	if s.phase >= numPhases || s.result >= numResults || s.reloadResult >= numResults {
		return nil, fmt.Errorf("cannot restore %s: %w", spec.Name, unit.ErrSnapshot)
	}
	return s, nil
}

func (s *Service) decodeField(d *unit.Decoder) {
	switch d.Tag() {
	case 1:
		s.phase = phase(min(d.Uint(), uint64(numPhases)))
	case 2:
		s.result = result(min(d.Uint(), uint64(numResults)))
	case 3:
		s.reloadResult = result(min(d.Uint(), uint64(numResults)))
	case 4:
		d.Message(s.m.DecodeField)
	case 5:
		s.setup = append(s.setup, d.Uint())
	case 6:
		s.mainIndex = int(max(d.Int(), 0))
	case 7:
		s.mainRun = d.Bool()
	case 8:
		s.mainKnown = d.Bool()
	case 9:
		s.restartAllowed = d.Bool()
	case 10:
		s.flushRestarts = d.Bool()
	case 11:
		s.restarts = uint32(d.Uint())
	case 12:
		s.activeSince = d.Duration()
	case 13:
		s.decodeStatus(d)
	case 14:
		d.Message(s.main.decodeField)
	default:
		s.decodeRest(d)
	}
}

func (s *Service) decodeRest(d *unit.Decoder) {
	switch d.Tag() {
	case 15:
		s.decodeRead(d)
	case 16:
		s.decodeHeld(d)
	case 17:
		s.pidWait = d.Bool()
	case 18:
		s.removal = d.Uint()
	case 19:
		s.leftover = d.Bool()
	case 20:
		s.notice = notice(d.Uint())
	case 21:
		s.statusText = d.Str()
	case 22:
		s.errno = int(d.Int())
	case 23:
		s.watchdog.armed = d.Bool()
	case 24:
		s.watchdog.at = d.Duration()
	case 25:
		s.override = d.Duration()
	case 26:
		s.stored = append(s.stored, storedFD{FDRef: d.FDRef()})
	case 27:
		s.nextFD = d.Uint()
	case 28:
		s.conn = d.FDRef()
	case 29:
		s.cgroup = d.Str()
	case 30:
		s.dbusSaid = d.Bool()
	case 31:
		if from := d.Str(); len(s.stored) > 0 {
			s.stored[len(s.stored)-1].from = from
		}
	case 32:
		s.forgetful = d.Bool()
	}
}

// maxStatuses bounds the place of a command in a snapshot, which is not to be trusted.
const maxStatuses = 1 << 12

func (s *Service) decodeStatus(d *unit.Decoder) {
	var l, i uint64
	var st execStatus
	d.Message(func(d *unit.Decoder) {
		switch d.Tag() {
		case 1:
			l = d.Uint()
		case 2:
			i = d.Uint()
		default:
			st.decodeField(d)
		}
	})
	if l < uint64(numLists) && i < maxStatuses {
		*s.statusOf(list(l), int(i)) = st
	}
}

func (s *Service) decodeRead(d *unit.Decoder) {
	var r read
	d.Message(func(d *unit.Decoder) {
		switch d.Tag() {
		case 1:
			r.seq = d.Uint()
		case 2:
			r.why = why(d.Uint())
		}
	})
	s.reads = append(s.reads, r)
}

func (s *Service) decodeHeld(d *unit.Decoder) {
	h := &held{}
	d.Message(func(d *unit.Decoder) {
		switch d.Tag() {
		case 1:
			h.proc = d.Proc()
		case 2:
			h.exit.Code = unit.ExitCode(d.Uint())
		case 3:
			h.exit.Status = int(d.Int())
		}
	})
	s.held = h
}
