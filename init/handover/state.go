package handover

import (
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/state/record"
)

// State is what an init knows. Where 0 or empty is no value, it means none.
type State struct {
	Version    string // of the init that wrote it
	Reexecs    uint64 // executions so far
	Generation uint64 // of the core
	Core       Core
	LastCause  fdstore.Cause
	LastExit   fdstore.Exit
	Deaths     []int64 // when cores died by themselves
	Fails      int64   // deaths in a row
	StartAt    int64
	Rescue     Rescue

	FDs        []FD
	Exits      []Exit
	NextExit   uint64
	Registered []Process
	Lost       uint64
	Behind     bool // exits that nobody registered count, too

	Pending  []Signal
	SignalID uint64
	Bursts   int64
	BurstAt  int64
	Intent   fdstore.Shutdown
	Due      int64 // of Intent

	Outcome  fdstore.Upgrade // of the last upgrade; ID and Result
	Running  Binary          // what the core was started from
	Previous Binary          // what to go back to
	// Installed is what was at the core's path; no descriptor.
	Installed FD
	Own       FD    // the program of the init that wrote this
	OOMScore  int64 // what init was started with and children get, if its own is -1000

	unknown record.Unknown
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
	PID                               int64 // 0: none runs
	Conn, Words                       FD
	Version                           uint8
	Hello, Turned, Welcomed, Complete bool // Complete: StoredEnd was sent
	KillAt                            int64
	Started                           int64
	Bad                               int64
	Unsent                            []string
	Stored                            uint32
	Results                           [][]byte // packets of fdstore
	Deaf, Healthy                     bool     // Healthy: it told its version

	unknown record.Unknown
}

// Binary is a program that is held open.
type Binary struct {
	File     FD
	Path     string
	Version  string
	Deadline int64 // Previous: until then init goes back to it by itself
}

// Rescue is the use of the console without a core.
type Rescue struct {
	Stage   uint8 // of policy.Stage
	PID     int64
	Next    int64
	Started int64
}

// Exit is one that the core has not acknowledged.
type Exit struct {
	Exit         fdstore.Exit
	Wanted, Sent bool
}

// Process is one that the core registered.
type Process struct {
	PID   int64
	Start uint64
}

// Signal is one that the core has not taken.
type Signal struct {
	Number int64
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

// Rest is what a later version wrote and this one does not know, to be handed on.
func (s *State) Rest() *State { return &State{unknown: s.unknown, Core: Core{unknown: s.Core.unknown}} }

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
