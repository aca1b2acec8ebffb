package core

import (
	"fmt"

	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Tags of a cause. They stand beside those of what it is the cause of: a Change, or a job to be planned.
const (
	tagCause   = 20 + iota // kind
	tagRel                 // one more than the relation
	tagCode                // of an exit
	tagChange              // number of another change
	tagPID                 //
	tagStatus              //
	tagUnit                //
	tagText                //
	tagCaller              // there is one
	tagCallUID             //
	tagCallPID             //
	tagCallComm
)

func encodeCause(enc *record.Encoder, c *Cause) {
	enc.OptUint(tagCause, uint64(c.Kind))
	if c.Kind == CauseUnit || c.Kind == CauseIsolate {
		enc.Uint(tagRel, uint64(c.Rel)+1)
	}
	enc.OptUint(tagCode, uint64(c.Code))
	enc.OptUint(tagChange, uint64(c.Change))
	enc.OptInt(tagPID, int64(c.PID))
	enc.OptInt(tagStatus, int64(c.Status))
	enc.OptString(tagUnit, string(c.Unit))
	enc.OptString(tagText, c.Text)
	if c.Caller != nil {
		enc.Bool(tagCaller, true)
		enc.OptInt(tagCallUID, int64(c.Caller.UID))
		enc.OptInt(tagCallPID, int64(c.Caller.PID))
		enc.OptString(tagCallComm, c.Caller.Comm)
	}
}

// decodeCause takes one field; false if it is none of a cause's.
func decodeCause(f record.Field, c *Cause, s *shared) (bool, error) {
	var caller Caller
	if c.Caller != nil {
		caller = *c.Caller
	}
	switch f.Tag {
	case tagCause:
		return true, record.Uint(f, &c.Kind)
	case tagRel:
		var n uint32
		err := record.Uint(f, &n)
		if err == nil && (n == 0 || n > uint32(unit.NumRelations)) {
			return true, fmt.Errorf("cannot read relation %d", n)
		}
		c.Rel = unit.Relation(n - 1)
		return true, err
	case tagCode:
		return true, record.Uint(f, &c.Code)
	case tagChange:
		return true, record.Uint(f, &c.Change)
	case tagPID:
		return true, record.Int(f, &c.PID)
	case tagStatus:
		return true, record.Int(f, &c.Status)
	case tagUnit:
		return true, sharedString(f, &c.Unit, s)
	case tagText:
		return true, sharedString(f, &c.Text, s)
	case tagCaller:
		c.Caller = s.caller(caller)
		return true, nil
	case tagCallUID:
		err := record.Int(f, &caller.UID)
		c.Caller = s.caller(caller)
		return true, err
	case tagCallPID:
		err := record.Int(f, &caller.PID)
		c.Caller = s.caller(caller)
		return true, err
	case tagCallComm:
		err := record.String(f, &caller.Comm)
		c.Caller = s.caller(caller)
		return true, err
	}
	return false, nil
}

// encodeChanges writes x's record of changes.
func encodeChanges(enc *record.Encoder, x *entry) {
	for i := range x.changes {
		m := enc.Begin(tagChanges)
		encodeChange(enc, &x.changes[i])
		enc.End(m)
	}
}

// tagChanges is the place of a change in its unit's record.
const tagChanges = 24

func encodeChange(enc *record.Encoder, c *Change) {
	enc.Uint(1, uint64(c.N))
	enc.OptUint(2, uint64(c.Kind))
	enc.OptUint(3, uint64(c.Type))
	enc.OptUint(4, uint64(c.Mode))
	enc.OptUint(5, uint64(c.Result))
	enc.OptUint(6, uint64(c.State))
	enc.OptBool(7, c.Idle)
	enc.OptUint(8, uint64(c.Starts))
	enc.OptUint(9, uint64(c.Status))
	enc.OptUint(10, uint64(c.Job))
	enc.OptInt(11, int64(c.Real))
	enc.OptInt(12, int64(c.Mono))
	enc.OptInt(13, int64(c.Ended))
	enc.OptString(14, c.Detail)
	encodeCause(enc, &c.By)
	if c.newer != nil {
		enc.Raw(*c.newer)
	}
}

func decodeChange(f record.Field, s *shared) (c Change, err error) {
	err = f.Message(func(f record.Field) error {
		switch f.Tag {
		case 1:
			return record.Uint(f, &c.N)
		case 2:
			return record.Uint(f, &c.Kind)
		case 3:
			return record.Uint(f, &c.Type)
		case 4:
			return record.Uint(f, &c.Mode)
		case 5:
			return record.Uint(f, &c.Result)
		case 6:
			return record.Uint(f, &c.State)
		case 7:
			return record.Bool(f, &c.Idle)
		case 8:
			return record.Uint(f, &c.Starts)
		case 9:
			return record.Uint(f, &c.Status)
		case 10:
			return record.Uint(f, &c.Job)
		case 11:
			return record.Int(f, &c.Real)
		case 12:
			return record.Int(f, &c.Mono)
		case 13:
			return record.Int(f, &c.Ended)
		case 14:
			return sharedString(f, &c.Detail, s)
		}
		if known, err := decodeCause(f, &c.By, s); known {
			return err
		}
		if c.newer == nil {
			c.newer = new(record.Unknown)
		}
		c.newer.Keep(f)
		return nil
	})
	return c, err
}

// shared gives equal strings and callers one place in memory, as they had before the crash. It is needed
// during recovery only; nil shares nothing.
type shared struct {
	strings map[string]string
	callers map[Caller]*Caller
}

func newShared() *shared {
	return &shared{strings: make(map[string]string), callers: make(map[Caller]*Caller)}
}

func (s *shared) caller(c Caller) *Caller {
	if s == nil {
		return &c
	}
	p := s.callers[c]
	if p == nil {
		p = &c
		s.callers[c] = p
	}
	return p
}

func sharedString[T ~string](f record.Field, dst *T, s *shared) error {
	if s == nil {
		return record.String(f, dst)
	}
	b, err := f.Bytes()
	if err != nil {
		return err
	}
	text, ok := s.strings[string(b)]
	if !ok {
		text = string(b)
		s.strings[text] = text
	}
	*dst = T(text)
	return nil
}
