package execspec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// exitNames are the names of exit statuses (man systemd.exec(5), Process Exit Codes), sorted by number.
var exitNames = [...]struct {
	status uint8
	name   string
}{
	{0, "SUCCESS"}, {1, "FAILURE"}, {2, "INVALIDARGUMENT"}, {3, "NOTIMPLEMENTED"}, {4, "NOPERMISSION"}, {5, "NOTINSTALLED"},
	{6, "NOTCONFIGURED"}, {7, "NOTRUNNING"},
	{64, "USAGE"}, {65, "DATAERR"}, {66, "NOINPUT"}, {67, "NOUSER"}, {68, "NOHOST"}, {69, "UNAVAILABLE"}, {70, "SOFTWARE"},
	{71, "OSERR"}, {72, "OSFILE"}, {73, "CANTCREAT"}, {74, "IOERR"}, {75, "TEMPFAIL"}, {76, "PROTOCOL"}, {77, "NOPERM"}, {78, "CONFIG"},
	{200, "CHDIR"}, {201, "NICE"}, {202, "FDS"}, {203, "EXEC"}, {204, "MEMORY"}, {205, "LIMITS"}, {206, "OOM_ADJUST"},
	{207, "SIGNAL_MASK"}, {208, "STDIN"}, {209, "STDOUT"}, {210, "CHROOT"}, {211, "IOPRIO"}, {212, "TIMERSLACK"}, {213, "SECUREBITS"},
	{214, "SETSCHEDULER"}, {215, "CPUAFFINITY"}, {216, "GROUP"}, {217, "USER"}, {218, "CAPABILITIES"}, {219, "CGROUP"}, {220, "SETSID"},
	{221, "CONFIRM"}, {222, "STDERR"}, {224, "PAM"}, {225, "NETWORK"}, {226, "NAMESPACE"}, {227, "NO_NEW_PRIVILEGES"}, {228, "SECCOMP"},
	{229, "SELINUX_CONTEXT"}, {230, "PERSONALITY"}, {231, "APPARMOR_PROFILE"}, {232, "ADDRESS_FAMILIES"}, {233, "RUNTIME_DIRECTORY"},
	{235, "CHOWN"}, {236, "SMACK_PROCESS_LABEL"}, {237, "KEYRING"}, {238, "STATE_DIRECTORY"}, {239, "CACHE_DIRECTORY"},
	{240, "LOGS_DIRECTORY"}, {241, "CONFIGURATION_DIRECTORY"}, {242, "NUMA_POLICY"}, {243, "CREDENTIALS"}, {245, "BPF"}, {255, "EXCEPTION"},
}

// ExitStatusName is the name of an exit status, empty if it has none.
func ExitStatusName(status int) string {
	for _, e := range exitNames {
		if int(e.status) == status {
			return e.name
		}
	}
	return ""
}

// ExitSet is a set of exit statuses and signals (SuccessExitStatus= and its kin). The zero
// value is empty.
type ExitSet struct {
	status  [4]uint64
	signals [2]uint64
}

// Has reports whether e is in s: an exit status, or a signal for killed and dumped.
func (s *ExitSet) Has(e unit.Exit) bool {
	if e.Status < 0 {
		return false
	}
	switch e.Code {
	case unit.ExitExited:
		return e.Status < 256 && s.status[e.Status/64]&(1<<(e.Status%64)) != 0
	case unit.ExitKilled, unit.ExitDumped:
		return e.Status < 128 && s.signals[e.Status/64]&(1<<(e.Status%64)) != 0
	}
	return false
}

// Lists are the statuses and signals of s, sorted.
func (s *ExitSet) Lists() (status, signals []int32) {
	for i := range 256 {
		if s.status[i/64]&(1<<(i%64)) != 0 {
			status = append(status, int32(i))
		}
	}
	for i := range 128 {
		if s.signals[i/64]&(1<<(i%64)) != 0 {
			signals = append(signals, int32(i))
		}
	}
	return status, signals
}

// Add adds the words of one assignment; empty resets. Invalid words are left out and named
// in a *unit.Partial.
func (s *ExitSet) Add(v string) error {
	if v == "" {
		*s = ExitSet{}
		return nil
	}
	words, err := unit.SplitWords(v)
	if err != nil {
		return err
	}
	var bad []string
	for _, w := range words {
		if !s.addWord(w) {
			bad = append(bad, w)
		}
	}
	if bad != nil {
		return &unit.Partial{Text: fmt.Sprintf("%q ignored (valid: 0 to 255, names such as TEMPFAIL, signals)", bad)}
	}
	return nil
}

func (s *ExitSet) addWord(w string) bool {
	n, err := strconv.Atoi(w)
	if err == nil && n >= 0 && n <= 255 {
		s.status[n/64] |= 1 << (n % 64)
		return true
	}
	if i := slices.IndexFunc(exitNames[:], func(e struct {
		status uint8
		name   string
	}) bool {
		return e.name == w
	}); i >= 0 {
		n := exitNames[i].status
		s.status[n/64] |= 1 << (n % 64)
		return true
	}
	if err == nil || strings.TrimLeft(w, "0123456789") != w {
		return false
	}
	if n, err := unit.ParseSignal(w); err == nil && n > 0 && n < 128 {
		s.signals[n/64] |= 1 << (n % 64)
		return true
	}
	return false
}
