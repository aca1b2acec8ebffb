package linux

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/unit"
)

// made is a new descriptor for a key.
type made struct {
	key string
	fd  int
}

// listen makes the sockets that are not held yet. It is done when init has all of them.
func (w *World) listen(e unit.Listen, done func(error)) {
	var todo []unit.ListenSpec
	for _, s := range e.Sockets {
		if w.fds[s.Key] == nil {
			todo = append(todo, s)
		}
	}
	if len(todo) == 0 {
		done(nil)
		return
	}
	w.pool.run(func() func() {
		all, err := w.makeSockets(todo)
		return func() {
			if err != nil {
				done(err)
				return
			}
			w.keepAll(all, done)
		}
	}, done)
}

// makeSockets makes all or none.
func (w *World) makeSockets(specs []unit.ListenSpec) ([]made, error) {
	var all []made
	for _, s := range specs {
		fd, err := w.makeSocket(s)
		if err != nil {
			for _, m := range all {
				closeFD(m.fd)
			}
			return nil, fmt.Errorf("cannot listen on %s: %w", s.Address, err)
		}
		all = append(all, made{s.Key, fd})
	}
	return all, nil
}

// keepAll puts descriptors into the store; done gets the first error.
func (w *World) keepAll(all []made, done func(error)) {
	left := len(all)
	var first error
	for _, m := range all {
		w.keepFD(m.key, m.fd, func(err error) {
			if first == nil {
				first = err
			}
			if left--; left == 0 {
				done(first)
			}
		})
	}
}

func (w *World) makeSocket(s unit.ListenSpec) (fd int, err error) {
	if s.Type == "fifo" {
		return makeFIFO(s)
	}
	a, err := ParseAddress(s.Address)
	if err != nil {
		return -1, err
	}
	kind, err := socketType(s.Type)
	if err != nil {
		return -1, err
	}
	fd, err = unix.Socket(a.Family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == unix.EAFNOSUPPORT && a.Any {
		a = a.withoutIPv6()
		fd, err = unix.Socket(a.Family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	}
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	defer func() {
		if err != nil {
			closeFD(fd)
			fd = -1
		}
	}()
	if err = w.setOptions(fd, a, s); err != nil {
		return fd, err
	}
	if a.Path != "" {
		err = bindPath(fd, a, s.Options)
	} else if err = unix.Bind(fd, a.Sockaddr()); err != nil {
		err = fmt.Errorf("bind: %w", err)
	}
	if err != nil || kind == unix.SOCK_DGRAM {
		return fd, err
	}
	if err = unix.Listen(fd, backlog(s.Options.Backlog)); err != nil {
		return fd, fmt.Errorf("listen: %w", err)
	}
	return fd, nil
}

// backlog is systemd's default for Backlog=; the kernel cuts it to net.core.somaxconn.
func backlog(n int) int {
	if n <= 0 {
		return 4096
	}
	return n
}

func socketType(s string) (int, error) {
	switch s {
	case "stream":
		return unix.SOCK_STREAM, nil
	case "dgram":
		return unix.SOCK_DGRAM, nil
	case "seqpacket":
		return unix.SOCK_SEQPACKET, nil
	}
	return 0, fmt.Errorf("socket type %q: want stream, dgram, seqpacket or fifo", s)
}

// bindPath binds a socket in the file system. The inode never has a wider mode than
// SocketMode=: bind(2) gives it the descriptor's mode less the umask.
func bindPath(fd int, a Address, o unit.SocketOptions) error {
	mode := o.Mode
	if mode == 0 {
		mode = 0o666
	}
	uid, gid, err := lookupOwner(o.User, o.Group)
	if err != nil {
		return err
	}
	if err := makeParents(a.Path, o.DirMode); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, mode); err != nil {
		return fmt.Errorf("fchmod: %w", err)
	}
	err = unix.Bind(fd, a.Sockaddr())
	if err == unix.EADDRINUSE {
		if err := removeStale(a.Path, unix.S_IFSOCK); err != nil {
			return err
		}
		err = unix.Bind(fd, a.Sockaddr())
	}
	if err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := adjust(a.Path, unix.S_IFSOCK, mode, uid, gid); err != nil {
		return err
	}
	return makeLinks(a.Path, o)
}

// makeFIFO makes and opens a named pipe; read and write, so that it never sees an end.
func makeFIFO(s unit.ListenSpec) (int, error) {
	path := filepath.Clean(s.Address)
	if !filepath.IsAbs(path) {
		return -1, fmt.Errorf("%q is not an absolute path", s.Address)
	}
	mode := s.Options.Mode
	if mode == 0 {
		mode = 0o666
	}
	uid, gid, err := lookupOwner(s.Options.User, s.Options.Group)
	if err != nil {
		return -1, err
	}
	if err := makeParents(path, s.Options.DirMode); err != nil {
		return -1, err
	}
	if err := unix.Mkfifo(path, mode); err != nil && err != unix.EEXIST {
		return -1, fmt.Errorf("mkfifo: %w", err)
	}
	if err := adjust(path, unix.S_IFIFO, mode, uid, gid); err != nil {
		return -1, err
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_NOCTTY, 0)
	if err != nil {
		return -1, fmt.Errorf("open: %w", err)
	}
	if n := s.Options.PipeSize; n > 0 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, int(n)); err != nil {
			closeFD(fd)
			return -1, fmt.Errorf("PipeSize=%d: %w", n, err)
		}
	}
	if err := makeLinks(path, s.Options); err != nil {
		closeFD(fd)
		return -1, err
	}
	return fd, nil
}

func makeParents(path string, mode uint32) error {
	if mode == 0 {
		mode = 0o755
	}
	return os.MkdirAll(filepath.Dir(path), os.FileMode(mode&0o777))
}

// removeStale removes what an earlier run left, if it is of the kind that would be made.
func removeStale(path string, kind uint32) error {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	if err == nil && st.Mode&unix.S_IFMT != kind {
		return fmt.Errorf("%s is in the way: it is not a socket", path)
	}
	if err == nil {
		err = unix.Unlink(path)
	}
	if err != nil && err != unix.ENOENT {
		return fmt.Errorf("cannot remove %s: %w", path, err)
	}
	return nil
}

// adjust gives a new inode its owner and exact mode, if it is still the kind that was made.
func adjust(path string, kind, mode uint32, uid, gid int) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("cannot stat %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != kind {
		return fmt.Errorf("%s is in the way: it was not made here", path)
	}
	if int(st.Uid) != uid || int(st.Gid) != gid {
		if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			return fmt.Errorf("cannot give %s to user %d, group %d: %w", path, uid, gid, err)
		}
	}
	if st.Mode&0o7777 != mode {
		if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode); err != nil {
			return fmt.Errorf("cannot change mode of %s: %w", path, err)
		}
	}
	return nil
}

// makeLinks makes Symlinks=, over links but over nothing else.
func makeLinks(path string, o unit.SocketOptions) error {
	for _, l := range o.Symlinks {
		if err := os.MkdirAll(filepath.Dir(l), 0o755); err != nil {
			return err
		}
		err := unix.Symlink(path, l)
		if err == unix.EEXIST {
			if old, rerr := os.Readlink(l); rerr == nil && old == path {
				continue
			} else if rerr == nil {
				if err = unix.Unlink(l); err == nil {
					err = unix.Symlink(path, l)
				}
			}
		}
		if err != nil {
			return fmt.Errorf("cannot make link %s: %w", l, err)
		}
	}
	return nil
}

// dropAndUnlink carries out a DropFD: the names go first, so that nobody connects to
// a socket that is about to close.
func (w *World) dropAndUnlink(e unit.DropFD, done func(error)) {
	if len(e.Unlink) == 0 {
		w.dropFDs(e.Keys, done)
		return
	}
	w.pool.run(func() func() {
		var first error
		for _, path := range e.Unlink {
			if err := unix.Unlink(path); err != nil && err != unix.ENOENT && first == nil {
				first = fmt.Errorf("cannot remove %s: %w", path, err)
			}
		}
		return func() {
			w.dropFDs(e.Keys, func(err error) {
				if err == nil {
					err = first
				}
				done(err)
			})
		}
	}, done)
}
