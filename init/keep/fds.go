package keep

import (
	"sort"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// FDs is the descriptors kept for the core.
type FDs struct {
	Closer // of what is dropped
	fds    map[string]int
	max    int
}

// NewFDs is an empty store for at most max descriptors.
func NewFDs(max int) *FDs { return &FDs{fds: make(map[string]int), max: max} }

// Get gives the descriptor under key; it stays the store's.
func (s *FDs) Get(key string) (int, bool) { fd, ok := s.fds[key]; return fd, ok }

// Put takes fd over, also when it refuses.
func (s *FDs) Put(key string, fd int) syscall.Errno {
	if fd < 0 {
		return unix.EMFILE // the kernel had no room for it in our table
	}
	old, replaces := s.fds[key]
	if !replaces && len(s.fds) >= s.max {
		s.Close(fd)
		return unix.ENOSPC
	}
	if replaces {
		s.Close(old)
	}
	s.fds[key] = fd
	return 0
}

// Drop closes what is kept under key; ENOENT if nothing is.
func (s *FDs) Drop(key string) syscall.Errno {
	fd, ok := s.fds[key]
	if !ok {
		return unix.ENOENT
	}
	delete(s.fds, key)
	s.Close(fd)
	return 0
}

// DropPrefix drops all keys that begin so; ENOENT if none does.
func (s *FDs) DropPrefix(prefix string) syscall.Errno {
	result := unix.ENOENT
	for key := range s.fds {
		if strings.HasPrefix(key, prefix) {
			result = s.Drop(key)
		}
	}
	return result
}

// Keys lists what is kept, sorted.
func (s *FDs) Keys() []string {
	list := make([]string, 0, len(s.fds))
	for key := range s.fds {
		list = append(list, key)
	}
	sort.Strings(list)
	return list
}
