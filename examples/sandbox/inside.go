package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptors of the part beside init.
const (
	fdTell  = 3
	fdGroup = 4 // cgroup.procs of its group; only with control groups
)

const sctlPath = insideBin + "/sctl"

// inside runs beside init: it waits for the boot, then runs the check, the command or the
// shell, tells the outer part how it went, and powers off.
func inside(text string) int {
	runtime.LockOSThread() // the cgroup namespace is the thread's that starts the command
	unix.CloseOnExec(fdTell)
	out := os.NewFile(fdTell, "verdict")
	v := verdict{}
	p, err := decode(text)
	if err == nil {
		err = leaveInit(p)
	}
	if err == nil {
		v.Code, err = work(p)
	}
	if err != nil {
		v = verdict{Code: max(v.Code, 1), Text: err.Error()}
	}
	tell(out, v) // before the power-off, which ends this process as well
	if p.Keep || err != nil {
		return v.Code
	}
	if err := powerOff(p.Timeout); err != nil {
		return fail(err) // the outer part waits for the end in vain, and says so
	}
	return v.Code
}

// leaveInit moves this process out of the tree that the sandbox sees: a group with controllers
// for its children holds no processes of its own.
func leaveInit(p plan) error {
	if p.Group == "" {
		return nil
	}
	f := os.NewFile(fdGroup, "cgroup.procs")
	_, err := f.WriteString("0")
	if err == nil {
		err = unix.Unshare(unix.CLONE_NEWCGROUP)
	}
	return errors.Join(err, f.Close())
}

func work(p plan) (int, error) {
	state, err := awaitBoot(p.Timeout)
	if err != nil {
		return 1, err
	}
	switch {
	case len(p.Command) > 0:
		return command(p.Command)
	case p.Terminal != "":
		fmt.Printf("\r\nThe sandbox is %s. Try sctl, sctl status ticker.service, kill -9 of anything. Leaving the shell powers off.\r\n\r\n", state)
		if _, err := command([]string{shell(), "-i"}); err != nil {
			return 1, err
		}
		return 0, nil
	}
	return 0, check(p.Timeout)
}

func shell() string {
	for _, path := range [...]string{"/bin/bash", "/usr/bin/bash"} {
		if unix.Access(path, unix.X_OK) == nil {
			return path
		}
	}
	return "/bin/sh"
}

// command runs args with this program's standard streams and gives the exit status.
func command(args []string) (int, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		if s, ok := ended.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			return 128 + int(s.Signal()), nil
		}
		return ended.ExitCode(), nil
	case err != nil:
		return 127, fmt.Errorf("cannot run %s: %w", args[0], err)
	}
	return 0, nil
}

// awaitBoot waits until the service manager says that the boot is over.
func awaitBoot(limit time.Duration) (string, error) {
	state := ""
	err := await(limit, "the boot", func(ctx context.Context) error {
		out, err := sctl(ctx, "is-system-running")
		state = strings.TrimSpace(out)
		if state == "running" || state == "degraded" { // its exit status tells them apart
			return nil
		}
		if err == nil {
			err = errors.New("the state is " + state)
		}
		return err
	})
	return state, err
}

func powerOff(limit time.Duration) error {
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	_, err := sctl(ctx, "poweroff")
	return err
}

// await repeats try until it succeeds, for at most limit.
func await(limit time.Duration, what string, try func(context.Context) error) error {
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // not the one of being cut short
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s took more than %v: %w", what, limit, last)
		case <-tick.C:
		}
	}
}

// sctl runs sctl and gives what it prints.
func sctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, sctlPath, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("sctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(out.String()+errs.String()))
	}
	return out.String(), nil
}
