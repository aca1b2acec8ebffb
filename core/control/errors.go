package control

import (
	"errors"
	"strings"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// Error names of the D-Bus Specification that the server uses.
const (
	errFailed        = "org.freedesktop.DBus.Error.Failed"
	errInvalidArgs   = "org.freedesktop.DBus.Error.InvalidArgs"
	errUnknownMethod = "org.freedesktop.DBus.Error.UnknownMethod"
	errUnknownObject = "org.freedesktop.DBus.Error.UnknownObject"
	errUnknownProp   = "org.freedesktop.DBus.Error.UnknownProperty"
	errUnknownIface  = "org.freedesktop.DBus.Error.UnknownInterface"
	errReadOnly      = "org.freedesktop.DBus.Error.PropertyReadOnly"
	errNotSupported  = "org.freedesktop.DBus.Error.NotSupported"
	errLimits        = "org.freedesktop.DBus.Error.LimitsExceeded"
	errNoUnitForPID  = wire.Service + ".NoUnitForPID"
	errNoSuchUnit    = wire.Service + ".NoSuchUnit"
	errNoSuchJob     = wire.Service + ".NoSuchJob"
	errReused        = wire.OwnService + ".RequestReused"
	errNoRequest     = wire.OwnService + ".NoSuchRequest"
	errNoSuchCrash   = wire.OwnService + ".NoSuchCrash"
)

// busError is an answer that this package decided on.
type busError struct{ name, text string }

func (e *busError) Error() string { return e.text }

// errorNames maps the engine's reasons to systemd's error names and texts ("%s": the unit).
var errorNames = []struct {
	err  error
	name string
	text string
}{
	{core.ErrNoSuchUnit, errNoSuchUnit, "Unit %s not found."},
	{core.ErrMasked, wire.Service + ".UnitMasked", "Unit %s is masked."},
	{core.ErrBadUnit, wire.Service + ".BadUnitSetting", "Unit %s has a bad unit file setting."},
	{core.ErrLoad, wire.Service + ".LoadFailed", "Unit %s failed to load properly."},
	{core.ErrOnlyByDep, wire.Service + ".OnlyByDependency",
		"Operation refused, unit %s may be requested by dependency only (it is configured to refuse manual start/stop)."},
	{core.ErrNoIsolate, wire.Service + ".NoIsolation", "Operation refused, unit %s may not be isolated."},
	{core.ErrNotApplicable, wire.Service + ".JobTypeNotApplicable", "Job type is not applicable for unit %s."},
	{core.ErrConflict, wire.Service + ".TransactionJobsConflicting", "Transaction for %s contains conflicting jobs."},
	{core.ErrDestructive, wire.Service + ".TransactionIsDestructive", "Transaction for %s is destructive."},
	{core.ErrIrreversible, wire.Service + ".TransactionIsDestructive",
		"Transaction for %s is destructive: it contradicts a job that cannot be reversed."},
	{core.ErrTransactionLoop, wire.Service + ".TransactionOrderIsCyclic", "Transaction order is cyclic."},
	{core.ErrNoSuchJob, errNoSuchJob, ""},
	{core.ErrShuttingDown, wire.Service + ".ShuttingDown", "The machine is going down, nothing new is taken."},
	{core.ErrNoSuchProcess, wire.Service + ".NoSuchProcess", "No matching processes to kill in unit %s."},
	{core.ErrNotSupported, errNotSupported, "Operation is not supported by unit %s."},
	{core.ErrTooManyUnits, errLimits, ""},
	{core.ErrTooManyWaiters, errLimits, ""},
	{core.ErrRequestReused, errReused, ""},
	{core.ErrNoSuchRequest, errNoRequest, ""},
	{core.ErrStore, errFailed, ""},
}

// errorOf gives the D-Bus error for err.
func errorOf(err error) (name, text string) {
	var be *busError
	if errors.As(err, &be) {
		return be.name, be.text
	}
	var re *core.RequestError
	isRequest := errors.As(err, &re)
	for i := range errorNames {
		row := &errorNames[i]
		if !errors.Is(err, row.err) {
			continue
		}
		if row.text == "" || !isRequest {
			return row.name, err.Error()
		}
		text := strings.Replace(row.text, "%s", string(re.Unit), 1)
		if re.Detail != "" {
			text += " " + re.Detail
		}
		return row.name, text
	}
	return errFailed, err.Error()
}
