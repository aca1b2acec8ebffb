package keep

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// MaxCrashes is how many cores' last words are kept.
const MaxCrashes = 3

// NewLastWords makes the descriptor for a core's last words: memory of fixed size. The core may
// write what it likes into it, or map it; it can neither grow nor shrink it.
func NewLastWords() (int, error) {
	fd, err := unix.MemfdCreate("last-words", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // a kernel before 6.3
		fd, err = unix.MemfdCreate("last-words", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return -1, err
	}
	if err = unix.Ftruncate(fd, fdstore.CrashSize); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	if err != nil {
		Release(fd)
		return -1, err
	}
	return fd, nil
}

// Own reports whether a key is init's own, which a core may neither put nor drop.
func Own(key string) bool { return strings.HasPrefix(key, fdstore.CrashPrefix) }

// KeepCrash takes over the last words of a core, in place of the oldest if there are enough.
func (s *FDs) KeepCrash(c fdstore.Crash, fd int) syscall.Errno {
	oldest, first, n := "", uint64(0), 0
	for key := range s.fds {
		if old, ok := fdstore.ParseCrash(key); ok {
			if n++; oldest == "" || old.Generation < first {
				oldest, first = key, old.Generation
			}
		}
	}
	if n >= MaxCrashes {
		s.Drop(oldest)
	}
	return s.Put(c.Key(), fd)
}
