package linux

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/unit"
)

// makeDirs creates or removes managed directories (systemd.exec(5), RuntimeDirectory=).
// All are tried; the error has each that failed.
func makeDirs(e unit.Dirs) error {
	var errs []error
	for _, d := range e.Dirs {
		if e.Remove {
			if err := removeDir(d.Path); err != nil {
				errs = append(errs, err)
			}
		} else if err := makeDir(d); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func removeDir(path string) error {
	if path = filepath.Clean(path); !filepath.IsAbs(path) || path == "/" {
		return fmt.Errorf("cannot remove directory %q: not an absolute path below /", path)
	}
	return os.RemoveAll(path) // does not follow links, and its error names the path
}

// makeDir makes one directory with its parents (0755, root), and gives it to its owner
// with all that is in it, as a service that ran as another user before needs it.
func makeDir(d unit.Dir) error {
	fail := func(err error) error { return fmt.Errorf("cannot make directory %s: %w", d.Path, err) }
	path := filepath.Clean(d.Path)
	if !filepath.IsAbs(path) || path == "/" {
		return fail(errors.New("not an absolute path below /"))
	}
	uid, gid, err := lookupOwner(d.User, d.Group)
	if err != nil {
		return fail(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fail(err)
	}
	if err := unix.Mkdir(path, d.Mode&0o7777); err != nil && err != unix.EEXIST {
		return fail(err)
	}
	// From here on by descriptor: what stands at path may belong to the service's user.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fail(err)
	}
	if int(st.Uid) != uid || int(st.Gid) != gid {
		if err := chownTree(path, fd, uid, gid); err != nil {
			return fail(err)
		}
	}
	// After chown, which takes set-id bits away; umask has none of it.
	if err := unix.Fchmod(fd, d.Mode&0o7777); err != nil {
		return fail(err)
	}
	return nil
}

// chownTree gives a directory and what is in it to uid and gid, by descriptors and without
// following links. os.Root keeps every step inside, whatever a user puts there meanwhile.
func chownTree(path string, fd, uid, gid int) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := chownBelow(root, ".", uid, gid, 0); err != nil {
		return err
	}
	return unix.Fchown(fd, uid, gid)
}

const chownDepth = 64

func chownBelow(root *os.Root, dir string, uid, gid, depth int) error {
	if depth > chownDepth {
		return fmt.Errorf("%s: too deep", dir)
	}
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	entries, err := d.ReadDir(-1)
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if e.IsDir() {
			if err := chownBelow(root, name, uid, gid, depth+1); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		if err := root.Lchown(name, uid, gid); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// lookupOwner finds a user and group in /etc/passwd and /etc/group, by name or number. No
// user is root; no group is the user's own.
func lookupOwner(userName, groupName string) (uid, gid int, err error) {
	if userName != "" {
		u, err := user.Lookup(userName)
		if err != nil {
			u, err = user.LookupId(userName)
		}
		if err == nil {
			if uid, err = strconv.Atoi(u.Uid); err == nil {
				gid, err = strconv.Atoi(u.Gid)
			}
		} else if n, aerr := strconv.Atoi(userName); aerr == nil && n >= 0 {
			uid, gid, err = n, n, nil // a number without an entry
		}
		if err != nil {
			return 0, 0, fmt.Errorf("cannot find user %q: %w", userName, err)
		}
	}
	if groupName == "" {
		return uid, gid, nil
	}
	g, err := user.LookupGroup(groupName)
	if err == nil {
		if gid, err = strconv.Atoi(g.Gid); err == nil {
			return uid, gid, nil
		}
	} else if n, aerr := strconv.Atoi(groupName); aerr == nil && n >= 0 {
		return uid, n, nil
	}
	return 0, 0, fmt.Errorf("cannot find group %q: %w", groupName, err)
}
