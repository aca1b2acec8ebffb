package control

import (
	"time"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Manager is the engine as the control API needs it. Both methods are called from many
// goroutines at once and must not block.
type Manager interface {
	// View is the newest published picture; never nil.
	View() *core.View
	// Submit queues a request. An error means that it was not queued and Reply will not be called.
	Submit(*core.Request) error
}

// CGroups reads what the kernel knows of control groups. Paths are as in UnitView.CGroup,
// relative to the managed root. It is called from many goroutines at once.
type CGroups interface {
	// Value reads one number: of a single-value file ("memory.current", key ""), or of a
	// flat-keyed one ("cpu.stat", "usage_usec"). False when there is none, or it says "max".
	Value(path, file, key string) (uint64, bool)
	// Processes lists the processes of the group and of all groups below it.
	Processes(path string) ([]Process, error)
	// Of finds the group of a process; false when it is not below the managed root.
	Of(pid int) (path string, ok bool)
}

// Process is one process of a control group.
type Process struct {
	CGroup  string // relative to the managed root
	PID     int
	Command string // its command line, or the name in brackets
}

// Info is what the Manager object says of the machine and of this program.
type Info struct {
	Version        string
	Features       string
	Virtualization string // empty: none
	Architecture   string // systemd's word, "x86-64"
	Tainted        string
	MachineID      string
	ControlGroup   string // the managed root as the kernel prints it; empty at the top
	DefaultTarget  string // what GetDefaultTarget answers
	UnitPath       []string
	Environment    []string
	Boot           BootTimes
	FailedBoots    int // in a row before this one
}

// BootTimes are the time stamps of the boot; zero means "not known".
type BootTimes struct {
	Firmware, Loader, Kernel, InitRD, Userspace, Finish, UnitsLoadStart, UnitsLoadFinish unit.Stamp
}

// Config is all that a Server needs. Manager is required, everything else may be left out.
type Config struct {
	Manager Manager
	CGroups CGroups
	// Command gives a process's command line, for those that are listed without CGroups;
	// nil: what the process is to its unit stands in its place.
	Command func(pid int) string
	// Info is called whenever a property of the Manager object is read.
	Info func() Info
	// FileState tells a unit's enablement ("enabled", "static") and the preset's wish for it.
	FileState func(u *core.UnitView) (state, preset string)
	// Stale reports whether a unit's files have changed since they were read, or drop-ins were added.
	Stale func(u *core.UnitView) bool
	// Crashes are what the cores before this one left, the newest first.
	Crashes []Crash
	// Allow decides who may connect, by the user id the kernel reports; nil: root only.
	Allow func(uid int) bool
	// Observe gets a Record of what went wrong; nil: nobody is told. It must not block.
	Observe func(Record)
	Limits  Limits
	// Upgrades exchanges programs; nil: it cannot be done.
	Upgrades Upgrades
}

// Limits bound what clients can cost. Zero fields mean the default.
type Limits struct {
	Conns       int           // connections in all: 4096
	ConnsPerUID int           // of one user that is not root: 64
	AuthTime    time.Duration // from connecting to BEGIN: 30 s
	FrameTime   time.Duration // from a frame's first byte to its last: 30 s
	WriteTime   time.Duration // for the peer to take something of what is written: 60 s
	Frame       int           // longest incoming message: 1 MiB
	AllFrames   int           // memory of all messages being received: 16 MiB
	Unsent      int           // bytes of signals that may wait for a slow reader: 4 MiB
	Commands    int           // commands under way per connection: 64
	Events      int           // events not yet published: 65536
}

func (l Limits) withDefaults() Limits {
	number := func(p *int, d int) {
		if *p == 0 {
			*p = d
		}
	}
	span := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	number(&l.Conns, 4096)
	number(&l.ConnsPerUID, 64)
	number(&l.Frame, 1<<20)
	number(&l.AllFrames, 16<<20)
	number(&l.Unsent, 4<<20)
	number(&l.Commands, 64)
	number(&l.Events, 1<<16)
	span(&l.AuthTime, 30*time.Second)
	span(&l.FrameTime, 30*time.Second)
	span(&l.WriteTime, 60*time.Second)
	return l
}

// Record is one thing worth telling the administrator.
type Record struct {
	UID, PID int // the peer; -1 when it is about none
	Err      error
}
