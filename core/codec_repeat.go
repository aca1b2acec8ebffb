package core

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

const (
	repeatVersion = 1
	repeatPrefix  = "request/"
)

func (k repeatKey) record() string {
	return repeatPrefix + strconv.Itoa(k.uid) + "/" + hex.EncodeToString(k.id[:])
}

func parseRepeatKey(s string) (k repeatKey, ok bool) {
	uid, id, _ := strings.Cut(strings.TrimPrefix(s, repeatPrefix), "/")
	n, err := strconv.Atoi(uid)
	b, idErr := hex.DecodeString(id)
	if err != nil || idErr != nil || len(b) != len(k.id) {
		return k, false
	}
	k.uid = n
	copy(k.id[:], b)
	return k, true
}

// reasons are the stored numbers of the errors that a request may be answered with: append only.
func reasons() []error {
	return []error{nil,
		ErrNoSuchUnit, ErrMasked, ErrBadUnit, ErrLoad, ErrOnlyByDep, ErrNoIsolate, ErrNotApplicable, ErrConflict,
		ErrDestructive, ErrIrreversible, ErrNoSuchJob, ErrShuttingDown, ErrStore, ErrNoSuchProcess, ErrNotSupported,
		ErrTooManyUnits, ErrTransactionLoop, ErrRequestReused, ErrNoSuchRequest, ErrTooManyWaiters,
		ErrQuarantined,
	}
}

// storedError is an error that was read back: its text, and its reason if it has one.
type storedError struct {
	text   string
	reason error
}

func (e *storedError) Error() string { return e.text }
func (e *storedError) Unwrap() error { return e.reason }

func encodeAsked(enc *record.Encoder, a *asked) {
	enc.Uint(1, a.what)
	enc.Uint(2, a.order)
	enc.Int(3, int64(a.at))
	enc.OptUint(4, uint64(a.resp.Job))
	enc.OptString(5, string(a.resp.Unit))
	enc.OptUint(6, uint64(a.resp.Result))
	if a.resp.Err != nil {
		enc.Message(7, func(enc *record.Encoder) { encodeError(enc, a.resp.Err) })
	}
	enc.Raw(a.unknown)
}

func encodeError(enc *record.Encoder, err error) {
	all := reasons()
	reason := len(all) - 1
	for reason > 0 && !errors.Is(err, all[reason]) {
		reason--
	}
	enc.OptUint(4, uint64(reason))
	var r *RequestError
	if reason == 0 || !errors.As(err, &r) {
		enc.String(3, err.Error())
		return
	}
	enc.OptString(1, string(r.Unit))
	enc.OptString(2, r.Detail)
}

func decodeAsked(data []byte, a *asked) error {
	a.known = true
	return record.Decode(data, func(f record.Field) error {
		switch f.Tag {
		case 1:
			return record.Uint(f, &a.what)
		case 2:
			return record.Uint(f, &a.order)
		case 3:
			return record.Int(f, &a.at)
		case 4:
			return record.Uint(f, &a.resp.Job)
		case 5:
			return record.String(f, &a.resp.Unit)
		case 6:
			return record.Uint(f, &a.resp.Result)
		case 7:
			return decodeError(f, &a.resp.Err)
		}
		a.unknown.Keep(f)
		return nil
	})
}

func decodeError(f record.Field, dst *error) error {
	var r RequestError
	var text string
	var reason uint32
	err := f.Message(func(f record.Field) error {
		switch f.Tag {
		case 1:
			return record.String(f, &r.Unit)
		case 2:
			return record.String(f, &r.Detail)
		case 3:
			return record.String(f, &text)
		case 4:
			return record.Uint(f, &reason)
		}
		return nil
	})
	if all := reasons(); int(reason) < len(all) {
		r.Err = all[reason]
	}
	switch {
	case text != "" || r.Err == nil:
		*dst = &storedError{text, r.Err}
	default:
		*dst = &r
	}
	return err
}

// encodeRepeats appends what changed of the requests that are remembered.
func (e *Engine) encodeRepeats(marks []int) []int {
	for _, a := range e.repeats.gone {
		if e.repeats.byKey[a.repeatKey] == nil {
			e.records = append(e.records, state.Record{Segment: state.Meta, Key: a.record()})
			marks = append(marks, -1)
		}
	}
	for _, a := range e.repeats.dirty {
		encodeAsked(&e.enc, a)
		e.records = append(e.records, state.Record{Segment: state.Meta, Key: a.record(), Version: e.formats.version("request")})
		marks = append(marks, e.enc.Len())
	}
	return marks
}

// readRepeat takes a request that was remembered. One that cannot be read is forgotten.
func (e *Engine) readRepeat(r state.Record) {
	k, ok := parseRepeatKey(r.Key)
	a := &asked{repeatKey: k, stored: true}
	err := decodeAsked(r.Data, a)
	if !ok || err != nil {
		e.say(unit.LevelErr, "", "a remembered request cannot be read: "+r.Key)
		return
	}
	e.repeats.byKey[k] = a
	e.repeats.list = append(e.repeats.list, a)
}
