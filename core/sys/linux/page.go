package linux

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// pageSeals: nobody can make the memory smaller than what is mapped, which would be a SIGBUS for whoever
// writes to it.
const pageSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// Page gives size bytes of memory that outlive the core: init keeps their descriptor under key, so that
// the next core finds what this one wrote. What comes back from init but is not such memory is replaced.
// It blocks at most Config.InitTimeout.
func (w *World) Page(key string, size int) ([]byte, error) {
	if h := w.fds[key]; h != nil {
		if page, err := mapPage(h.fd, size); err == nil {
			return page, nil
		}
		w.closeKey(key)
	}
	fd, err := unix.MemfdCreate("sysmaster:"+key, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("cannot make memory %q: %w", key, err)
	}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		closeFD(fd)
		return nil, fmt.Errorf("cannot make memory %q: %w", key, err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, pageSeals); err != nil {
		closeFD(fd)
		return nil, fmt.Errorf("cannot seal memory %q: %w", key, err)
	}
	page, err := mapPage(fd, size)
	if err != nil {
		closeFD(fd)
		return nil, err
	}
	if err := w.keepNow(key, fd); err != nil {
		return nil, err
	}
	return page, nil
}

func mapPage(fd, size int) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("cannot map memory: %w", err)
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals&unix.F_SEAL_SHRINK == 0 || st.Size != int64(size) {
		return nil, fmt.Errorf("cannot map memory: %d bytes with seals %#x are not what was made: %w", st.Size, seals, unix.EINVAL)
	}
	page, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("cannot map memory: %w", err)
	}
	return page, nil
}

// Welcome is what init said first: which core this is, and how the one before it ended.
func (w *World) Welcome() fdstore.Welcome { return w.channel.welcome }
