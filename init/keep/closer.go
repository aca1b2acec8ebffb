package keep

import (
	"sync"

	"golang.org/x/sys/unix"
)

// closersMax is how many closes may hang before others wait behind them. Each holds a thread.
const closersMax = 2

// Closer closes descriptors that others made without waiting for it: close(2) of a file asks its
// FUSE or NFS server and waits for the answer, for ever if that is dead; a serial line is drained
// first; a socket may linger. The descriptor's number is free at once in any case.
// The zero value is ready; it is safe for concurrent use.
type Closer struct {
	mu      sync.Mutex
	queue   []int
	running int
}

// Close closes fd: at once what cannot wait (pipes and sockets, whose other end is told by it),
// everything else beside the caller.
func (c *Closer) Close(fd int) {
	if fd < 0 {
		return
	}
	if closesAtOnce(fd) {
		Release(fd)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, fd)
	if c.running < closersMax {
		c.running++
		go c.work()
	}
}

// Backlog is how many descriptors wait to be closed. It stays small unless closes hang.
func (c *Closer) Backlog() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// Busy reports whether anything is being closed beside the callers.
func (c *Closer) Busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running > 0
}

func (c *Closer) work() {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.running--
			c.mu.Unlock()
			return
		}
		fd := c.queue[0]
		c.queue = c.queue[:copy(c.queue, c.queue[1:])]
		c.mu.Unlock()
		Release(fd)
	}
}

// kindOf gives the kind of file (inode(7)), without asking a server about it.
func kindOf(fd int) (uint16, bool) {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &st)
	return st.Mode & unix.S_IFMT, err == nil
}

func closesAtOnce(fd int) bool {
	switch kind, _ := kindOf(fd); kind {
	case unix.S_IFIFO:
		return true
	case unix.S_IFSOCK:
		l, err := unix.GetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER)
		return err == nil && l.Onoff == 0
	}
	return false
}

// Release closes a descriptor that cannot make close(2) wait: what that
// reports is an error of their file, and nobody here could act on it.
func Release(fd int) { _ = unix.Close(fd) }
