package spawn

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys/shim"
	"github.com/sysmaster-go/sysmaster/unit"
)

// melt makes sure that a child born in the group would run: it would stop before its exec, and
// the whole process with it. A frozen ancestor is not ours to thaw.
func melt(cgroup int, thaw bool) *unit.SpawnError {
	refuse := func(msg string) *unit.SpawnError {
		return &unit.SpawnError{Status: shim.ExitCgroup, Step: "ControlGroup", Msg: msg}
	}
	up := ""
	for range 64 {
		frozen, err := readFreeze(cgroup, up+"cgroup.freeze")
		switch {
		case err == unix.ENOENT:
			return nil // the root of the hierarchy has no freezer, nor has an old kernel
		case err != nil:
			return refuse("cannot read freezer: " + err.Error())
		case frozen && (up != "" || !thaw):
			return refuse("is frozen: a process cannot be started in it until it is thawed")
		case frozen:
			if err := writeAt(cgroup, "cgroup.freeze", "0"); err != nil {
				return refuse("cannot thaw: " + err.Error())
			}
		}
		up += "../"
	}
	return nil
}

func readFreeze(dir int, name string) (bool, error) {
	fd, err := openat(dir, name, unix.O_RDONLY)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	var buf [16]byte
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return false, err
	}
	return strings.TrimSpace(string(buf[:n])) == "1", nil
}

func writeAt(dir int, name, value string) error {
	fd, err := openat(dir, name, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(value))
	return err
}

func openat(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}
