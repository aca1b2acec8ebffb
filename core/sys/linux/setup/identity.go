package setup

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSmall bounds the configuration files read here.
const maxSmall = 64 << 10

// readFile reads at most maxSmall bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSmall))
	return b, errors.Join(err, f.Close())
}

// hostname sets the host name: the command line's, else the file's; "localhost" if nobody
// ever set one.
func (m *Machine) hostname() (string, error) {
	name := m.word("systemd.hostname")
	if !ValidHostname(name) {
		b, err := readFile(m.path("/etc/hostname"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		name = ParseHostname(b)
	}
	if err := m.kernel(); err != nil {
		return "", err
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	have := unix.ByteSliceToString(u.Nodename[:])
	if name == "" && (have == "" || have == "(none)") {
		name = "localhost"
	}
	if name == "" || name == have {
		return "", errAlready
	}
	if err := unix.Sethostname([]byte(name)); err != nil {
		return "", err
	}
	return name, nil
}

// ParseHostname reads /etc/hostname (hostname(5)): the first line that is neither empty nor
// a comment. Empty if it is no valid name.
func ParseHostname(b []byte) string {
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		line = strings.TrimSuffix(line, ".")
		if ValidHostname(line) {
			return line
		}
		return ""
	}
	return ""
}

// ValidHostname: 1 to 64 letters, digits, "-", "_" and single dots, neither "-" nor "." at an end of a label.
func ValidHostname(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// machineID makes sure that the machine has an id: /etc/machine-id, made if it is missing,
// empty or "uninitialized". Where /etc is read-only it stands in /run/machine-id and is
// mounted over the file, until somebody commits it.
func (m *Machine) machineID() (string, error) {
	etc, run := m.path("/etc/machine-id"), m.path("/run/machine-id")
	if _, ok := readID(etc); ok {
		return "", errAlready
	}
	id, ok := readID(run) // from before a restart of the core
	if !ok {
		id, ok = readID(m.path("/var/lib/dbus/machine-id"))
	}
	if !ok {
		var b [16]byte
		if _, err := m.Random(b[:]); err != nil {
			return "", err
		}
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // a version 4 UUID, as machine-id(5) has it
		id = hex.EncodeToString(b[:])
	}
	err := writeID(etc, id)
	if err == nil {
		return "/etc/machine-id", nil
	}
	if rerr := writeID(run, id); rerr != nil {
		return "", errors.Join(err, rerr)
	}
	if m.Root == "" {
		if merr := unix.Mount(run, etc, "", unix.MS_BIND, ""); merr != nil && !errors.Is(merr, unix.ENOENT) {
			return "", fmt.Errorf("mount %s: %w", etc, merr)
		}
	}
	return "/run/machine-id", nil
}

// writeID replaces the file at once, or not at all.
func writeID(path, id string) error {
	temp := path + ".new"
	err := os.WriteFile(temp, []byte(id+"\n"), 0o444)
	if err == nil {
		err = os.Chmod(temp, 0o444)
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		if rerr := os.Remove(temp); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return err
}

func readID(path string) (string, bool) {
	b, err := readFile(path)
	if err != nil {
		return "", false
	}
	return ParseMachineID(b)
}

// ParseMachineID reads a machine id (machine-id(5)): 32 hexadecimal digits, not all zero.
func ParseMachineID(b []byte) (string, bool) {
	s := strings.TrimSuffix(string(b), "\n")
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 16 || [16]byte(raw) == [16]byte{} {
		return "", false
	}
	return strings.ToLower(s), true
}

// loopback brings lo up; the kernel gives it its addresses then.
func (m *Machine) loopback() (string, error) {
	if err := m.kernel(); err != nil {
		return "", err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return "", skip("the kernel has no IPv4")
	}
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return "", err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr); err != nil {
		return "", fmt.Errorf("read flags of lo: %w", err)
	}
	if ifr.Uint16()&unix.IFF_UP != 0 {
		return "", errAlready
	}
	ifr.SetUint16(ifr.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return "", fmt.Errorf("set flags of lo: %w", err)
	}
	return "lo", nil
}
