package setup

import (
	"errors"
	"math"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// fileLimits raises what bounds open files machine-wide, so that RLIMIT_NOFILE alone bounds
// a process (systemd does the same since 240).
func (m *Machine) fileLimits() (string, error) {
	// The kernel's own limit of nr_open depends on its word size and is not told: from
	// the largest int down, halving, until it takes one.
	open, err1 := raise(m.path("/proc/sys/fs/nr_open"), uint64(math.MaxInt32)&^7, 1<<20)
	max, err2 := raise(m.path("/proc/sys/fs/file-max"), math.MaxInt64, 1<<20)
	if err := errors.Join(err1, err2); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "", skip("there is no /proc/sys/fs")
		}
		return "", err
	}
	if open == "" && max == "" {
		return "", errAlready
	}
	return strings.TrimSpace(open + " " + max), nil
}

// raise writes the highest number between most and least that the kernel takes, unless
// what is there is as high.
func raise(path string, most, least uint64) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	have, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return "", err
	}
	for n := most; n >= least && n > have; n /= 2 {
		err := os.WriteFile(path, []byte(strconv.FormatUint(n, 10)), 0o644)
		if err == nil {
			return path + "=" + strconv.FormatUint(n, 10), nil
		}
		if !errors.Is(err, unix.EINVAL) {
			return "", err
		}
	}
	return "", nil
}

// hardFiles is systemd's default hard limit of open files.
const hardFiles = 512 << 10

// descriptorLimit raises the core's own limit: it holds a descriptor per process and one
// per stored descriptor.
func (m *Machine) descriptorLimit() (string, error) {
	if err := m.kernel(); err != nil {
		return "", err
	}
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return "", err
	}
	// One less is what the Go runtime sets. Setting it again would be in vain, and children
	// would inherit it (see spawn.Settle).
	if l.Cur >= hardFiles-1 {
		return "", errAlready
	}
	l.Max = max(l.Max, hardFiles)
	l.Cur = hardFiles
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return "", err
	}
	return strconv.Itoa(hardFiles), nil
}
