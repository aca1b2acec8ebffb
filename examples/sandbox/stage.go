package main

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/process"
)

// Where things are inside.
const (
	insideDir   = "/opt/sysmaster"
	insideBin   = insideDir + "/bin"
	insideUnits = insideDir + "/units"
	unitPath    = "/etc/systemd/system:/run/systemd/system:" + insideUnits
	searchPath  = insideBin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Descriptors of PID 1 before it becomes init.
const (
	fdStdin   = 3 // those of the outer part
	fdStdout  = 4
	fdStderr  = 5
	fdVerdict = 6
)

//go:embed units
var unitFiles embed.FS

// stage is PID 1 of the new namespaces: it builds the root, starts what runs beside init, and
// becomes init. It returns only if that failed.
func stage(text string) int {
	runtime.LockOSThread() // the cgroup namespace is the thread's that execs
	for fd := fdStdin; fd <= fdVerdict; fd++ {
		unix.CloseOnExec(fd)
	}
	err := become(text)
	v := verdict{Code: 1, Text: err.Error()}
	var refused *setupError
	if errors.As(err, &refused) && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)) {
		v.Code = exitForbidden
	}
	tell(os.NewFile(fdVerdict, "verdict"), v)
	return v.Code
}

// tell hands the verdict to the outer part; when that is gone nobody is left to tell.
func tell(f *os.File, v verdict) {
	if err := json.NewEncoder(f).Encode(v); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox: cannot report:", err)
	}
}

// setupError is a step of building the sandbox that failed.
type setupError struct {
	what string
	err  error
}

func (e *setupError) Error() string { return "cannot " + e.what + ": " + e.err.Error() }
func (e *setupError) Unwrap() error { return e.err }

func become(text string) error {
	p, err := decode(text)
	if err != nil {
		return err
	}
	shell, err := enterGroup(p.Group)
	if err != nil {
		return err
	}
	if err := buildRoot(p); err != nil {
		return err
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	env := []string{"container=sandbox", "PATH=" + searchPath, "HOME=/root", "TERM=" + os.Getenv("TERM")}
	if err := startInside(text, env, shell); err != nil {
		return err
	}
	if p.Group != "" {
		if err := ownGroups(); err != nil {
			return err
		}
	}
	if err := before(p.Before, env); err != nil {
		return err
	}
	env = process.Prepare(env)
	// What the outer part asked for when it cloned this process was for its first thread; this
	// may be another one.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return &setupError{"ask to end with sandbox", err}
	}
	init := insideBin + "/sysmaster-init"
	process.BlockSignals() // until init takes them
	err = unix.Exec(init, append([]string{init,
		"sysmaster.core=" + insideBin + "/sysmaster-core",
		"sysmaster.shim=" + insideBin + "/sysmaster-exec",
		"sysmaster.unit-path=" + unitPath,
	}, p.Options...), env)
	return &setupError{"execute " + init, err}
}

// enterGroup moves this process into the sandbox's tree, and opens the way into the group for
// what runs beside init.
func enterGroup(group string) (*os.File, error) {
	if group == "" {
		return nil, nil
	}
	shell, err := os.OpenFile(filepath.Join(group, groupShell, "cgroup.procs"), os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(group, groupRoot, "cgroup.procs")
	if err := os.WriteFile(root, []byte("0"), 0); err != nil {
		return nil, errors.Join(err, shell.Close())
	}
	return shell, nil
}

// ownGroups makes the group that this process is in the top of what is seen from here on.
func ownGroups() error {
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return &setupError{"make a cgroup namespace", err}
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	// No options: they would be those of the host's tree.
	if err := unix.Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", flags, ""); err != nil {
		return &setupError{"mount /sys/fs/cgroup", err}
	}
	return nil
}

// startInside starts the part that runs the check, the command or the shell. It is no
// child of a unit: PID 1 knows it as an orphan, and ends it with everything else.
func startInside(text string, env []string, shell *os.File) error {
	// Bare numbers: the garbage collector closes what an os.File of them is forgotten, and stage needs
	// the verdict yet.
	files := []uintptr{fdStdin, fdStdout, fdStderr, fdVerdict}
	if shell != nil {
		files = append(files, shell.Fd())
	}
	self := insideBin + "/sandbox"
	if _, err := syscall.ForkExec(self, []string{self, partInside, text}, &syscall.ProcAttr{
		Dir: "/root", Env: env, Files: files,
	}); err != nil {
		return &setupError{"start " + self, err}
	}
	if shell == nil {
		return nil
	}
	return shell.Close()
}

// before runs the script that breaks what init is to be tried with. Its status counts for nothing.
func before(script string, env []string) error {
	if script == "" {
		return nil
	}
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", script}, &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2}})
	if err != nil {
		return &setupError{"run what comes before init", err}
	}
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return err
		}
	}
}

// dropCapabilities takes from everything inside what reaches beyond the namespaces.
func dropCapabilities() error {
	for _, c := range [...]uintptr{
		unix.CAP_SYS_MODULE, unix.CAP_SYS_RAWIO, unix.CAP_SYS_TIME, unix.CAP_SYS_BOOT, unix.CAP_MKNOD,
		unix.CAP_SYSLOG, unix.CAP_WAKE_ALARM, unix.CAP_BLOCK_SUSPEND, unix.CAP_AUDIT_CONTROL,
		unix.CAP_MAC_ADMIN, unix.CAP_MAC_OVERRIDE, unix.CAP_LINUX_IMMUTABLE, unix.CAP_BPF, unix.CAP_PERFMON,
	} {
		// EINVAL: a capability that this kernel does not have.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EINVAL {
			return &setupError{"drop capability " + strconv.Itoa(int(c)), err}
		}
	}
	return nil
}
