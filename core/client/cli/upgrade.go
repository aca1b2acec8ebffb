package cli

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/sysmaster-go/sysmaster/core/client"
)

// upgrade exchanges the program of the core or of init, and prints what came of it.
func (a *app) upgrade() int {
	target, path := a.args[0], a.args[1]
	if target != "core" && target != "init" {
		return a.usage(fmt.Errorf("%q cannot be upgraded, only core and init", target))
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return a.fail("upgrade "+target, err)
	}
	u, err := a.c.Upgrade(a.ctx, target, path)
	if err != nil {
		return a.fail("upgrade "+target, err)
	}
	from, to := foreign(u.From), foreign(u.To)
	switch u.Result {
	case "adopted":
		a.printf("%s: upgraded from version %s to %s\n", target, from, to)
		return 0
	case "rolled-back":
		a.complain("%s: rolled back from version %s to %s because %s", target, to, from, foreign(u.Reason))
	default:
		a.complain("%s: version %s was refused, %s goes on: %s", target, to, from, foreign(u.Reason))
	}
	return exitFailure
}

// version tells of all that runs.
func (a *app) version() int {
	a.line("sctl", a.env.Version)
	v, err := a.c.Versions(a.ctx)
	if err != nil {
		return a.fail("ask for versions", err)
	}
	a.versions(v)
	return 0
}

func (a *app) versions(v client.Versions) {
	a.line("Core", fmt.Sprintf("%s, number %d since init started", foreign(v.Core), v.Generation))
	if v.Init != "" {
		text := foreign(v.Init)
		if !v.Sealed {
			text += ", not sealed against signals while it executes itself"
		}
		a.line("Init", text)
	}
	if v.Held {
		text := foreign(v.Previous) + ", held to go back to"
		if v.Probation > 0 {
			text += fmt.Sprintf("; for %v more by init itself", v.Probation.Round(time.Second))
		}
		a.line("Previous", text)
	}
}
