package shutdown

import (
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/proc"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// detachLoops frees loop devices whose image lies on a file system that shall
// be unmounted (loop(4)).
func (r *run) detachLoops() {
	names, err := proc.List("/sys/block")
	if err != nil {
		r.fail("list block devices", err)
		return
	}
	deadline := time.Now().Add(r.TotalTimeout)
	for _, name := range names {
		if !strings.HasPrefix(name, "loop") || unix.Access("/sys/block/"+name+"/loop/backing_file", unix.F_OK) != nil {
			continue
		}
		d, ok := r.step(deadline)
		if !ok {
			r.Say("giving up on loop devices: it took too long")
			return
		}
		if err := r.within(d, func() error { return detachLoop("/dev/" + name) }); err != nil {
			r.fail("detach "+name, err)
		}
	}
}

func detachLoop(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlSetInt(fd, unix.LOOP_CLR_FD, 0)
}

// hooks runs the executables of the hook directories with the verb as their
// argument, one after the other (systemd-shutdown(8)).
func (r *run) hooks(verb fdstore.Verb) {
	deadline := time.Now().Add(r.HookTimeout)
	for _, dir := range r.HookDirs {
		names, err := proc.List(dir)
		if err != nil && err != unix.ENOENT {
			r.fail("read hooks", err)
		}
		slices.Sort(names)
		for _, name := range names {
			path := dir + "/" + name
			var st unix.Stat_t
			if unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0 {
				continue
			}
			if err := r.hook(path, verb.String(), deadline); err != nil {
				r.fail("run "+path, err)
			}
		}
	}
}

func (r *run) hook(path, verb string, deadline time.Time) error {
	pid := 0
	err := r.within(time.Until(deadline), func() (err error) {
		pid, err = syscall.ForkExec(path, []string{path, verb}, &syscall.ProcAttr{
			Dir: "/", Env: syscall.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setpgid: true},
		})
		return err
	})
	if err != nil {
		return err
	}
	for killed := false; ; {
		var status unix.WaitStatus
		got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case got == pid && killed:
			return errHung
		case got == pid && status.ExitStatus() != 0:
			return hookError(status.ExitStatus())
		case got == pid:
			return nil
		}
		rest := time.Until(deadline)
		if rest <= 0 {
			if killed {
				return errHung
			}
			killed, deadline = true, time.Now().Add(r.KillTimeout)
			if err := unix.Kill(-pid, unix.SIGKILL); err != nil {
				return err
			}
		}
		wait(r.WakeFD, rest)
	}
}

// hookError is a hook's exit status; -1 means a signal.
type hookError int

func (e hookError) Error() string {
	if e < 0 {
		return "ended by a signal"
	}
	return "it failed with exit status " + strconv.Itoa(int(e))
}

func swapoff(path string) error {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	if _, _, e := unix.Syscall(unix.SYS_SWAPOFF, uintptr(unsafe.Pointer(p)), 0, 0); e != 0 {
		return e
	}
	return nil
}

// reboot is reboot(2). It returns only if it failed.
func reboot(req fdstore.Shutdown) error {
	switch req.Verb {
	case fdstore.VerbHalt:
		return unix.Reboot(unix.LINUX_REBOOT_CMD_HALT)
	case fdstore.VerbPoweroff, fdstore.VerbExit:
		return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	case fdstore.VerbKexec:
		if b, err := proc.Read("/sys/kernel/kexec_loaded", make([]byte, 8)); err == nil && len(b) > 0 && b[0] == '1' {
			return unix.Reboot(unix.LINUX_REBOOT_CMD_KEXEC)
		}
	}
	if req.Argument == "" {
		return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	}
	p, err := unix.BytePtrFromString(req.Argument)
	if err != nil {
		return err
	}
	_, _, e := unix.Syscall6(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2,
		unix.LINUX_REBOOT_CMD_RESTART2, uintptr(unsafe.Pointer(p)), 0, 0)
	return e
}
