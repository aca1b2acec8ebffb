package apifs

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/bootenv"
	"github.com/sysmaster-go/sysmaster/init/proc"
)

// Op is what an Action does.
type Op uint8

// The operations.
const (
	Mount     Op = 1 // mount Type on Path, making the directory, unless something is mounted there
	Symlink   Op = 2 // make Path a symbolic link to Data, unless it exists
	Raise     Op = 3 // write Data, a number, into Path unless a higher one is there
	Propagate Op = 4 // make Path and all below it a shared mount, as mount namespaces of services expect
)

// Action is one step.
type Action struct {
	Op       Op
	Path     string
	Type     string  // file system, for Mount
	Data     string  // mount options (the last ones are given up if the kernel does not know them), link target, or number
	Flags    uintptr // MS_* of mount(2)
	Optional bool    // not every kernel has it
}

// String is the action as a shell would do it.
func (a Action) String() string {
	switch a.Op {
	case Mount:
		s := "mount -t " + a.Type
		if a.Data != "" {
			s += " -o " + a.Data
		}
		return s + " " + a.Type + " " + a.Path
	case Symlink:
		return "ln -s " + a.Data + " " + a.Path
	case Raise:
		return "echo " + a.Data + " >" + a.Path
	case Propagate:
		return "mount --make-rshared " + a.Path
	}
	return "operation " + strconv.Itoa(int(a.Op)) + " on " + a.Path
}

const noExec = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// Default is the list for a world. The order counts: /proc first, because the
// rest reads it, and the sockets' queues before the first socket exists.
// (file-hierarchy(7), systemd.io/API_FILE_SYSTEMS, kernel Documentation/admin-guide/cgroup-v2.rst)
func Default(w bootenv.World) []Action {
	list := []Action{
		{Op: Mount, Path: "/proc", Type: "proc", Flags: noExec},
		{Op: Mount, Path: "/sys", Type: "sysfs", Flags: noExec},
		{Op: Mount, Path: "/dev", Type: "devtmpfs", Data: "mode=0755", Flags: unix.MS_NOSUID | unix.MS_STRICTATIME},
		{Op: Mount, Path: "/dev/shm", Type: "tmpfs", Data: "mode=01777", Flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_STRICTATIME},
		{Op: Mount, Path: "/dev/pts", Type: "devpts", Data: "mode=0620,gid=5,ptmxmode=000", Flags: unix.MS_NOSUID | unix.MS_NOEXEC},
		{Op: Mount, Path: "/run", Type: "tmpfs", Data: "mode=0755,size=20%,nr_inodes=800k", Flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_STRICTATIME},
		{Op: Mount, Path: "/sys/fs/cgroup", Type: "cgroup2", Data: "nsdelegate,memory_recursiveprot", Flags: noExec},
		{Op: Raise, Path: "/proc/sys/net/unix/max_dgram_qlen", Data: "512", Optional: true},
		{Op: Raise, Path: "/proc/sys/net/core/somaxconn", Data: "4096", Optional: true},
		{Op: Symlink, Path: "/dev/fd", Data: "/proc/self/fd"},
		{Op: Symlink, Path: "/dev/stdin", Data: "/proc/self/fd/0"},
		{Op: Symlink, Path: "/dev/stdout", Data: "/proc/self/fd/1"},
		{Op: Symlink, Path: "/dev/stderr", Data: "/proc/self/fd/2"},
	}
	if !w.Machine() {
		return list
	}
	return append(list,
		Action{Op: Symlink, Path: "/dev/core", Data: "/proc/kcore"},
		Action{Op: Mount, Path: "/sys/kernel/security", Type: "securityfs", Flags: noExec, Optional: true},
		Action{Op: Mount, Path: "/sys/fs/pstore", Type: "pstore", Flags: noExec, Optional: true},
		Action{Op: Mount, Path: "/sys/firmware/efi/efivars", Type: "efivarfs", Flags: noExec, Optional: true},
		Action{Op: Mount, Path: "/sys/fs/bpf", Type: "bpf", Data: "mode=0700", Flags: noExec, Optional: true},
		Action{Op: Propagate, Path: "/"},
	)
}

// Do does one action. That it was so before, or that the kernel lacks an optional one, is no error.
func (a Action) Do() error {
	var err error
	switch a.Op {
	case Mount:
		if !MountPoint(a.Path) {
			err = a.Mount()
		}
	case Symlink:
		err = unix.Symlink(a.Data, a.Path)
	case Raise:
		err = a.raise()
	case Propagate:
		err = unix.Mount("", a.Path, "", unix.MS_REC|unix.MS_SHARED, "")
	default:
		err = unix.EINVAL
	}
	if err == unix.EEXIST || a.Optional && (err == unix.ENOENT || err == unix.ENODEV) {
		return nil
	}
	return err
}

// Forbidden reports whether an error of Do is the usual thing in a container.
func Forbidden(err error) bool { return err == unix.EPERM || err == unix.EACCES || err == unix.EROFS }

// Mount does a Mount, also over what is mounted there.
func (a Action) Mount() error {
	if !a.Optional { // the kernel makes the directories of optional ones, if it has them
		if err := unix.Mkdir(a.Path, 0o755); err != nil && err != unix.EEXIST {
			return err
		}
	}
	for data := a.Data; ; {
		err := unix.Mount(a.Type, a.Path, a.Type, a.Flags, data)
		if err != unix.EINVAL || data == "" {
			return err
		}
		data = data[:max(strings.LastIndexByte(data, ','), 0)]
	}
}

func (a Action) raise() error {
	b, err := proc.Read(a.Path, make([]byte, 64))
	if err != nil {
		return err
	}
	want, err := strconv.Atoi(a.Data)
	if err != nil {
		return unix.EINVAL
	}
	if have, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && have >= want {
		return nil
	}
	return proc.Write(a.Path, a.Data)
}

// MountPoint reports whether path is on another device than the directory
// above it: enough for the kernel's own file systems, and needs no /proc.
func MountPoint(path string) bool {
	var here, above unix.Stat_t
	if unix.Lstat(path, &here) != nil || unix.Lstat(path+"/..", &above) != nil {
		return false
	}
	return here.Dev != above.Dev || here.Ino == above.Ino
}
