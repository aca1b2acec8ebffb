package condition

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
)

// found turns "there is nothing there" into an answer; other errors stay what they are.
func found(err error) (bool, error) {
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		return false, nil
	}
	return false, err
}

func pathExists(m Machine, path string) (bool, error) {
	_, err := m.Stat(path)
	return found(err)
}

func stat(m Machine, path string, is func(File) bool) (bool, error) {
	f, err := m.Stat(path)
	ok, err := found(err)
	return ok && is(f), err
}

func pathIsDirectory(m Machine, path string) (bool, error) {
	return stat(m, path, func(f File) bool { return f.Mode.IsDir() })
}

func pathIsSymbolicLink(m Machine, path string) (bool, error) {
	f, err := m.Lstat(path)
	ok, err := found(err)
	return ok && f.Mode&fs.ModeSymlink != 0, err
}

func fileNotEmpty(m Machine, path string) (bool, error) {
	return stat(m, path, func(f File) bool { return f.Mode.IsRegular() && f.Size > 0 })
}

func fileIsExecutable(m Machine, path string) (bool, error) {
	return stat(m, path, func(f File) bool { return f.Mode.IsRegular() && f.Mode.Perm()&0o111 != 0 })
}

func directoryNotEmpty(m Machine, path string) (bool, error) {
	names, err := m.ReadDir(path, 1)
	ok, err := found(err)
	return ok && len(names) > 0, err
}

func pathIsMountPoint(m Machine, path string) (bool, error) {
	fsys, err := m.FileSystem(path)
	ok, err := found(err)
	return ok && fsys.Root, err
}

func pathIsReadWrite(m Machine, path string) (bool, error) {
	fsys, err := m.FileSystem(path)
	ok, err := found(err)
	return ok && !fsys.ReadOnly, err
}

func pathIsEncrypted(m Machine, path string) (bool, error) {
	fsys, err := m.FileSystem(path)
	ok, err := found(err)
	if !ok || fsys.Device == "" {
		return false, err
	}
	budget := 64 // a graph of block devices has a few nodes; a loop in it has no end
	return deviceEncrypted(m, "/sys/dev/block/"+fsys.Device, &budget)
}

// deviceEncrypted reports whether a block device is dm-crypt, or stands on nothing but
// devices that are (Documentation/ABI/testing/sysfs-block-dm, dm/uuid).
func deviceEncrypted(m Machine, dir string, budget *int) (bool, error) {
	if *budget--; *budget < 0 {
		return false, errors.New("too many block devices")
	}
	uuid, err := m.ReadFile(dir + "/dm/uuid")
	if ok, err := found(err); err != nil || ok && strings.HasPrefix(string(uuid), "CRYPT-") {
		return err == nil, err
	}
	slaves, err := m.ReadDir(dir+"/slaves", *budget+1)
	if ok, err := found(err); !ok {
		return false, err
	}
	for _, s := range slaves {
		if ok, err := deviceEncrypted(m, dir+"/slaves/"+s, budget); !ok {
			return false, err
		}
	}
	return len(slaves) > 0, nil
}

// needsUpdate reports whether /usr is newer than the stamp that systemd-update-done.service
// left in the directory (man systemd-update-done.service(8)).
func needsUpdate(m Machine, dir string) (bool, error) {
	if forced, set := commandLineBool(m, "systemd.condition-needs-update"); set {
		return forced, nil
	}
	if inInitrd(m) {
		return false, nil
	}
	if fsys, err := m.FileSystem(dir); err == nil && fsys.ReadOnly {
		return false, nil // what cannot be updated should not be
	}
	// From here on what cannot be known means yes: rather one update too many.
	stampPath := dir + "/.updated"
	stamp, err := m.Lstat(stampPath)
	if err != nil {
		return true, nil
	}
	usr, err := m.Lstat("/usr/")
	if err != nil {
		return true, nil
	}
	const second = 1e9
	if usr.MTime/second != stamp.MTime/second {
		return usr.MTime > stamp.MTime, nil
	}
	if usr.MTime%second == 0 || stamp.MTime%second != 0 {
		return usr.MTime > stamp.MTime, nil
	}
	// The stamp's file system has no nanoseconds; the file itself says them.
	data, err := m.ReadFile(stampPath)
	if err != nil {
		return true, nil
	}
	at, err := strconv.ParseInt(envFileValue(data, "TIMESTAMP_NSEC"), 10, 64)
	return err != nil || usr.MTime > at, nil
}

func inInitrd(m Machine) bool {
	_, err := m.Stat("/etc/initrd-release")
	return err == nil
}

func firstBoot(m Machine, arg string) (bool, error) {
	want, err := parseBool(arg)
	if err != nil {
		return false, err
	}
	is, set := commandLineBool(m, "systemd.condition-first-boot")
	if !set {
		_, err := m.Stat("/run/systemd/first-boot")
		if is, err = found(err); err != nil {
			return false, err
		}
	}
	return is == want, nil
}
