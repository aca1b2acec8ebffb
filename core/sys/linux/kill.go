package linux

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// kill signals what a Kill names. Nobody there is no error.
func (w *World) kill(in sys.Intent, k unit.Kill) error {
	var err error
	switch {
	case !k.Proc.IsZero():
		err = w.signalProc(k.Proc, k.Signal)
	case w.cfg.CGroup != nil:
		if in.CGroup == "" {
			return nil // never the managed root: that would be everybody
		}
		err = w.killGroup(in.CGroup, k)
	default:
		err = w.killInvocation(in, k)
	}
	if err == nil && k.Cont {
		k.Signal, k.Cont = int(unix.SIGCONT), false
		err = w.kill(in, k)
	}
	return err
}

func (w *World) killGroup(path string, k unit.Kill) error {
	if k.Signal == int(unix.SIGKILL) && len(k.Except) == 0 {
		return w.cfg.CGroup.Kill(path)
	}
	except := make([]int, 0, len(k.Except))
	for _, p := range k.Except {
		except = append(except, p.PID)
	}
	_, err := w.cfg.CGroup.Signal(path, k.Signal, except)
	return err
}

// killInvocation signals the processes whose environment names the invocation, until a
// round finds no new one.
func (w *World) killInvocation(in sys.Intent, k unit.Kill) error {
	reached := make(map[int]bool)
	for _, p := range k.Except {
		reached[p.PID] = true
	}
	var first error
	const rounds = 16 // more is a fork bomb, which cannot be outrun without cgroups
	for range rounds {
		fresh := false
		err := w.eachOfInvocation(in.Invocation, func(p unit.Proc) {
			if reached[p.PID] {
				return
			}
			reached[p.PID], fresh = true, true
			if err := w.signalProc(p, k.Signal); err != nil && first == nil {
				first = err
			}
		})
		if err != nil || !fresh {
			return errors.Join(first, err)
		}
	}
	return errors.Join(first, fmt.Errorf("cannot signal %s: it forks faster than it can be signalled", in.Unit))
}

// signalProc signals exactly this process, through a pidfd.
func (w *World) signalProc(p unit.Proc, sig int) error {
	fd := -1
	if f := w.followed[p.PID]; f != nil && f.pidfd >= 0 && f.Start == p.Start {
		fd = f.pidfd
	} else {
		if fd = openProc(p); fd < 0 {
			return nil // gone
		}
		defer closeFD(fd)
	}
	if err := unix.PidfdSendSignal(fd, unix.Signal(sig), nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("cannot send signal %d to process %d: %w", sig, p.PID, err)
	}
	return nil
}

// attach begins to follow a process that the core did not spawn. Without a process it only
// has the unit's control group watched again, as recovery needs it.
func (w *World) attach(in sys.Intent, a unit.Attach) error {
	if !a.Proc.IsZero() && !w.recorded(a.Proc) {
		if w.cfg.Init != nil {
			// First, so that no exit falls between: init tells a recent one as well.
			if err := w.cfg.Init.Register(a.Proc.PID, a.Proc.Start); err != nil {
				w.toInit(in.Unit, err)
				return fmt.Errorf("cannot follow process %d: %w", a.Proc.PID, err)
			}
		}
		p, err := w.follow(follower{Proc: a.Proc, unit: in.Unit, cgroup: in.CGroup, pidfd: -1})
		if err != nil {
			return err
		}
		if p.pidfd >= 0 && !p.gone && w.groups[in.CGroup] == nil {
			return w.watchGroupOf(in)
		}
	}
	return w.watchGroup(in, true)
}
