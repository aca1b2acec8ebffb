package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// exitReboot is init's exit code in a container that asks to be started again
// (init/shutdown.ExitReboot, whose package would be linked for this number alone).
const exitReboot = 133

// binaries are what must be beside sandbox.
func binaries() []string {
	return []string{"sysmaster-init", "sysmaster-core", "sysmaster-exec", "sctl"}
}

// host is the outer part. It returns the exit code.
func host(p plan) int {
	// PID 1 gets SIGKILL when the thread that cloned it ends; this goroutine keeps it.
	runtime.LockOSThread()
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	p.Bin = filepath.Dir(self)
	for _, b := range binaries() {
		if _, err := os.Stat(filepath.Join(p.Bin, b)); err != nil {
			return fail(fmt.Errorf("cannot find %s beside sandbox; make run builds both: %w", b, err))
		}
	}
	if len(p.Command) == 0 && isTerminal(os.Stdin) && isTerminal(os.Stdout) {
		if p.Terminal, err = os.Readlink("/proc/self/fd/0"); err != nil {
			return fail(err)
		}
	}
	sweep()
	if os.Geteuid() == 0 {
		code, err := try(p)
		if !errors.Is(err, errForbidden) {
			return report(code, err)
		}
		fmt.Fprintln(os.Stderr, "sandbox:", err, "- trying with a user namespace")
	}
	p.UserNS = true
	code, err := try(p)
	return report(code, err)
}

func report(code int, err error) int {
	switch {
	case errors.Is(err, errForbidden):
		fmt.Fprintf(os.Stderr, "sandbox: %v\nsandbox: this machine does not allow a sandbox: it needs root, or unprivileged user namespaces\n"+
			"(sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns; a container's seccomp profile)\n", err)
		return exitForbidden
	case err != nil:
		return fail(err)
	}
	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "sandbox:", err)
	return 1
}

// errForbidden says that the kernel refused to make the sandbox.
var errForbidden = errors.New("not permitted")

// try boots once.
func try(p plan) (int, error) {
	root, err := os.MkdirTemp("", groupPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return 1, err
	}
	p.Root = root
	defer os.Remove(root) // empty: what was mounted on it was mounted elsewhere
	if !p.UserNS {
		if p.Group, err = makeGroup(); err != nil {
			fmt.Fprintln(os.Stderr, "sandbox:", err)
		}
	}
	switch {
	case p.UserNS:
		fmt.Fprintln(os.Stderr, "sandbox: in a user namespace there are no control groups: processes are found by their invocation id, which is weaker")
	case p.Group == "":
		fmt.Fprintln(os.Stderr, "sandbox: without control groups processes are found by their invocation id, which is weaker")
	}
	b, err := start(p)
	if err != nil {
		return 1, errors.Join(err, removeGroup(p.Group))
	}
	code, err := b.wait(p)
	return code, errors.Join(err, removeGroup(p.Group))
}

// booted is a sandbox that runs.
type booted struct {
	cmd     *exec.Cmd
	console *tail         // nil on a terminal
	read    chan struct{} // closed when the console has been read to its end
	told    chan verdict  // closed without one if nothing was told
	ended   chan error    // of PID 1
}

func start(p plan) (*booted, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	tellR, tellW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer tellW.Close()
	b := &booted{
		cmd:  exec.Command("/proc/self/exe", partStage, string(text)),
		read: make(chan struct{}), told: make(chan verdict, 1), ended: make(chan error, 1),
	}
	var conR, conW *os.File
	if p.Terminal == "" {
		if conR, conW, err = os.Pipe(); err != nil {
			return nil, errors.Join(err, tellR.Close())
		}
		defer conW.Close()
		b.cmd.Stdout, b.cmd.Stderr = conW, conW
	} else {
		b.cmd.Stdin, b.cmd.Stdout, b.cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	}
	b.cmd.ExtraFiles = []*os.File{os.Stdin, os.Stdout, os.Stderr, tellW} // fdStdin ...
	b.cmd.SysProcAttr = namespaces(p.UserNS)
	if err := b.cmd.Start(); err != nil {
		if conR != nil {
			err = errors.Join(err, conR.Close())
		}
		for _, no := range [...]error{unix.EPERM, unix.EACCES, unix.ENOSPC, unix.EINVAL, unix.ENOSYS, unix.EUSERS} {
			if errors.Is(err, no) {
				err = fmt.Errorf("cannot make namespaces: %w: %w", errForbidden, err)
				break
			}
		}
		return nil, errors.Join(err, tellR.Close())
	}
	b.follow(conR, tellR)
	return b, nil
}

func namespaces(user bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:  unix.SIGKILL,
	}
	if user {
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// follow reads what comes out; each goroutine ends with PID 1's namespace.
func (b *booted) follow(console, tell *os.File) {
	if console == nil {
		close(b.read)
	} else {
		b.console = &tail{}
		go func() {
			defer close(b.read)
			defer console.Close()
			_, _ = io.Copy(b.console, console) // tail takes everything; a pipe that breaks is one that ended
		}()
	}
	go func() {
		defer close(b.told)
		defer tell.Close()
		var v verdict
		if json.NewDecoder(io.LimitReader(tell, 64<<10)).Decode(&v) == nil {
			b.told <- v
		}
	}()
	go func() { b.ended <- b.cmd.Wait() }()
}

// wait follows the sandbox to its end.
func (b *booted) wait(p plan) (int, error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(signals)
	if p.Terminal != "" {
		defer foreground()
	}
	var late <-chan time.Time
	if p.Terminal == "" && len(p.Command) == 0 { // the check bounds its own steps; this bounds the check
		late = time.After(4*p.Timeout + 10*time.Second)
	}
	told, got := b.told, (*verdict)(nil)
	for {
		select {
		case v, ok := <-told:
			told = nil
			if !ok {
				continue // PID 1 ends as well, or did
			}
			got = &v
			late = time.After(p.Timeout)
			if p.Keep && v.Code != exitForbidden {
				late = nil
				fmt.Fprintf(os.Stderr, "sandbox: left running as process %d: nsenter -t %d -a; interrupt to end it\n", b.cmd.Process.Pid, b.cmd.Process.Pid)
			} else if v.Text != "" {
				return b.end(v.Code, v.Text)
			}
		case err := <-b.ended:
			<-b.read
			return b.result(p, got, told, err)
		case s := <-signals:
			return b.end(128+int(s.(syscall.Signal)), "ended by "+s.String())
		case <-late:
			return b.end(1, "not finished in time")
		}
	}
}

// result judges a sandbox whose PID 1 ended by itself. Whoever uses it may have it power off or
// reboot, which here is an end, too.
func (b *booted) result(p plan, got *verdict, told chan verdict, err error) (int, error) {
	if got == nil && told != nil {
		if v, ok := <-told; ok {
			got = &v
		}
	}
	check := p.Terminal == "" && len(p.Command) == 0
	code := b.cmd.ProcessState.ExitCode()
	if !check && (code == 0 || code == exitReboot) {
		err = nil
		if got == nil {
			got = &verdict{}
		}
	}
	switch {
	case got == nil:
		return b.failed(1, fmt.Sprintf("it ended early: %v", b.cmd.ProcessState))
	case got.Text != "":
		return b.failed(got.Code, got.Text)
	case err != nil:
		return b.failed(1, "it did not power off cleanly: "+err.Error())
	}
	if p.Console {
		b.show()
	}
	return got.Code, nil
}

// end kills PID 1, and with it everything inside.
func (b *booted) end(code int, why string) (int, error) {
	err := b.cmd.Process.Kill()
	<-b.ended
	<-b.read
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		why += "; " + err.Error()
	}
	return b.failed(code, why)
}

func (b *booted) failed(code int, why string) (int, error) {
	if code == exitForbidden {
		return code, fmt.Errorf("%s: %w", why, errForbidden)
	}
	b.show()
	fmt.Fprintln(os.Stderr, "sandbox:", why)
	return max(code, 1), nil
}

// show prints the console's log, unless a terminal has it.
func (b *booted) show() {
	if b.console != nil {
		fmt.Fprintf(os.Stderr, "--- console ---\n%s--- end of console ---\n", b.console.text())
	}
}

// foreground takes the terminal back from the shell's process group, which is gone.
func foreground() {
	signal.Ignore(unix.SIGTTOU)
	// If it fails the shell that started us does the same.
	_ = unix.IoctlSetPointerInt(int(os.Stdin.Fd()), unix.TIOCSPGRP, unix.Getpgrp())
}

// tail keeps the end of what is written to it. One goroutine writes; text is for afterwards.
type tail struct{ b []byte }

const tailMax = 256 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 2*tailMax {
		t.b = append(t.b[:0], t.b[len(t.b)-tailMax:]...)
	}
	return len(p), nil
}

func (t *tail) text() string {
	s := strings.ReplaceAll(string(t.b[max(len(t.b)-tailMax, 0):]), "\r\n", "\n")
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return s
}
