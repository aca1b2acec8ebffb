package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Outcome is what became of an Action.
type Outcome uint8

// The outcomes.
const (
	Done    Outcome = iota + 1
	Already         // it was so before
	Skipped         // it is not permitted or not possible here; Result.Why says why
	Failed          // Result.Err
)

// String is one word for a log.
func (o Outcome) String() string {
	switch o {
	case Done:
		return "done"
	case Already:
		return "already"
	case Skipped:
		return "skipped"
	case Failed:
		return "failed"
	}
	return "unknown"
}

// Result is an Action's outcome.
type Result struct {
	Name    string
	Outcome Outcome
	Why     string // Done: what was set; Skipped: the reason
	Err     error  // Failed
}

// String is one line for a log.
func (r Result) String() string {
	s := r.Name + ": " + r.Outcome.String()
	switch {
	case r.Err != nil:
		s += ": " + r.Err.Error()
	case r.Why != "":
		s += ": " + r.Why
	}
	return s
}

// Action is one step.
type Action struct {
	Name string
	Doc  string // one line: what it makes
	run  func(*Machine) (what string, err error)
}

// Machine is what Actions work on.
type Machine struct {
	// Root is put before every path; empty for the machine itself. With a Root nothing but
	// files below it is touched: what concerns the kernel is skipped.
	Root string
	// CommandLine is the kernel's (/proc/cmdline), for systemd.hostname= and locale.*=.
	CommandLine string
	// Random fills its argument, as crypto/rand.Read does.
	Random func([]byte) (int, error)
}

// errAlready says that there is nothing to do.
var errAlready = errors.New("already")

// skip is a reason for not doing an action.
type skip string

func (s skip) Error() string { return string(s) }

// Actions is the list, in order.
func Actions() []Action {
	return []Action{
		{"directories", "the directories by which programs know that a service manager runs", (*Machine).directories},
		{"shm", "/dev/shm", func(m *Machine) (string, error) {
			return m.mount("/dev/shm", "tmpfs", "mode=01777", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_STRICTATIME)
		}},
		{"pts", "/dev/pts", func(m *Machine) (string, error) {
			return m.mount("/dev/pts", "devpts", "mode=0620,gid=5,ptmxmode=000", unix.MS_NOSUID|unix.MS_NOEXEC)
		}},
		{"file-limits", "the machine's limits of open files", (*Machine).fileLimits},
		{"descriptor-limit", "the core's own limit of open files", (*Machine).descriptorLimit},
		{"hostname", "the host name", (*Machine).hostname},
		{"machine-id", "the machine id", (*Machine).machineID},
		{"loopback", "the interface lo up", (*Machine).loopback},
	}
}

// Run does the actions in order. One that fails does not hinder the others.
func Run(m *Machine, actions []Action) []Result {
	results := make([]Result, 0, len(actions))
	for _, a := range actions {
		what, err := a.run(m)
		r := Result{Name: a.Name, Outcome: Done, Why: what}
		var reason skip
		switch {
		case err == nil:
		case err == errAlready:
			r.Outcome, r.Why = Already, ""
		case errors.As(err, &reason):
			r.Outcome, r.Why = Skipped, string(reason)
		case forbidden(err):
			r.Outcome, r.Why = Skipped, err.Error()
		default:
			r.Outcome, r.Err = Failed, fmt.Errorf("cannot set up %s: %w", a.Name, err)
		}
		results = append(results, r)
	}
	return results
}

// forbidden: containers say no in these ways.
func forbidden(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS)
}

func (m *Machine) path(p string) string { return filepath.Join("/", m.Root, p) }

// kernel refuses what would reach beyond an injected root.
func (m *Machine) kernel() error {
	if m.Root != "" {
		return skip("it is the kernel's, and the root is " + m.Root)
	}
	return nil
}

// word is a parameter of the kernel command line; the last one counts.
func (m *Machine) word(name string) string {
	value := ""
	for _, w := range strings.Fields(m.CommandLine) {
		if v, ok := strings.CutPrefix(w, name+"="); ok {
			value = strings.Trim(v, `"`)
		}
	}
	return value
}

func (m *Machine) directories() (string, error) {
	made := ""
	for _, d := range [...]struct {
		path string
		mode os.FileMode
	}{
		{"/run/systemd", 0o755}, {"/run/systemd/system", 0o755}, {"/run/systemd/units", 0o755},
		{"/run/systemd/ask-password", 0o755}, {"/run/lock", 0o777 | os.ModeSticky}, {"/run/log", 0o755},
	} {
		path := m.path(d.path)
		err := os.Mkdir(path, d.mode.Perm())
		if errors.Is(err, fs.ErrNotExist) {
			err = os.MkdirAll(path, 0o755)
		}
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = os.Chmod(path, d.mode) // whatever the umask is
		}
		if err != nil {
			return "", err
		}
		made += " " + d.path
	}
	if made == "" {
		return "", errAlready
	}
	return strings.TrimSpace(made), nil
}

// mount mounts an API file system, unless something is mounted there.
func (m *Machine) mount(path, fstype, options string, flags uintptr) (string, error) {
	if err := m.kernel(); err != nil {
		return "", err
	}
	mounted, err := isMountPoint(path)
	if err == nil && mounted {
		return "", errAlready
	}
	if errors.Is(err, unix.ENOENT) {
		err = os.Mkdir(path, 0o755)
	}
	if err != nil {
		return "", err
	}
	if err := unix.Mount(fstype, path, fstype, flags, options); err != nil {
		return "", fmt.Errorf("mount %s: %w", path, err)
	}
	return "mounted " + path, nil
}

// isMountPoint compares a directory's mount id with its parent's (statx(2), since Linux 5.8).
func isMountPoint(path string) (bool, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_NO_AUTOMOUNT, unix.STATX_TYPE, &st); err != nil {
		return false, err
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}
