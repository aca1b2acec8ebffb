package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// buildRoot makes the root of the sandbox and moves into it.
func buildRoot(p plan) error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := mount("tmpfs", p.Root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=64m"); err != nil {
		return err
	}
	for _, step := range []func(plan) error{hostPrograms, ownFiles, devices, kernelFiles} {
		if err := step(p); err != nil {
			return err
		}
	}
	return pivot(p.Root)
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return &setupError{"mount " + target, err}
	}
	return nil
}

// hostPrograms mounts the host's programs and libraries read-only.
func hostPrograms(p plan) error {
	for _, dir := range [...]string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/gnu"} {
		st, err := os.Lstat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil && st.Mode()&fs.ModeSymlink != 0:
			var to string
			if to, err = os.Readlink(dir); err == nil {
				err = os.Symlink(to, p.Root+dir)
			}
		case err == nil && st.IsDir():
			err = bindReadOnly(dir, p.Root+dir)
		}
		if err != nil {
			return err
		}
	}
	// What the loader, the shell's line editor and alternative programs look up.
	for _, path := range [...]string{"/etc/ld.so.cache", "/etc/alternatives", "/etc/terminfo", "/etc/localtime"} {
		if _, err := os.Stat(path); err != nil {
			continue // not every distribution has each
		}
		if err := bindReadOnly(path, p.Root+path); err != nil {
			return err
		}
	}
	return bindReadOnly(p.Bin, p.Root+insideBin)
}

// bindReadOnly mounts a file or a directory with all below it at another place.
func bindReadOnly(from, to string) error {
	if err := place(from, to); err != nil {
		return err
	}
	if err := mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	err := unix.MountSetattr(unix.AT_FDCWD, to, unix.AT_RECURSIVE, &attr)
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.12
		err = remount(to, unix.MS_RDONLY)
	}
	if err != nil {
		return &setupError{"make " + to + " read-only", err}
	}
	return nil
}

// remount adds flags to a bind mount and keeps those that it has, which a user namespace
// may not take away.
func remount(path string, flags uintptr) error {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return err
	}
	const kept = unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC | unix.ST_NOATIME | unix.ST_NODIRATIME | unix.ST_RELATIME
	return unix.Mount("", path, "", unix.MS_BIND|unix.MS_REMOUNT|uintptr(st.Flags)&kept|flags, "")
}

// place makes what is mounted over: a directory or a file, as from is one.
func place(from, to string) error {
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	if st.IsDir() {
		return os.MkdirAll(to, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, nil, 0o644)
}

// ownFiles writes what the sandbox has for itself.
func ownFiles(p plan) error {
	for _, dir := range [...]string{"/root", "/home", "/var/lib", "/var/log", "/var/tmp", "/etc/systemd/system", insideUnits} {
		if err := os.MkdirAll(p.Root+dir, 0o755); err != nil {
			return err
		}
	}
	for path, text := range map[string]string{
		"/etc/passwd":   "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
		"/etc/group":    "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
		"/etc/hostname": "sandbox\n",
		"/etc/hosts":    "127.0.0.1 localhost sandbox\n::1 localhost\n",
	} {
		if err := os.WriteFile(p.Root+path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", p.Root+"/var/run"); err != nil {
		return err
	}
	return fs.WalkDir(unitFiles, "units", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := unitFiles.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(p.Root+insideDir, path), text, 0o644)
	})
}

// devices makes a /dev that has none of the host's devices but those without a state.
func devices(p plan) error {
	dev := p.Root + "/dev"
	if err := os.Mkdir(dev, 0o755); err != nil {
		return err
	}
	if err := mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID|unix.MS_STRICTATIME, "mode=0755,size=4m"); err != nil {
		return err
	}
	nodes := map[string]string{}
	for _, name := range [...]string{"null", "zero", "full", "random", "urandom", "tty"} {
		nodes["/dev/"+name] = "/" + name
	}
	if p.Terminal != "" {
		nodes[p.Terminal] = "/console"
	}
	for from, to := range nodes {
		// Read-only, so that nobody changes the host's node; the device can be written to.
		if err := bindReadOnly(from, dev+to); err != nil {
			return err
		}
	}
	owner := ",gid=5"
	if p.UserNS {
		owner = "" // the group tty is not mapped
	}
	for _, m := range []struct {
		path, kind, data string
		flags            uintptr
	}{
		{"/dev/pts", "devpts", "newinstance,mode=0620,ptmxmode=0666" + owner, unix.MS_NOSUID | unix.MS_NOEXEC},
		{"/dev/shm", "tmpfs", "mode=1777,size=64m", unix.MS_NOSUID | unix.MS_NODEV},
		{"/run", "tmpfs", "mode=0755,size=64m", unix.MS_NOSUID | unix.MS_NODEV},
		{"/tmp", "tmpfs", "mode=1777,size=64m", unix.MS_NOSUID | unix.MS_NODEV},
	} {
		if err := os.Mkdir(p.Root+m.path, 0o755); err != nil {
			return err
		}
		if err := mount(m.kind, p.Root+m.path, m.kind, m.flags, m.data); err != nil {
			return err
		}
	}
	return os.Symlink("pts/ptmx", dev+"/ptmx")
}

// kernelFiles mounts /proc and /sys, without the ways to change the host through them.
func kernelFiles(p plan) error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	proc, sys := p.Root+"/proc", p.Root+"/sys"
	if err := errors.Join(os.Mkdir(proc, 0o555), os.Mkdir(sys, 0o555)); err != nil {
		return err
	}
	if err := mount("proc", proc, "proc", flags, ""); err != nil {
		return err
	}
	// What init or the core would raise, and cannot below: how many notifications wait while no
	// core reads them. Where the kernel forbids it, senders wait instead.
	_ = os.WriteFile(proc+"/sys/net/unix/max_dgram_qlen", []byte("512"), 0)
	for _, path := range [...]string{"/sys", "/sys/net", "/sysrq-trigger", "/irq", "/bus", "/fs"} {
		if _, err := os.Lstat(proc + path); err != nil {
			continue
		}
		if err := mount(proc+path, proc+path, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		if path == "/sys/net" { // it belongs to the network namespace
			continue
		}
		if path != "/sys" { // which is after /sys/net is mounted
			if err := remount(proc+path, unix.MS_RDONLY); err != nil {
				return fmt.Errorf("cannot make %s read-only: %w", proc+path, err)
			}
		}
	}
	if err := remount(proc+"/sys", unix.MS_RDONLY); err != nil {
		return fmt.Errorf("cannot make %s/sys read-only: %w", proc, err)
	}
	groups := sys + "/fs/cgroup"
	if err := unix.Mount("sysfs", sys, "sysfs", flags|unix.MS_RDONLY, ""); err != nil {
		// A container that shows only part of its /sys may not mount another: do without.
		if err := mount("tmpfs", sys, "tmpfs", flags, "mode=0755,size=1m"); err != nil {
			return err
		}
		if err := os.MkdirAll(groups, 0o755); err != nil {
			return err
		}
	}
	if p.Group == "" {
		// Nobody must mount the host's tree there.
		return mount("tmpfs", groups, "tmpfs", flags|unix.MS_RDONLY, "mode=0755,size=1m")
	}
	return nil
}

// pivot makes path the root and leaves the host's behind.
func pivot(path string) error {
	err := unix.Chdir(path)
	if err == nil {
		err = unix.PivotRoot(".", ".")
	}
	if err == nil {
		err = unix.Unmount(".", unix.MNT_DETACH)
	}
	if err == nil {
		err = unix.Chdir("/")
	}
	if err != nil {
		return &setupError{"make " + path + " the root", err}
	}
	return nil
}
