package shim

// Numbers of the descriptors that a shim is started with.
const (
	PlanFD   = 3
	StatusFD = 4
	FirstFD  = 5 // the control group with Plan.Join, then what is passed on
)

// Plan is all that the shim does before it executes a program. The zero value of each field
// leaves alone what the process inherited, except for Umask and the signals, which are
// always set.
type Plan struct {
	// Path is absolute, or a bare name that is looked up in Search.
	Path   string
	Search []string
	Argv   []string
	Env    []string
	// PIDEnv are names of variables that get the process's own PID: LISTEN_PID.
	PIDEnv []string

	Join     bool // join the control group of descriptor 5: the parent could not clone into it
	FDs      int  // how many descriptors are passed on
	NonBlock bool // O_NONBLOCK on the sockets among them, else it is cleared

	Stdio [3]Stdio
	TTY   TTY

	Limits      []Limit
	Umask       int64
	KeepSIGPIPE bool // leave SIGPIPE to its default; else it is ignored (IgnoreSIGPIPE=yes)

	OOMScoreAdjust Opt
	CoredumpFilter Opt
	Nice           Opt
	Sched          Sched
	IOPriority     Opt    // the kernel's number, class<<13 | level
	TimerSlack     Opt    // nanoseconds
	Affinity       []byte // a CPU mask, 8 bytes a word
	Keyring        KeyringMode

	// With SetGroups the supplementary groups become Groups, even when that is empty.
	SetGroups bool
	Groups    []int64
	GID, UID  Opt

	Bounding    Opt    // mask of the capabilities to keep in the bounding set
	Ambient     int64  // mask
	SecureBits  Opt    // SECBIT_* of prctl(2)
	NoNewPrivs  bool   // PR_SET_NO_NEW_PRIVS
	Root        string // chroot(2); empty for none
	Dir         string // working directory, inside Root; empty: "/"
	DirOptional bool   // a working directory that cannot be entered is replaced by "/"
}

// Opt is a number that may be absent.
type Opt struct {
	Set bool
	N   int64
}

// Some is a present number.
func Some(n int64) Opt { return Opt{true, n} }

// Limit is one resource limit (setrlimit(2)); ^uint64(0) is infinity. A hard limit that may
// not be raised is set as high as it may be, as systemd does.
type Limit struct {
	Resource int64
	Soft     uint64
	Hard     uint64
	Name     string // of the setting, for messages: "LimitNOFILE"
}

// Sched is a scheduling policy (sched_setscheduler(2)).
type Sched struct {
	Set         bool
	Policy      int64
	Priority    int64
	ResetOnFork bool
}

// StdioKind says where a standard stream comes from.
type StdioKind int64

const (
	StdioKeep     StdioKind = iota // what the parent gave
	StdioRead                      // open Path for reading
	StdioWrite                     // open or create Path for writing, at its start
	StdioAppend                    // open or create Path for appending
	StdioTruncate                  // open or create Path for writing, emptied
	StdioBoth                      // open or create Path for reading and writing
	StdioTTY                       // open Plan.TTY for reading and writing
	StdioDup0                      // the same as standard input
	StdioDup1                      // the same as standard output
	numStdioKinds
)

// Stdio is one standard stream.
type Stdio struct {
	Kind StdioKind
	Path string
}

// TTY is what happens to the terminal of the streams that are StdioTTY.
type TTY struct {
	Path    string
	Control bool // make it the controlling terminal, waiting until it is free
	Force   bool // with Control: take it from another session
	Fail    bool // with Control: fail instead of waiting
	Reset   bool // sane line settings
	Hangup  bool // hang up first, so that no earlier process keeps it
	Clear   bool // give up the virtual terminal's memory, or clear it if that is in use
	Rows    int64
	Columns int64 // with Rows: the window size; 0 leaves it
}

// KeyringMode says what becomes of the session keyring (keyctl(2)).
type KeyringMode int64

const (
	KeyringInherit KeyringMode = iota
	KeyringPrivate             // a new one
	KeyringShared              // a new one, linked to the user's keyring
	numKeyringModes
)
