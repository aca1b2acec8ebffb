package fdstore

import (
	"errors"
	"strconv"
	"syscall"
	"time"
)

// EnvFD is the environment variable with the number of the descriptor that
// the core inherits.
const EnvFD = "SYSMASTER_INIT_FD"

// What else the environment of a core says.
const (
	// EnvRole is the variable with the role that a core is started in; unset: the normal one.
	EnvRole = "SYSMASTER_ROLE"
	// RoleTrial: a core that has to report Healthy and to wait for Adopted before it writes or acts.
	RoleTrial = "trial"
	// RoleRescue: cores in the normal role cannot be kept alive. This one sets the log aside
	// and offers rescue.target.
	RoleRescue = "rescue"
	// EnvCrashFD is the variable with the number of a descriptor for the core's last words, a
	// memfd of fixed size that init keeps: CrashOutput.
	EnvCrashFD = "SYSMASTER_CRASH_FD"
)

// Beginnings of keys that mean something to init.
const (
	// DoorPrefix marks sockets at which the core itself is asked for something: the control
	// API's, and that of notifications. While the core says that it is idle, init looks for
	// whoever comes to one; the core must then send Pulse within Welcome.Busy. So a core
	// says that it is idle only when none of its doors is readable.
	DoorPrefix = "door/"
	// CrashPrefix marks the last words of dead cores: "crash/" and a [Crash]. Init makes
	// them and drops the oldest; a core that puts or drops one is answered EPERM.
	CrashPrefix = "crash/"
)

// Version is the newest protocol version that this package speaks. 2 added the kinds from 64 on.
const Version = 2

// Bounds of the protocol. Whatever exceeds them is refused by both ends.
const (
	MaxMessage  = 4096 // bytes of a packet
	MaxKey      = 255  // bytes of a descriptor's key, as systemd's FDNAME=
	MaxCgroup   = 3072 // bytes of a cgroup path
	MaxArgument = 255  // bytes of a reboot argument (reboot(2) takes 256)
	MaxVersion  = 64   // bytes of a program's version
	MaxReason   = 512  // bytes of why an upgrade was refused or taken back
)

// Errors of encoding and decoding. All but ErrUnknownKind mean that the peer
// does not follow the protocol.
var (
	ErrMalformed   = errors.New("malformed message")
	ErrVersion     = errors.New("message of an unknown protocol version")
	ErrUnknownKind = errors.New("message of an unknown kind")
	ErrBounds      = errors.New("message exceeds the protocol's bounds")
	ErrKey         = errors.New("descriptor key is empty, too long or has unprintable bytes")
)

// Kind says what a message is; the package comment has the table.
type Kind uint8

// The kinds. Numbers are never reused.
const (
	KindHello      Kind = 1
	KindAlive      Kind = 2
	KindPut        Kind = 3
	KindDrop       Kind = 4
	KindDropPrefix Kind = 5
	KindRegister   Kind = 6
	KindUnregister Kind = 7
	KindAckExit    Kind = 8
	KindAckSignal  Kind = 9
	KindShutdown   Kind = 10

	KindWelcome   Kind = 32
	KindStored    Kind = 33
	KindStoredEnd Kind = 34
	KindExit      Kind = 35
	KindSignal    Kind = 36
	KindPutResult Kind = 37

	// The kinds of version 2. What a later version appends to their fields is skipped.
	KindUpgrade Kind = 64 // from the core, like the next one
	KindHealthy Kind = 65
	KindAdopted Kind = 66 // from init, like the next two
	KindOutcome Kind = 67
	KindAbout   Kind = 68
	KindPulse   Kind = 70 // from the core
)

// firstOpen is the first kind that may grow: fields behind those known are skipped.
const firstOpen = KindUpgrade

// FromCore reports whether only the core sends this kind.
func (k Kind) FromCore() bool {
	return k < KindWelcome || k == KindUpgrade || k == KindHealthy || k == KindPulse
}

// HasFD reports whether a descriptor travels with this kind.
func (k Kind) HasFD() bool { return k == KindPut || k == KindStored || k == KindUpgrade }

// Verb is what a Shutdown asks for.
type Verb uint8

// The verbs, as systemctl names them. VerbExit ends init with an exit code
// where it may end (container, pid namespace, keeper) and powers off elsewhere.
const (
	VerbNone     Verb = 0
	VerbPoweroff Verb = 1
	VerbReboot   Verb = 2
	VerbHalt     Verb = 3
	VerbKexec    Verb = 4
	VerbExit     Verb = 5
)

// String gives the verb as systemctl and the system-shutdown hooks spell it.
func (v Verb) String() string {
	switch v {
	case VerbNone:
		return "none"
	case VerbPoweroff:
		return "poweroff"
	case VerbReboot:
		return "reboot"
	case VerbHalt:
		return "halt"
	case VerbKexec:
		return "kexec"
	case VerbExit:
		return "exit"
	}
	return "verb " + strconv.Itoa(int(v))
}

// Shutdown is the end that somebody asks for. Code is VerbExit's exit code, 0
// to 255; Argument is VerbReboot's RebootArgument= (reboot(2), RESTART2).
type Shutdown struct {
	Verb     Verb
	Code     uint8
	Argument string
}

// Cause is why the previous core ended.
type Cause uint8

// The causes. A peer of another age may know more: an unknown one is nobody's
// fault, and prints as its number.
const (
	CauseNone  Cause = 0 // there was no previous core
	CauseExit  Cause = 1 // it exited by itself, or could not be executed (Code and Status are 0)
	CauseCrash Cause = 2 // exit status 2 (a Go panic), ABRT, SEGV, BUS, ILL, FPE, SYS, TRAP
	CauseHang  Cause = 3 // init killed it: no turn within its interval
	CauseKill  Cause = 4 // any other signal, thus somebody else
	CauseOOM   Cause = 5 // the kernel killed it because memory had run out

	// The ends of a program that was to take over, and of the one that made room for it. They say nothing
	// about the program that is told of them.
	CauseTrial     Cause = 6 // it ended, or could not be executed, before it reported healthy
	CauseTrialHang Cause = 7 // init killed it: it did not report healthy in time
	CauseProbation Cause = 8 // it died by itself too often in its first time
	CauseReplaced  Cause = 9 // it made room for another program
)

// SelfInflicted reports whether the core died of what it did: such a death counts
// against init's retry budget and towards the core's quarantine of an event.
// CauseExit counts against the budget alone.
func (c Cause) SelfInflicted() bool { return c == CauseCrash || c == CauseHang || c == CauseOOM }

// String gives the cause in one word.
func (c Cause) String() string {
	switch c {
	case CauseNone:
		return "none"
	case CauseExit:
		return "exit"
	case CauseCrash:
		return "crash"
	case CauseHang:
		return "hang"
	case CauseKill:
		return "kill"
	case CauseOOM:
		return "out of memory"
	case CauseTrial:
		return "died on trial"
	case CauseTrialHang:
		return "hung on trial"
	case CauseProbation:
		return "died on probation"
	case CauseReplaced:
		return "replaced"
	}
	return "cause " + strconv.Itoa(int(c))
}

// Welcome answers Hello.
type Welcome struct {
	Version    uint8         // what both speak; 0: there is no such version
	Generation uint64        // cores started so far, this one included
	Cause      Cause         // of the previous core's end
	Code       int32         // its si_code (CLD_EXITED, CLD_KILLED, CLD_DUMPED)
	Status     int32         // its exit status or signal
	Lost       uint64        // exits that init could not keep, since it started
	Idle       time.Duration // longest that Pulse may promise; 0: nobody watches
	Busy       time.Duration // how late Pulse may be, and longest silence while there is work
}

// Exit is a process that init reaped.
type Exit struct {
	ID        uint64 // ascending, never reused while init lives
	PID       int
	StartTime uint64 // clock ticks after boot, proc(5) stat field 22; 0: unknown
	Session   int    // pid of the session leader
	Code      int32  // si_code: CLD_EXITED, CLD_KILLED, CLD_DUMPED (waitid(2))
	Status    int32  // exit status or signal
	Cgroup    string // path in the v2 hierarchy; "": unknown or longer than MaxCgroup
}

// Message is one packet. Which fields count depends on Kind; the others are zero.
type Message struct {
	Kind     Kind
	Version  uint8         // Hello
	Turn     uint64        // Alive, Pulse: turns that this core completed
	Next     time.Duration // Pulse: the next one comes within this time, in milliseconds; 0: there is work now
	Busy     bool          // Alive: work is in flight, expect the next one soon
	Seq      uint32        // Put, Drop, DropPrefix, PutResult
	Key      string        // Put, Drop, DropPrefix, Stored
	FD       int           // Put, Stored: owned by the receiver; -1 when the kernel could not deliver it
	PID      int           // Register, Unregister
	Start    uint64        // Register, Unregister: clock ticks after boot
	ID       uint64        // AckExit, AckSignal, Signal
	Signal   int           // Signal
	Count    uint32        // StoredEnd
	Errno    syscall.Errno // PutResult
	Shutdown Shutdown      // Shutdown
	Welcome  Welcome       // Welcome
	Exit     Exit          // Exit
	Upgrade  Upgrade       // Upgrade, Healthy (To), Adopted (ID), Outcome
	About    About         // About
}

// ValidKey reports whether a key may name a descriptor: 1 to MaxKey printable
// ASCII bytes. By convention the unit's name comes first: "dbus.socket/0".
func ValidKey(key string) bool {
	if len(key) == 0 || len(key) > MaxKey {
		return false
	}
	for i := 0; i < len(key); i++ {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}
