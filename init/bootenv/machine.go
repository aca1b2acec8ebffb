package bootenv

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/proc"
)

// World is where PID 1 runs.
type World struct {
	PID1      bool   // this process is number 1 of its pid namespace
	RootPIDNS bool   // ... which is the machine's own
	Container string // manager's name ("docker", "lxc", "systemd-nspawn"), "other", or ""
}

// Machine reports whether this is the init of a machine (real or virtual),
// which ends by reboot(2). Everything else ends with an exit code.
func (w World) Machine() bool { return w.PID1 && w.RootPIDNS && w.Container == "" }

// Detect looks around. Without /proc it believes to be on a machine if it is
// PID 1: a kernel starts init before anybody mounted anything.
func Detect(getenv func(string) string) World {
	w := World{PID1: unix.Getpid() == 1, RootPIDNS: rootPIDNS()}
	read := func(path string) string {
		b, err := proc.Read(path, make([]byte, 4096))
		if err != nil {
			return ""
		}
		return string(b)
	}
	exists := func(path string) bool { return unix.Access(path, unix.F_OK) == nil }
	w.Container = container(w.PID1, getenv, read, exists)
	return w
}

// container follows systemd's container interface (systemd.io/CONTAINER_INTERFACE):
// $container of PID 1, the file that systemd leaves, and two managers that set neither.
func container(pid1 bool, getenv, read func(string) string, exists func(string) bool) string {
	name := ""
	if pid1 {
		name = getenv("container")
	}
	if name == "" {
		name = strings.TrimSpace(read("/run/systemd/container"))
	}
	if name == "" {
		name = strings.TrimSpace(read("/run/host/container-manager"))
	}
	if name == "" && !pid1 {
		for _, v := range strings.Split(read("/proc/1/environ"), "\x00") {
			if after, ok := strings.CutPrefix(v, "container="); ok {
				name = after
			}
		}
	}
	switch {
	case name == "" && exists("/run/.containerenv"):
		return "podman"
	case name == "" && exists("/.dockerenv"):
		return "docker"
	case name == "":
		return ""
	}
	return printable(name)
}

func printable(name string) string {
	if len(name) > 64 {
		return "other"
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return "other"
		}
	}
	return name
}

// rootPIDNS compares this namespace's number with the one that every kernel
// since 3.8 gives its first (PROC_PID_INIT_INO, include/uapi/linux/nsfs.h).
func rootPIDNS() bool {
	var buf [64]byte
	n, err := unix.Readlink("/proc/self/ns/pid", buf[:])
	if err != nil {
		return unix.Getpid() == 1
	}
	return string(buf[:n]) == "pid:[4026531836]"
}

// ReadCmdline gives the kernel's command line or, in a container, where that
// is the host's, PID 1's own arguments.
func ReadCmdline(w World, args []string) (Cmdline, error) {
	if !w.Machine() {
		return ParseArgs(args), nil
	}
	b, err := proc.Read("/proc/cmdline", make([]byte, MaxCmdline))
	if err != nil {
		return nil, err
	}
	return ParseCmdline(string(b)), nil
}
