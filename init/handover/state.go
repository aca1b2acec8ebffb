package handover

import (
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/state/record"
)

// State is what an init knows. Where 0 or empty is no value, it means none.
type State struct {
	Version string // of the init that wrote it
	Known
	Core    Core
	Deaths  []int64 // when cores died by themselves
	Fails   int     // deaths in a row
	StartAt int64
	Rescue  Rescue

	FDs        []FD
	Exits      []Exit
	NextExit   uint64
	Registered []Process

	Pending []Signal
	BurstAt int64
	Due     int64 // of Intent

	Running  Binary // what the core was started from
	Previous Binary // what to go back to
	// Installed is what was at the core's path; no descriptor.
	Installed FD
	Own       FD // the program of the init that wrote this
}

// Known is what means the same to the next program as to the one before.
type Known struct {
	Reexecs    uint64 // executions so far
	Generation uint64 // of the core
	LastCause  fdstore.Cause
	LastExit   fdstore.Exit
	Lost       uint64 // exits
	Behind     bool   // exits that nobody registered count, too
	SignalID   uint64
	Bursts     int
	Intent     fdstore.Shutdown // what the core took upon itself
	Outcome    fdstore.Upgrade  // of the last upgrade
	OOMScore   int64            // what init was started with and children get, if its own is -1000

	unknown record.Unknown // what a later version wrote, to be handed on
}

// FD is one descriptor: a number and what it must refer to.
type FD struct {
	Key  string // of the store; empty for init's own
	FD   int
	Dev  uint64
	Ino  uint64
	Kind uint32 // S_IFMT of the mode
}

// Core is the running core.
type Core struct {
	KnownCore
	Conn, Words     FD
	KillAt, Started int64
	Results         [][]byte // packets of fdstore
}

// KnownCore is Known of the core.
type KnownCore struct {
	PID      int // 0: none runs
	Version  uint8
	Hello    bool // it asked for what is kept ...
	Turned   bool // ... and has completed a turn since: only then does init rely on it
	Welcomed bool
	Complete bool     // StoredEnd was sent
	Unsent   []string // keys still to send
	Stored   uint32   // ... and how many were
	Bad      int      // packets that it sent wrong
	Deaf     bool     // it closed its end
	Healthy  bool     // it reported healthy, and what its version is

	unknown record.Unknown
}

// Binary is a program that is held open.
type Binary struct {
	File     FD
	Path     string
	Version  string
	Deadline int64 // Previous: until then init goes back to it by itself
}

// Held reports whether there is one.
func (b *Binary) Held() bool { return b.File.FD > 0 }

// Release closes it; the zero value is none.
func (b *Binary) Release() {
	if b.Held() {
		_ = unix.Close(b.File.FD) // it was read only
	}
	*b = Binary{}
}

// Rescue is the use of the console without a core.
type Rescue struct {
	Stage   uint8 // of policy.Stage
	PID     int
	Next    int
	Started int64
}

// Exit is one that the core has not acknowledged.
type Exit struct {
	fdstore.Exit
	Wanted, Sent bool
	Sure         bool // registered while it lived: takes no room from the others, nor they from it
}

// Process is one that the core registered.
type Process struct {
	PID   int
	Start uint64
}

// Signal is one that the core has not taken.
type Signal struct {
	Number int
	ID     uint64
	Sent   bool
	Verb   fdstore.Verb
	Due    int64
}

// Identify fills in what a descriptor refers to.
func Identify(key string, fd int) (FD, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return FD{Key: key, FD: fd, Dev: uint64(st.Dev), Ino: st.Ino, Kind: st.Mode & unix.S_IFMT}, err
}

// Identity is what it refers to, whatever its number.
func (f FD) Identity() FD { return FD{Dev: f.Dev, Ino: f.Ino, Kind: f.Kind} }

// Check reports why a descriptor is not what it was.
func (f FD) Check() error {
	now, err := Identify(f.Key, f.FD)
	if err != nil {
		return &FDError{f, err}
	}
	if now != f {
		return &FDError{f, unix.ESTALE}
	}
	return nil
}

// Descriptors calls fn with each descriptor of the state.
func (s *State) Descriptors(fn func(*FD)) {
	for i := range s.FDs {
		fn(&s.FDs[i])
	}
	for _, f := range [...]*FD{&s.Core.Conn, &s.Core.Words, &s.Running.File, &s.Previous.File, &s.Own} {
		if *f != (FD{}) {
			fn(f)
		}
	}
}

// Check checks all descriptors.
func (s *State) Check() error {
	var first error
	seen := make(map[int]bool)
	s.Descriptors(func(f *FD) {
		err := f.Check()
		if err == nil && (f.FD <= 2 || seen[f.FD]) {
			err = &FDError{*f, unix.EBADF}
		}
		seen[f.FD] = true
		if first == nil {
			first = err
		}
	})
	return first
}
