package cli

import (
	"errors"

	"github.com/sysmaster-go/sysmaster/core/client"
)

// Signals that PID 1 takes as commands, counted from SIGRTMIN as libc has it (man systemd(1), SIGNALS).
const sigRTMin = 34

type powerWay struct {
	target, method string
	signal         int // start the target
	forced         int // at once
}

func powerWayOf(verb string) powerWay {
	switch verb {
	case "poweroff":
		return powerWay{"poweroff.target", "PowerOff", sigRTMin + 4, sigRTMin + 14}
	case "reboot":
		return powerWay{"reboot.target", "Reboot", sigRTMin + 5, sigRTMin + 15}
	}
	return powerWay{"halt.target", "Halt", sigRTMin + 3, sigRTMin + 13}
}

// power makes the command that takes the machine down. It does not wait: whoever asked goes down, too.
func power(verb string) func(*app) int {
	w := powerWayOf(verb)
	return func(a *app) int {
		var err error
		if a.opt.force > 0 {
			err = a.c.Shutdown(a.ctx, w.method)
		} else {
			_, err = a.c.Enqueue(a.ctx, client.Start, w.target, "replace-irreversibly")
		}
		if err == nil {
			return 0
		}
		var unreachable *client.UnreachableError
		if !errors.As(err, &unreachable) {
			return a.fail(verb, err)
		}
		sig := w.signal
		if a.opt.force > 0 {
			sig = w.forced
		}
		a.complain("%v\nAsking PID 1 directly (SIGRTMIN+%d).", err, sig-sigRTMin)
		if err := a.env.Signal(sig); err != nil {
			a.complain("cannot signal PID 1: %v", err)
			return exitFailure
		}
		return 0
	}
}
