package keep

import (
	"slices"
	"sort"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// MaxDoors is how many of the core's doors are looked at.
const MaxDoors = 8

// FDs is the descriptors kept for the core.
type FDs struct {
	Closer     // of what is dropped
	Max    int // descriptors; lowered, what is there stays
	fds    map[string]int
	doors  []int // descriptors under fdstore.DoorPrefix, in no order
}

// NewFDs is an empty store for at most max descriptors.
func NewFDs(max int) *FDs { return &FDs{fds: make(map[string]int), Max: max} }

// Get gives the descriptor under key; it stays the store's.
func (s *FDs) Get(key string) (int, bool) { fd, ok := s.fds[key]; return fd, ok }

// Put takes fd over, also when it refuses.
func (s *FDs) Put(key string, fd int) syscall.Errno {
	if fd < 0 {
		return unix.EMFILE // the kernel had no room for it in our table
	}
	old, replaces := s.fds[key]
	if !replaces && len(s.fds) >= s.Max {
		s.Close(fd)
		return unix.ENOSPC
	}
	if replaces {
		s.release(key, old)
	}
	s.fds[key] = fd
	if strings.HasPrefix(key, fdstore.DoorPrefix) && len(s.doors) < MaxDoors && isSocket(fd) {
		s.doors = append(s.doors, fd)
	}
	return 0
}

// Doors lists the first MaxDoors sockets that were put under fdstore.DoorPrefix. The list is
// the store's.
func (s *FDs) Doors() []int { return s.doors }

// isSocket: poll(2) of a file on a dead FUSE would never come back.
func isSocket(fd int) bool {
	kind, ok := kindOf(fd)
	return ok && kind == unix.S_IFSOCK
}

func (s *FDs) release(key string, fd int) {
	if strings.HasPrefix(key, fdstore.DoorPrefix) {
		s.doors = slices.DeleteFunc(s.doors, func(d int) bool { return d == fd })
	}
	s.Close(fd)
}

// Drop closes what is kept under key; ENOENT if nothing is.
func (s *FDs) Drop(key string) syscall.Errno {
	fd, ok := s.fds[key]
	if !ok {
		return unix.ENOENT
	}
	delete(s.fds, key)
	s.release(key, fd)
	return 0
}

// DropPrefix drops all keys that begin so, but not init's own; ENOENT if none does.
func (s *FDs) DropPrefix(prefix string) syscall.Errno {
	result := unix.ENOENT
	for key := range s.fds {
		if strings.HasPrefix(key, prefix) && !Own(key) {
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
