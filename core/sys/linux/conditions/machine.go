package conditions

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/unit/condition"
)

// fileMax bounds a file that a condition looks into; /proc/cpuinfo of a large machine is the biggest.
const fileMax = 4 << 20

var errTooLarge = errors.New("file is too large")

// Machine is the running machine. Safe for concurrent use.
type Machine struct {
	virtOnce sync.Once
	virt     condition.Virtualization
	virtErr  error
}

var _ condition.Machine = (*Machine)(nil)

// New makes a Machine; nothing is read before it is asked.
func New() *Machine { return &Machine{} }

// Stat follows symbolic links.
func (*Machine) Stat(path string) (condition.File, error) { return describe(os.Stat(path)) }

// Lstat does not follow a last symbolic link.
func (*Machine) Lstat(path string) (condition.File, error) { return describe(os.Lstat(path)) }

func describe(info fs.FileInfo, err error) (condition.File, error) {
	if err != nil {
		return condition.File{}, err
	}
	return condition.File{Mode: info.Mode(), Size: info.Size(), MTime: info.ModTime().UnixNano()}, nil
}

// ReadDir lists at most max names.
func (*Machine) ReadDir(path string, max int) ([]string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(max)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return names, nil
}

// ReadFile reads a regular file of at most 4 MiB.
func (*Machine) ReadFile(path string) ([]byte, error) {
	// Non-blocking, so that a FIFO in a file's place cannot hold us.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cannot read %s: not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, fileMax+1))
	if err == nil && len(data) > fileMax {
		err = fmt.Errorf("cannot read %s: %w", path, errTooLarge)
	}
	return data, err
}

// FileSystem describes what path is on, symbolic links followed.
func (*Machine) FileSystem(path string) (condition.FileSystem, error) {
	var out condition.FileSystem
	var sx unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS, &sx); err != nil {
		return out, &fs.PathError{Op: "statx", Path: path, Err: err}
	}
	var sf unix.Statfs_t
	if err := unix.Statfs(path, &sf); err != nil {
		return out, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	out.ReadOnly = sf.Flags&unix.ST_RDONLY != 0
	// A network file system may say so only when asked to write.
	if !out.ReadOnly && errors.Is(unix.Access(path, unix.W_OK), unix.EROFS) {
		out.ReadOnly = true
	}
	out.Root = sx.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 && sx.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	if sx.Dev_major != 0 {
		out.Device = fmt.Sprintf("%d:%d", sx.Dev_major, sx.Dev_minor)
	}
	return out, nil
}

// CommandLine is the kernel's, or in a container the words that its first process was given.
func (m *Machine) CommandLine() (string, error) {
	v, err := m.Virtualization()
	if err == nil && v.Container != "" {
		data, err := m.ReadFile("/proc/1/cmdline")
		return strings.ReplaceAll(strings.TrimRight(string(data), "\x00"), "\x00", " "), err
	}
	data, err := m.ReadFile("/proc/cmdline")
	return strings.TrimSpace(string(data)), err
}

// Release is the kernel's release.
func (*Machine) Release() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("cannot get the kernel's release: %w", err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// Architecture is the kernel's in systemd's words; one without a word is given as it is.
func (*Machine) Architecture() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("cannot get the architecture: %w", err)
	}
	machine := unix.ByteSliceToString(u.Machine[:])
	for _, a := range architectures {
		if a.machine == machine {
			return a.word, nil
		}
	}
	return machine, nil
}

// architectures are uname(2)'s words and systemd's (man systemd.unit(5), ConditionArchitecture=).
var architectures = [...]struct{ machine, word string }{
	{"x86_64", "x86-64"}, {"i686", "x86"}, {"i586", "x86"}, {"i486", "x86"}, {"i386", "x86"},
	{"aarch64", "arm64"}, {"aarch64_be", "arm64-be"}, {"riscv64", "riscv64"}, {"riscv32", "riscv32"},
	{"loongarch64", "loongarch64"}, {"s390x", "s390x"}, {"s390", "s390"},
	{"ppc64le", "ppc64-le"}, {"ppc64", "ppc64"}, {"ppcle", "ppc-le"}, {"ppc", "ppc"},
	{"mips64", "mips64"}, {"mips", "mips"}, {"alpha", "alpha"}, {"ia64", "ia64"}, {"m68k", "m68k"},
	{"parisc64", "parisc64"}, {"parisc", "parisc"}, {"sparc64", "sparc64"}, {"sparc", "sparc"},
	{"armv8b", "arm-be"}, {"armv8l", "arm"}, {"armv7ml", "arm"}, {"armv7mb", "arm-be"}, {"armv7l", "arm"},
	{"armv7b", "arm-be"}, {"armv6l", "arm"}, {"armv6b", "arm-be"}, {"armv5tel", "arm"}, {"armv5tejl", "arm"},
}

// Memory is the physical memory, or the control group's limit where that is lower.
func (m *Machine) Memory() (uint64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("cannot get the size of the memory: %w", err)
	}
	total := uint64(info.Totalram) * uint64(info.Unit)
	// The limit of the group that we see as the root; the real root has no such file.
	data, err := m.ReadFile("/sys/fs/cgroup/memory.max")
	if err != nil {
		return total, nil
	}
	limit, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	if err != nil { // "max"
		return total, nil
	}
	return min(total, limit), nil
}

// CPUs counts the processors in the affinity mask.
func (*Machine) CPUs() (int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, fmt.Errorf("cannot count the processors: %w", err)
	}
	return set.Count(), nil
}

// HostName is the present one.
func (*Machine) HostName() (string, error) { return os.Hostname() }

// MachineID is the content of /etc/machine-id.
func (m *Machine) MachineID() (string, error) {
	data, err := m.ReadFile("/etc/machine-id")
	return strings.TrimSpace(string(data)), err
}

// Environ is the environment of this process.
func (*Machine) Environ() []string { return os.Environ() }

// Identity is whom this process runs as.
func (m *Machine) Identity() (condition.Identity, error) {
	id := condition.Identity{UIDs: [2]uint32{uint32(os.Getuid()), uint32(os.Geteuid())}}
	groups, err := os.Getgroups()
	if err != nil {
		return id, fmt.Errorf("cannot get the supplementary groups: %w", err)
	}
	for _, g := range append(groups, os.Getgid(), os.Getegid()) {
		id.GIDs = append(id.GIDs, uint32(g))
	}
	if id.Users, err = m.namesOf("/etc/passwd", id.UIDs[:], "root"); err != nil {
		return id, err
	}
	id.Groups, err = m.namesOf("/etc/group", id.GIDs, "root")
	return id, err
}

// namesOf finds the names of ids in a file of passwd(5)'s or group(5)'s form. The name of 0
// is known without it.
func (m *Machine) namesOf(path string, ids []uint32, zero string) ([]string, error) {
	var names []string
	for _, id := range ids {
		if id == 0 {
			names = append(names, zero)
			break
		}
	}
	data, err := m.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return names, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.SplitN(line, ":", 4)
		if len(fields) < 4 {
			continue
		}
		for _, id := range ids {
			if fields[2] == strconv.FormatUint(uint64(id), 10) {
				names = append(names, fields[0])
				break
			}
		}
	}
	return names, nil
}
