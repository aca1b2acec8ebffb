package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// A notification that stores a descriptor may come twice: the core died between its commit and taking it
// from the socket. The number of its descriptor says nothing, the open file behind it does.

// inode finds candidates. Eventfds and their like all have the same one.
type inode struct{ dev, ino uint64 }

func inodeOf(fd int) (inode, bool) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return inode{}, false
	}
	return inode{uint64(st.Dev), st.Ino}, true
}

// index remembers under which key an inode is held; unindex forgets it.
func (w *World) index(key string, h *held) {
	var ok bool
	if h.inode, ok = inodeOf(h.fd); ok {
		w.inodes[h.inode] = append(w.inodes[h.inode], key)
	}
}

func (w *World) unindex(key string, h *held) {
	list := w.inodes[h.inode]
	for i, k := range list {
		if k == key {
			list[i] = list[len(list)-1]
			list = list[:len(list)-1]
			break
		}
	}
	if w.inodes[h.inode] = list; len(list) == 0 {
		delete(w.inodes, h.inode)
	}
}

// sameAs lists the other keys under which the open file of a held descriptor is held.
func (w *World) sameAs(key string) (keys []string) {
	h := w.fds[key]
	if h == nil {
		return nil
	}
	for _, k := range w.inodes[h.inode] {
		if k != key && sameFile(h.fd, w.fds[k].fd) {
			keys = append(keys, k)
		}
	}
	return keys
}

// sameFile reports whether two descriptors of one inode share an open file.
func sameFile(a, b int) bool {
	const kcmpFile = 0 // linux/kcmp.h
	pid := uintptr(os.Getpid())
	r, _, errno := unix.Syscall6(unix.SYS_KCMP, pid, pid, kcmpFile, uintptr(a), uintptr(b), 0)
	if errno == 0 {
		return r == 0
	}
	// A kernel without kcmp(2), or a filter that forbids it. A file that is opened twice may be taken for one then,
	// but not where all inodes are the same one.
	var st unix.Stat_t
	if unix.Fstat(a, &st) != nil || st.Mode&unix.S_IFMT == 0 {
		return false
	}
	flags, err := unix.FcntlInt(uintptr(a), unix.F_GETFL, 0)
	other, err2 := unix.FcntlInt(uintptr(b), unix.F_GETFL, 0)
	return err == nil && err2 == nil && flags == other
}
