package cgroup

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrPath says that a path is not relative, has empty, "." or ".." components, or is too long.
var ErrPath = errors.New("invalid control group path")

// ErrTooBig says that a kernel file or a tree is larger than anything sensible.
var ErrTooBig = errors.New("larger than the limit")

// Limits of what is read; a tree beyond them is reported, not followed.
const (
	MaxDepth    = 64        // nested groups
	MaxGroups   = 1 << 16   // groups below one path
	MaxProcs    = 1 << 20   // processes below one path
	maxFileSize = 64 << 10  // attribute files
	maxPath     = 4096 - 64 // PATH_MAX, with room for a file name
)

// Root is a directory of a cgroup2 mount (or a stand-in of a test) that the owner manages.
type Root struct {
	path string
	fd   int
}

// OpenRoot opens the directory path, for instance Layout.Unified or a delegated group below it.
func OpenRoot(path string) (*Root, error) {
	fd, err := open(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("cannot open control group root %s: %w", path, err)
	}
	return &Root{path: strings.TrimRight(path, "/"), fd: fd}, nil
}

// IsUnified reports whether the root really lies on a cgroup2 file system.
func (r *Root) IsUnified() bool {
	var st unix.Statfs_t
	return unix.Fstatfs(r.fd, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// Path is the absolute path of the group path, for messages and inotify.
func (r *Root) Path(path string) string {
	if path == "" {
		return r.path
	}
	return r.path + "/" + path
}

// Close gives up the root; descriptors from Open stay valid.
func (r *Root) Close() error { return unix.Close(r.fd) }

// Open opens the directory of a group, close-on-exec, for clone3's CLONE_INTO_CGROUP.
// The caller closes it.
func (r *Root) Open(path string) (int, error) {
	fd, err := r.openDir(path)
	if err != nil {
		return -1, fmt.Errorf("cannot open control group %q: %w", path, err)
	}
	return fd, nil
}

// Exists reports whether the group is there.
func (r *Root) Exists(path string) bool {
	fd, err := r.openDir(path)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// Get reads one attribute file of a group whole (at most 64 KiB), as the kernel wrote it.
func (r *Root) Get(path, file string) (string, error) {
	b, err := r.read(path, file)
	if err != nil {
		return "", fmt.Errorf("cannot read %s of control group %q: %w", file, path, err)
	}
	return string(b), nil
}

// Set writes value to one attribute file of a group in a single write. A kernel without the
// file gives unix.ENOENT by errors.Is.
func (r *Root) Set(path, file, value string) error {
	if err := r.write(path, file, value); err != nil {
		return fmt.Errorf("cannot write %q to %s of control group %q: %w", value, file, path, err)
	}
	return nil
}

// Attach moves a process into a group: the fallback for kernels and sandboxes where
// clone3 cannot do it at birth.
func (r *Root) Attach(path string, pid int) error {
	return r.Set(path, "cgroup.procs", strconv.Itoa(pid))
}

func (r *Root) openDir(path string) (int, error) {
	if err := check(path); err != nil {
		return -1, err
	}
	if path == "" {
		path = "."
	}
	return open(r.fd, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
}

func (r *Root) file(path, file string) (string, error) {
	if err := check(path); err != nil {
		return "", err
	}
	if file == "" || file == "." || file == ".." || strings.IndexByte(file, '/') >= 0 || len(file) > 64 {
		return "", fmt.Errorf("%w: file %q", ErrPath, file)
	}
	if path == "" {
		return file, nil
	}
	return path + "/" + file, nil
}

func (r *Root) read(path, file string) ([]byte, error) {
	name, err := r.file(path, file)
	if err != nil {
		return nil, err
	}
	return readAt(r.fd, name, maxFileSize)
}

func (r *Root) write(path, file, value string) error {
	name, err := r.file(path, file)
	if err != nil {
		return err
	}
	fd, err := open(r.fd, name, unix.O_WRONLY|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Write(fd, []byte(value))
		if err == unix.EINTR {
			continue
		}
		if err == nil && n != len(value) {
			err = unix.EIO
		}
		return err
	}
}

// check refuses what could leave the root.
func check(path string) error {
	if path == "" {
		return nil
	}
	if len(path) > maxPath {
		return ErrPath
	}
	depth := 0
	for rest, more := path, true; more; depth++ {
		var c string
		c, rest, more = strings.Cut(rest, "/")
		if c == "" || c == "." || c == ".." || len(c) > 255 || strings.IndexByte(c, 0) >= 0 || strings.IndexByte(c, '\n') >= 0 {
			return fmt.Errorf("%w: %q", ErrPath, path)
		}
	}
	if depth > MaxDepth {
		return fmt.Errorf("%w: %q is too deep", ErrPath, path)
	}
	return nil
}

func open(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func readAt(dir int, name string, limit int) ([]byte, error) {
	fd, err := open(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buf := make([]byte, 0, 512)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, err
		case n == 0:
			return buf, nil
		default:
			buf = buf[:len(buf)+n]
			if len(buf) > limit {
				return nil, ErrTooBig
			}
		}
	}
}
