package state

import (
	"errors"
	"fmt"
	"syscall"
)

// Reasons for which a commit cannot be written; found with errors.Is in a *CommitError.
var (
	ErrFull     = errors.New("no space left for the state")          // ENOSPC, EDQUOT: UseReserve helps
	ErrReadOnly = errors.New("the state directory is not writable")  // EROFS, EACCES, EPERM
	ErrGone     = errors.New("the state directory is gone")          // ENOENT, ENOTDIR, ESTALE, removed files
	ErrIO       = errors.New("the state directory cannot be used")   // EIO and everything else
	ErrClosed   = errors.New("the store is closed")                  // any call after Close
	ErrLocked   = errors.New("the state is used by another process") // Open
)

// CommitError says that a commit is not recorded: neither on disk nor in memory.
type CommitError struct {
	Op     string // "write", "allocate", "create" ...
	File   string // name in the state directory
	Reason error  // ErrFull, ErrReadOnly, ErrGone or ErrIO
	Err    error  // what the system said
}

// Error describes the failure.
func (e *CommitError) Error() string {
	return fmt.Sprintf("cannot %s state file %s: %v: %v", e.Op, e.File, e.Reason, e.Err)
}

// Unwrap gives the reason and the system's error to errors.Is and errors.As.
func (e *CommitError) Unwrap() []error { return []error{e.Reason, e.Err} }

func commitError(op, file string, err error) *CommitError {
	return &CommitError{Op: op, File: file, Reason: reason(err), Err: err}
}

func reason(err error) error {
	for _, r := range []error{ErrFull, ErrReadOnly, ErrGone} {
		if errors.Is(err, r) {
			return r
		}
	}
	var no syscall.Errno
	if errors.As(err, &no) {
		switch no {
		case syscall.ENOSPC, syscall.EDQUOT:
			return ErrFull
		case syscall.EROFS, syscall.EACCES, syscall.EPERM:
			return ErrReadOnly
		case syscall.ENOENT, syscall.ENOTDIR, syscall.ESTALE:
			return ErrGone
		}
	}
	return ErrIO
}

// LimitError says that a commit exceeds a bound of the store: a bug of the caller, or hostile input that reached it.
type LimitError struct {
	What string // "key length", "record size", "commit size", "segment", "records"
	Key  string // shortened
	Size int64
	Max  int64
}

// Error describes the bound.
func (e *LimitError) Error() string {
	return fmt.Sprintf("cannot commit record %q: %s %d, at most %d", e.Key, e.What, e.Size, e.Max)
}

// VersionError says that the directory holds a file of a format that is newer than this program knows. Open
// refuses it and has changed nothing.
type VersionError struct {
	File string
	Have uint32 // the file's format
	Max  uint32 // the newest format known here
}

// Error describes the versions.
func (e *VersionError) Error() string {
	return fmt.Sprintf("cannot open state file %s: its format %d is newer than %d", e.File, e.Have, e.Max)
}
