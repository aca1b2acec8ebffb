package unit

import "time"

// Class says what recovery may do with an effect that was meant but whose outcome is not known.
type Class uint8

const (
	// Internal effects are carried out by the engine itself, inside the turn.
	Internal Class = iota
	// Idempotent effects are simply done again.
	Idempotent
	// Probe effects are looked up in the world first: done, not done or unknown.
	Probe
	// AtMostOnce effects are never done again.
	AtMostOnce
)

// Effect is one thing that a unit wants done. The concrete types below are all there are.
type Effect interface{ Class() Class }

// Command is one program to run, already split and unquoted; $VAR is expanded at exec time.
type Command struct {
	Path        string   // absolute, or a bare name looked up in the fixed search path
	Argv        []string // Argv[0] is what the process sees as its name
	IgnoreFail  bool     // "-": a failure counts as success
	NoEnvExpand bool     // ":"
	Privileges  byte     // 0, '+', '!' or 'A' for "!!"
}

type (
	// Spawn runs a command with the unit's execution settings inside the unit's control
	// group. Answered by Spawned, later by Exited.
	Spawn struct {
		Role     string // "main", "start-pre/0", "reload/0": unique among the unit's live processes
		Command  Command
		Env      []string      // KEY=VALUE added last: MAINPID, EXIT_CODE ...
		FDs      []FDRef       // passed from 3 on, with LISTEN_FDS
		Notify   bool          // give NOTIFY_SOCKET
		Watchdog time.Duration // WATCHDOG_USEC; 0 for none
		Stdin    string        // fd store key to use as standard input; empty for none
		// ApplySandbox etc. follow from Command.Privileges and the Spec; Control processes
		// (all but "main") run in the sub-group ".control" where the unit delegates.
		Control bool
	}
	// Kill signals processes. With Proc set, only it (verified by start time); else every
	// process of the control group except Except. Answered by Done; nobody there is no error.
	Kill struct {
		Proc   Proc
		Signal int
		Except []Proc
		Cont   bool // send SIGCONT afterwards
	}
	// Attach registers a process that the core did not spawn (the main process of a
	// daemon that forked away), so that its exit is reported. Answered by Done.
	Attach struct{ Proc Proc }
	// ReadPIDFile reads and validates a PID file. Answered by PIDRead.
	ReadPIDFile struct{ Path string }
	// FindMain looks for the unit's main process: PID (what MAINPID= announced), which must
	// exist and belong to the unit, or with PID 0 the one process of the control group whose
	// parent is outside of it (GuessMainPID=). Answered by PIDRead.
	FindMain struct{ PID int }
	// WatchPath waits for a change at Path or its parent. Answered by PathChanged once.
	WatchPath struct {
		ID   string
		Path string
	}
	// UnwatchPath ends a WatchPath.
	UnwatchPath struct{ ID string }
	// Realize creates the unit's control group and writes its limits. Answered by Done.
	Realize struct{}
	// RemoveCgroup removes the unit's empty control group. Answered by Done.
	RemoveCgroup struct{}
	// Dirs creates or removes managed directories. Answered by Done.
	Dirs struct {
		Remove bool
		Dirs   []Dir
	}
	// Listen makes the sockets that init does not hold yet. Answered by Done.
	Listen struct{ Sockets []ListenSpec }
	// WatchFD waits until a held descriptor is readable. Answered by FDReady once per arm.
	WatchFD struct{ Keys []string }
	// UnwatchFD ends WatchFD.
	UnwatchFD struct{ Keys []string }
	// StoreFD keeps a descriptor of a Notified event under a new key. Answered by Done.
	StoreFD struct{ From, To string }
	// DropFD closes held descriptors, and removes the file system entries Unlink. Answered by Done.
	DropFD struct {
		Keys   []string
		Unlink []string
	}
	// Arm sets the unit's timer ID to a deadline on the monotonic clock, replacing an earlier one.
	Arm struct {
		ID string
		At time.Duration
	}
	// Disarm cancels the unit's timer ID.
	Disarm struct{ ID string }
	// Enqueue asks for a job on another unit, or on itself.
	Enqueue struct {
		Unit Name
		Type JobType
		Mode JobMode
	}
	// Act is the machine-wide action of SuccessAction=, FailureAction= and their kin.
	Act struct {
		Action string // "none", "reboot", "reboot-force", "poweroff", "exit" ... as in systemd.unit(5)
		Code   int    // for "exit"
		Reason string
	}
	// Say is a line for the administrator.
	Say struct {
		Level Level
		Text  string
	}
)

// Level of a message, as in syslog(3).
type Level uint8

const (
	LevelErr     Level = 3
	LevelWarning Level = 4
	LevelNotice  Level = 5
	LevelInfo    Level = 6
	LevelDebug   Level = 7
)

// Dir is one managed directory (man systemd.exec(5), RuntimeDirectory=).
type Dir struct {
	Path  string // absolute
	Mode  uint32
	User  string // empty: root
	Group string
}

// ListenSpec is one socket to make (man systemd.socket(5)).
type ListenSpec struct {
	Key     string // of the fd store
	Type    string // "stream", "dgram", "seqpacket", "fifo"
	Address string // "/path", "@abstract", "[::]:80", "80", "127.0.0.1:80"
	Options SocketOptions
}

// SocketOptions are the settings of a ListenSpec; zero values mean "the kernel's default".
type SocketOptions struct {
	Backlog                                                         int
	Mode                                                            uint32
	DirMode                                                         uint32
	User, Group                                                     string
	BindIPv6Only                                                    string
	BindToDevice                                                    string
	ReusePort, FreeBind, Transparent, Broadcast, KeepAlive, NoDelay bool
	PassCredentials, PassSecurity, PassPacketInfo                   bool
	ReceiveBuffer, SendBuffer, PipeSize                             int64
	Mark, Priority, IPTTL, IPTOS                                    int
	RemoveOnStop                                                    bool
	Symlinks                                                        []string
}

func (Spawn) Class() Class        { return Probe }
func (Kill) Class() Class         { return Idempotent }
func (Attach) Class() Class       { return Idempotent }
func (ReadPIDFile) Class() Class  { return Idempotent }
func (FindMain) Class() Class     { return Idempotent }
func (WatchPath) Class() Class    { return Idempotent }
func (UnwatchPath) Class() Class  { return Idempotent }
func (Realize) Class() Class      { return Idempotent }
func (RemoveCgroup) Class() Class { return Idempotent }
func (Dirs) Class() Class         { return Idempotent }
func (Listen) Class() Class       { return Idempotent }
func (WatchFD) Class() Class      { return Idempotent }
func (UnwatchFD) Class() Class    { return Idempotent }
func (StoreFD) Class() Class      { return Idempotent }
func (DropFD) Class() Class       { return Idempotent }
func (Arm) Class() Class          { return Internal }
func (Disarm) Class() Class       { return Internal }
func (Enqueue) Class() Class      { return Internal }
func (Act) Class() Class          { return Internal }
func (Say) Class() Class          { return Internal }
