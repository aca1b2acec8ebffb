package client

import "errors"

// Error is an answer of the manager that is an error: a D-Bus error name and a text.
type Error struct{ Name, Text string }

func (e *Error) Error() string { return e.Text }

// Names of errors that callers act on.
const (
	NoSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"
	NoSuchJob  = "org.freedesktop.systemd1.NoSuchJob"
	UnitMasked = "org.freedesktop.systemd1.UnitMasked"
	// NoSuchRequest: the manager does not remember a command of that number.
	NoSuchRequest = "org.sysmaster.NoSuchRequest"
)

// Is reports whether err is the manager's error of the given name.
func Is(err error, name string) bool {
	var e *Error
	return errors.As(err, &e) && e.Name == name
}

// LostError says that the connection ended before the answer came: the manager may or may
// not have done what was asked.
type LostError struct{ Err error }

func (e *LostError) Error() string {
	return "the connection to the service manager was lost: " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *LostError) Unwrap() error { return e.Err }

// UnreachableError says that the manager cannot be reached at all.
type UnreachableError struct {
	Path string
	Err  error
}

func (e *UnreachableError) Error() string {
	return "cannot reach the service manager at " + e.Path + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// notSentError says that a call was not sent, so that it may be sent again.
type notSentError struct{ err error }

func (e *notSentError) Error() string { return e.err.Error() }
func (e *notSentError) Unwrap() error { return e.err }
