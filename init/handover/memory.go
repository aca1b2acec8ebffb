package handover

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// The environment; doc.go has the roles.
const (
	EnvState  = "SYSMASTER_HANDOVER"
	EnvOwn    = "SYSMASTER_OWN"
	EnvBack   = "SYSMASTER_BACK"
	EnvReport = "SYSMASTER_REPORT"
	EnvRole   = fdstore.EnvRole

	RolePreflight = "preflight"
)

// Marker begins each report. It is in every program that understands the roles, and in no other:
// whoever is about to run one as a preflight looks for it in the file first.
const Marker = "sysmaster-init takes over, format 1: "

// reportSize is the size of a report's memfd.
const reportSize = 1024

// Name reports whether a variable, "NAME=value", is one of these.
func Name(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return name == EnvState || name == EnvOwn || name == EnvBack || name == EnvReport || name == EnvRole
}

// NewMemory makes a memfd of fixed size: who gets it may write what it likes into it, or map it, but can
// neither grow nor shrink it. It is close-on-exec.
func NewMemory(name string, size int64) (int, error) {
	return sealed(name, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK, func(fd int) error { return unix.Ftruncate(fd, size) })
}

func sealed(name string, seals int, fill func(fd int) error) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // a kernel before 6.3
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return -1, err
	}
	if err = fill(fd); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals|unix.F_SEAL_SEAL)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// NewReport makes the memory that a preflight writes into.
func NewReport() (int, error) { return NewMemory("report", reportSize) }

// Report writes a preflight's finding: the program's version, and why it cannot take over.
func Report(fd int, version string, problem error) error {
	text := Marker + "can\n" + version
	if problem != nil {
		text = Marker + "cannot\n" + problem.Error()
	}
	b := make([]byte, reportSize)
	copy(b, text)
	_, err := unix.Pwrite(fd, b, 0)
	return err
}

// ReadReport reads a finding. ok is false if the preflight wrote none.
func ReadReport(fd int) (version, problem string, ok bool) {
	b := make([]byte, reportSize)
	n, err := unix.Pread(fd, b, 0)
	if err != nil {
		return "", "", false
	}
	text, _, _ := strings.Cut(string(b[:n]), "\x00")
	if text, ok = strings.CutPrefix(text, Marker); !ok {
		return "", "", false
	}
	can, text, _ := strings.Cut(text, "\n")
	switch can {
	case "can":
		return text, "", true
	case "cannot":
		return "", text, true
	}
	return "", "", false
}

// Write puts the state into a sealed memfd; close-on-exec.
func (s *State) Write() (int, error) {
	return sealed("handover", unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK, func(fd int) error {
		for b := s.Encode(); len(b) > 0; {
			n, err := unix.Write(fd, b)
			if err != nil && err != unix.EINTR {
				return err
			}
			b = b[max(n, 0):]
		}
		return nil
	})
}

// Read reads the state from the memfd.
func Read(fd int) (*State, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Size > MaxSize || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, ErrBounds
	}
	b := make([]byte, st.Size)
	for done := 0; done < len(b); {
		n, err := unix.Pread(fd, b[done:], int64(done))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, ErrDamaged
		}
		done += n
	}
	return Decode(b)
}
