package core

import (
	"errors"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Reasons for refusing a request. A *RequestError wraps one of them.
var (
	ErrNoSuchUnit      = errors.New("unit not found")
	ErrMasked          = errors.New("unit is masked")
	ErrBadUnit         = errors.New("unit has a bad setting")
	ErrLoad            = errors.New("unit cannot be loaded")
	ErrOnlyByDep       = errors.New("operation refused, unit may be requested by dependency only")
	ErrNoIsolate       = errors.New("operation refused, unit may not be isolated")
	ErrNotApplicable   = errors.New("job type is not applicable to the unit")
	ErrConflict        = errors.New("transaction contains conflicting jobs")
	ErrDestructive     = errors.New("transaction is destructive")
	ErrIrreversible    = errors.New("transaction contradicts an irreversible job")
	ErrNoSuchJob       = errors.New("no such job")
	ErrShuttingDown    = errors.New("the machine is going down")
	ErrStore           = errors.New("the state store does not take anything new")
	ErrNoSuchProcess   = errors.New("no matching processes")
	ErrNotSupported    = errors.New("operation not supported by the unit's kind")
	ErrTooManyUnits    = errors.New("too many units")
	ErrQuarantined     = errors.New("it is quarantined")
	ErrTransactionLoop = errors.New("the order of the transaction contains a cycle")
)

// RequestError says which unit a request failed for, and why.
type RequestError struct {
	Unit   unit.Name
	Err    error // one of the reasons above
	Detail string
}

func (e *RequestError) Error() string {
	s := string(e.Unit) + ": " + e.Err.Error()
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap gives the reason.
func (e *RequestError) Unwrap() error { return e.Err }

// Edge is one ordering edge of a cycle, with the place that wrote it.
type Edge struct {
	From, To unit.Name // From starts before To
	Pos      unit.Pos
}

// CycleError reports an ordering cycle: each edge with its file and line.
type CycleError struct{ Path []Edge }

func (e *CycleError) Error() string {
	var b strings.Builder
	b.WriteString("ordering cycle:")
	for _, s := range e.Path {
		b.WriteString(" " + string(s.From) + " before " + string(s.To))
		if p := s.Pos.String(); p != "" {
			b.WriteString(" (" + p + ")")
		}
		b.WriteString(";")
	}
	return strings.TrimSuffix(b.String(), ";")
}

// Unwrap gives ErrTransactionLoop.
func (e *CycleError) Unwrap() error { return ErrTransactionLoop }
