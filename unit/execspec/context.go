package execspec

import "time"

// Context are the decoded settings of systemd.exec(5) that act. The zero value is not
// useful; NewContext gives the defaults.
type Context struct {
	User, Group         string // names or numbers; empty: root, and the user's own group
	SupplementaryGroups []string

	WorkingDirectory          string // absolute; empty: "/" (or the user's home, see WorkingDirectoryHome)
	WorkingDirectoryHome      bool   // "~"
	WorkingDirectoryMissingOK bool   // "-"
	RootDirectory             string // absolute; empty: none
	RootDirectoryStartOnly    bool   // RootDirectory is for the main process only
	PermissionsStartOnly      bool   // User, Group and sandbox are for the main process only
	ExecSearchPath            []string
	UMask                     uint32

	Limits            []Limit // one per resource, sorted by Resource
	OOMScoreAdjust    int
	OOMScoreAdjustSet bool
	Nice              int
	NiceSet           bool
	IgnoreSIGPIPE     bool
	NonBlocking       bool // passed descriptors get O_NONBLOCK

	Stdin, Stdout, Stderr Stdio
	TTYPath               string // empty: /dev/console
	TTYReset              bool
	TTYVHangup            bool
	TTYVTDisallocate      bool
	TTYRows, TTYColumns   int    // 0: leave
	SyslogIdentifier      string // empty: the base name of the executable
	SyslogFacility        int    // LOG_* shifted, as in syslog(3); default LOG_DAEMON (3<<3)
	SyslogLevel           int    // default LOG_INFO
	SyslogLevelPrefix     bool

	Environment      []string // KEY=VALUE in order; the last of a name wins
	EnvironmentFiles []EnvironmentFile
	PassEnvironment  []string
	UnsetEnvironment []string // names, or NAME=VALUE to unset only that value

	Directories              [NumDirectoryKinds]DirectorySet
	RuntimeDirectoryPreserve Preserve

	NoNewPrivileges       bool
	CapabilityBoundingSet uint64 // bit n: capability n; AllCapabilities: leave as it is
	AmbientCapabilities   uint64
	SecureBits            uint32 // SECBIT_* of linux/securebits.h
	KeyringMode           KeyringMode

	CPUSchedulingPolicy      int // SCHED_*; valid if CPUSchedulingSet
	CPUSchedulingPriority    int
	CPUSchedulingResetOnFork bool
	CPUSchedulingSet         bool
	IOSchedulingClass        int // IOPRIO_CLASS_* 1..3; valid if IOSchedulingSet
	IOSchedulingPriority     int
	IOSchedulingSet          bool
	CPUAffinity              []int         // sorted; nil: leave
	TimerSlack               time.Duration // valid if TimerSlackSet
	TimerSlackSet            bool
	CoredumpFilter           uint64 // valid if CoredumpFilterSet
	CoredumpFilterSet        bool
	Personality              string // empty: leave

	UtmpIdentifier string

	// Refused are the settings that protect and are not implemented, as they stand in the
	// unit's files, in the order of their first assignment.
	Refused []Refusal
}

// NewContext gives the defaults of systemd 252 for system services.
func NewContext() Context {
	c := Context{
		UMask:         0o022,
		IgnoreSIGPIPE: true,
		Stdin:         Stdio{Kind: StdioNull},
		Stdout:        Stdio{Kind: StdioInherit},
		Stderr:        Stdio{Kind: StdioInherit},

		SyslogFacility: 3 << 3, SyslogLevel: 6, SyslogLevelPrefix: true,

		CapabilityBoundingSet: AllCapabilities,
	}
	for i := range c.Directories {
		c.Directories[i].Mode = 0o755
	}
	return c
}

// StdioKind is where a standard stream goes (man systemd.exec(5), LOGGING AND STANDARD INPUT/OUTPUT).
type StdioKind uint8

const (
	StdioNull StdioKind = iota
	// StdioInherit: for output the stream before it (input, then output); for standard
	// output with a null input the manager's default, the log.
	StdioInherit
	StdioTTY      // the terminal TTYPath
	StdioTTYForce // input only: take the terminal from whoever has it
	StdioTTYFail  // input only: fail if it is taken
	StdioFile     // Path opened read-only (input), or written from its start
	StdioAppend   // output only
	StdioTruncate // output only
	StdioSocket   // the one socket of socket activation
	StdioFD       // the passed descriptor Name
	StdioKmsg     // output only
	StdioJournal  // output only; the log
	StdioData     // input only; refused at start
)

// Stdio is one standard stream.
type Stdio struct {
	Kind    StdioKind
	Path    string // StdioFile, StdioAppend, StdioTruncate
	Name    string // StdioFD: FileDescriptorName of a passed descriptor
	Console bool   // "+console": copied to /dev/console as well
}

// EnvironmentFile is one EnvironmentFile= line.
type EnvironmentFile struct {
	Path     string // absolute, may be a glob(7) pattern
	Optional bool   // "-": no error if it cannot be read
}

// Limit is one resource limit (man setrlimit(2)).
type Limit struct {
	Resource   Resource
	Soft, Hard uint64 // RLimInfinity: none
}

// RLimInfinity is RLIM_INFINITY.
const RLimInfinity = ^uint64(0)

// Resource is RLIMIT_* as Linux numbers them on all of Go's ports but mips.
type Resource uint8

const (
	LimitCPU Resource = iota // seconds
	LimitFSIZE
	LimitDATA
	LimitSTACK
	LimitCORE
	LimitRSS
	LimitNPROC
	LimitNOFILE
	LimitMEMLOCK
	LimitAS
	LimitLOCKS
	LimitSIGPENDING
	LimitMSGQUEUE
	LimitNICE // 20 - nice level
	LimitRTPRIO
	LimitRTTIME // microseconds
	NumResources
)

var resourceNames = [NumResources]string{"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE",
	"MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"}

// String is the name without RLIMIT_: "NOFILE".
func (r Resource) String() string {
	if r < NumResources {
		return resourceNames[r]
	}
	return "unknown"
}

// Preserve says when runtime directories outlive the unit (RuntimeDirectoryPreserve=).
type Preserve uint8

const (
	PreserveNo Preserve = iota
	PreserveYes
	PreserveRestart
)

// KeyringMode says which session keyring a process gets (man systemd.exec(5), KeyringMode=).
type KeyringMode uint8

const (
	KeyringPrivate KeyringMode = iota
	KeyringInherit
	KeyringShared
)

// Refusal is a setting that protects, is set, and is not implemented.
type Refusal struct {
	Key   string
	Value string
}

// String is the setting as in a unit file: "ProtectSystem=strict".
func (r Refusal) String() string { return r.Key + "=" + r.Value }

// AddRefusal records key=value, replacing an earlier value of key.
func addRefusal(list []Refusal, key, value string) []Refusal {
	out := dropRefusal(list, key)
	return append(out, Refusal{key, value})
}

func dropRefusal(list []Refusal, key string) []Refusal {
	var out []Refusal
	for _, r := range list {
		if r.Key != key {
			out = append(out, r)
		}
	}
	return out
}
