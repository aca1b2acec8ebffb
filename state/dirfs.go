package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// DirFS is a directory of the system. One with a path (NewDirFS) works by it, not by a descriptor of the directory: when
// the directory is removed or mounted over, the store must come back where the next process will look for it. One that
// the next process will have as a descriptor (NewDirFDFS) works by that.
type DirFS struct {
	at   int      // AT_FDCWD, or the directory
	dir  string   // path with a slash at its end; empty with a directory
	file *os.File // kept, so that at stays open
}

// NewDirFS returns the directory as an FS; it need not exist yet.
func NewDirFS(dir string) *DirFS { return &DirFS{at: unix.AT_FDCWD, dir: dir + "/"} }

func (d *DirFS) path(name string) string { return d.dir + name }

// Prepare makes the directory and its parents, for the owner only.
func (d *DirFS) Prepare() error {
	if d.file != nil {
		return nil
	}
	return os.MkdirAll(d.dir, 0o700)
}

// List returns the names, sorted.
func (d *DirFS) List() ([]string, error) {
	fd, err := d.self()
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), d.dir)
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, errors.Join(err, f.Close())
}

// self opens the directory itself.
func (d *DirFS) self() (int, error) {
	defer runtime.KeepAlive(d) // at is the file's, which the garbage collector closes
	return retry(func() (int, error) {
		return unix.Openat(d.at, d.path("."), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
}

// Exists reports whether the name is there.
func (d *DirFS) Exists(name string) (bool, error) {
	defer runtime.KeepAlive(d)
	var st unix.Stat_t
	err := unix.Fstatat(d.at, d.path(name), &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

// Open opens a file for reading, and for Truncate where the file system lets us write. A symbolic link, or anything
// but a regular file, is refused.
func (d *DirFS) Open(name string) (File, error) {
	f, err := d.open(name, unix.O_RDWR|unix.O_NONBLOCK)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		return d.open(name, unix.O_RDONLY|unix.O_NONBLOCK)
	}
	return f, err
}

// Create makes an empty file with mode 0600. What was there under that name stays as it is for those who have it open.
func (d *DirFS) Create(name string) (File, error) {
	defer runtime.KeepAlive(d)
	err := unix.Unlinkat(d.at, d.path(name), 0)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, err
	}
	return d.open(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
}

func (d *DirFS) open(name string, flags int) (File, error) {
	defer runtime.KeepAlive(d)
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.at, d.path(name), flags|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NOCTTY, 0o600)
	})
	if err != nil {
		return nil, err
	}
	f := &dirFile{fd: fd}
	if err = unix.Fstat(fd, &f.st); err == nil && f.st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = fmt.Errorf("not a regular file: %w", unix.EINVAL)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Rename moves a file over another.
func (d *DirFS) Rename(from, to string) error {
	defer runtime.KeepAlive(d)
	return unix.Renameat(d.at, d.path(from), d.at, d.path(to))
}

// Remove removes a file.
func (d *DirFS) Remove(name string) error {
	defer runtime.KeepAlive(d)
	return unix.Unlinkat(d.at, d.path(name), 0)
}

// SyncDir makes the names durable.
func (d *DirFS) SyncDir() error {
	fd, err := d.self()
	if err != nil {
		return err
	}
	return errors.Join(unix.Fsync(fd), unix.Close(fd))
}

// Lock takes a POSIX record lock (fcntl(2), F_SETLK): it ends with this process, and a child that was just
// forked, or hangs in exec, does not hold it - a lock of flock(2) would then keep the next core out.
func (d *DirFS) Lock(name string) (io.Closer, error) {
	f, err := d.open(name, unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		return nil, err
	}
	lk := unix.Flock_t{Type: unix.F_WRLCK, Whence: unix.SEEK_SET}
	err = unix.FcntlFlock(uintptr(f.(*dirFile).fd), unix.F_SETLK, &lk)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = ErrLocked
	}
	return nil, errors.Join(err, f.Close())
}

// randomSalt takes a number from getrandom(2) without waiting: early at boot the pool may not be ready, and then a
// guessable salt is better than a manager that waits.
func randomSalt() uint64 {
	var b [8]byte
	if n, err := unix.Getrandom(b[:], unix.GRND_NONBLOCK); err != nil || n != len(b) {
		return uint64(os.Getpid())
	}
	return binary.LittleEndian.Uint64(b[:])
}

// dirFile works on the bare descriptor: a commit must not allocate.
type dirFile struct {
	fd int
	st unix.Stat_t // scratch of Linked and Size
}

func (f *dirFile) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(f.fd, p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, err
		case n == 0:
			return done, io.EOF
		default:
			done += n
		}
	}
	return done, nil
}

func (f *dirFile) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pwrite(f.fd, p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, err
		case n == 0:
			return done, io.ErrShortWrite
		default:
			done += n
		}
	}
	return done, nil
}

func (f *dirFile) Size() (int64, error) {
	err := unix.Fstat(f.fd, &f.st)
	return f.st.Size, err
}

func (f *dirFile) Linked() (bool, error) {
	err := unix.Fstat(f.fd, &f.st)
	return f.st.Nlink > 0, err
}

func (f *dirFile) Truncate(size int64) error { return unix.Ftruncate(f.fd, size) }

func (f *dirFile) Allocate(from, to int64) error {
	_, err := retry(func() (int, error) {
		return 0, unix.Fallocate(f.fd, unix.FALLOC_FL_KEEP_SIZE, from, to-from)
	})
	return err
}

func (f *dirFile) Sync() error { return unix.Fsync(f.fd) }

func (f *dirFile) Close() error { return unix.Close(f.fd) }

// retry repeats a call that a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
