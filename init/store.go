package pid1

import (
	"sort"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// store is the descriptors kept for the core.
type store struct {
	fds map[string]int
	max int
}

// put takes fd over, also when it refuses.
func (s *store) put(key string, fd int) syscall.Errno {
	if fd < 0 {
		return unix.EMFILE // the kernel had no room for it in our table
	}
	old, replaces := s.fds[key]
	if !replaces && len(s.fds) >= s.max {
		release(fd)
		return unix.ENOSPC
	}
	if replaces {
		release(old)
	}
	s.fds[key] = fd
	return 0
}

func (s *store) drop(key string) syscall.Errno {
	fd, ok := s.fds[key]
	if !ok {
		return unix.ENOENT
	}
	delete(s.fds, key)
	release(fd)
	return 0
}

func (s *store) dropPrefix(prefix string) syscall.Errno {
	result := unix.ENOENT
	for key := range s.fds {
		if strings.HasPrefix(key, prefix) {
			result = s.drop(key)
		}
	}
	return result
}

// keys lists what is kept, sorted.
func (s *store) keys() []string {
	list := make([]string, 0, len(s.fds))
	for key := range s.fds {
		list = append(list, key)
	}
	sort.Strings(list)
	return list
}

// release closes a descriptor of somebody else: what close(2) reports is an
// error of their file, and nobody here could act on it.
func release(fd int) { _ = unix.Close(fd) }
