package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/core/client"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Env is what the commands may touch. Types and Root are for verify, which says so without them; the others are required.
type Env struct {
	Stdout, Stderr io.Writer
	Socket         string // of the manager; empty: client.DefaultPath
	Version        string // for --version
	Color          bool   // mark states by colour
	Now            func() time.Time
	Zone           *time.Location // of the times shown
	// Signal sends a signal to PID 1, for shutting down when the manager does not answer.
	Signal func(number int) error
	// Types are the kinds of units that verify knows.
	Types map[unit.Kind]*unit.Type
	// Root gives the file system below a directory, with its symbolic links (os.DirFS).
	Root func(dir string) fs.FS
}

// Exit codes beside 0.
const (
	exitFailure        = 1
	exitUsage          = 2
	exitNotActive      = 3
	exitNotImplemented = 3
	exitNoSuchUnit     = 4 // status
	exitRefused        = 4
	exitNotInstalled   = 5
	exitNotConfigured  = 6
)

// app is one run of sctl.
type app struct {
	env  Env
	opt  options
	c    *client.Client
	ctx  context.Context
	args []string // of the command
}

// command is one row of the table of commands.
type command struct {
	name, args, help string
	min, max         int // arguments; max -1: any number
	run              func(*app) int
}

// Run carries out the command line args (without the program's name) and returns the exit code.
func Run(ctx context.Context, args []string, env Env) int {
	a := &app{env: env, ctx: ctx}
	rest, err := a.opt.parse(args)
	if err != nil {
		return a.usage(err)
	}
	cmds := commands()
	switch {
	case a.opt.help:
		a.help(cmds)
		return 0
	case a.opt.version:
		a.printf("sctl %s\n", env.Version)
		return 0
	}
	name := "list-units"
	if len(rest) > 0 {
		name, rest = rest[0], rest[1:]
	}
	i := slices.IndexFunc(cmds, func(c command) bool { return c.name == name })
	if i < 0 {
		return a.usage(fmt.Errorf("unknown command %q%s", name, nearest(name, cmds)))
	}
	cmd := &cmds[i]
	if len(rest) < cmd.min || (cmd.max >= 0 && len(rest) > cmd.max) {
		return a.usage(fmt.Errorf("wrong number of arguments; it is: sctl %s %s", cmd.name, cmd.args))
	}
	a.args = rest
	path := a.opt.socket
	if path == "" {
		path = env.Socket
	}
	a.c = client.New(client.Config{Path: path, Lost: func(err error) {
		a.complain("%v; connecting again", err)
	}})
	code := cmd.run(a)
	if err := a.c.Close(); err != nil {
		a.complain("%v", err)
	}
	return code
}

func commands() []command {
	const units = "UNIT..."
	return []command{
		{"list-units", "[PATTERN...]", "list loaded units (the default)", 0, -1, (*app).listUnits},
		{"list-jobs", "", "list queued jobs", 0, 0, (*app).listJobs},
		{"status", "[UNIT...]", "show a unit's state, processes and last result", 0, -1, (*app).status},
		{"why", units, "say what brought units into their state, back to who asked", 1, -1, (*app).why},
		{"show", "[UNIT...]", "print properties of units, or of the manager", 0, -1, (*app).show},
		{"cat", units, "print the files that a unit was loaded from", 1, -1, (*app).cat},
		{"is-active", units, "exit 0 if any of the units is active", 1, -1, (*app).isActive},
		{"is-failed", units, "exit 0 if any of the units has failed", 1, -1, (*app).isFailed},
		{"is-system-running", "", "exit 0 if the machine is fully up", 0, 0, (*app).isSystemRunning},
		{"start", units, "start units", 1, -1, jobs(client.Start)},
		{"stop", units, "stop units", 1, -1, jobs(client.Stop)},
		{"reload", units, "make units reload their configuration", 1, -1, jobs(client.Reload)},
		{"restart", units, "stop and start units", 1, -1, jobs(client.Restart)},
		{"try-restart", units, "restart units that are active", 1, -1, jobs(client.TryRestart)},
		{"reload-or-restart", units, "reload units that can, restart the others", 1, -1, jobs(client.ReloadOrRestart)},
		{"try-reload-or-restart", units, "the same for units that are active", 1, -1, jobs(client.ReloadOrTryRestart)},
		{"isolate", "UNIT", "start a unit and stop all that it does not need", 1, 1, (*app).isolate},
		{"kill", units, "send a signal to the processes of units", 1, -1, (*app).kill},
		{"reset-failed", "[UNIT...]", "forget that units failed", 0, -1, (*app).resetFailed},
		{"cancel", "[JOB...]", "cancel jobs, or all", 0, -1, (*app).cancel},
		{"crashes", "[NUMBER]", "list what crashed service managers left, or print it", 0, 1, (*app).crashes},
		{"daemon-reload", "", "read all unit files again", 0, 0, (*app).daemonReload},
		{"daemon-reexec", "", "replace the service manager by a fresh one", 0, 0, (*app).daemonReexec},
		{"upgrade", "core|init PATH", "replace the program of the service manager or of init, with a way back", 2, 2, (*app).upgrade},
		{"version", "", "show the versions that run, and what can be gone back to", 0, 0, (*app).version},
		{"verify", "[FILE|UNIT...]", "say what is wrong with unit files; needs no manager", 0, -1, (*app).verify},
		{"poweroff", "", "shut down and power off", 0, 0, power("poweroff")},
		{"reboot", "", "shut down and reboot", 0, 0, power("reboot")},
		{"halt", "", "shut down and halt", 0, 0, power("halt")},
	}
}

func (a *app) help(cmds []command) {
	a.printf("sctl [OPTION...] COMMAND ...\n\nCommands:\n")
	for _, c := range cmds {
		a.printf("  %-36s %s\n", strings.TrimSpace(c.name+" "+c.args), c.help)
	}
	a.printf("\nOptions:\n%s", optionHelp)
}

// nearest offers the command that a misspelt one probably meant.
func nearest(name string, cmds []command) string {
	best, cost := "", 3
	for _, c := range cmds {
		if d := distance(name, c.name); d < cost {
			best, cost = c.name, d
		}
	}
	if best == "" {
		return "; see sctl --help"
	}
	return "; did you mean " + best + "?"
}

// distance counts the edits that turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := last
			if a[i] != b[j] {
				d = 1 + min(last, row[j], row[j+1])
			}
			last, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}

// printf writes to standard output. An error of it cannot be told to anybody.
func (a *app) printf(format string, args ...any) { _, _ = fmt.Fprintf(a.env.Stdout, format, args...) }

func (a *app) complain(format string, args ...any) {
	_, _ = fmt.Fprintf(a.env.Stderr, "sctl: "+format+"\n", args...)
}

func (a *app) usage(err error) int {
	a.complain("%v", err)
	return exitUsage
}

// fail explains err and gives its exit code.
func (a *app) fail(what string, err error) int {
	a.complain("cannot %s: %v%s", what, err, advice(err))
	return exitCode(err)
}

// advice says what to do about an error, where that is known.
func advice(err error) string {
	var unreachable *client.UnreachableError
	switch {
	case errors.As(err, &unreachable):
		return "\nIs the service manager running, and are you root? Another socket can be named by --socket."
	case client.Is(err, client.UnitMasked):
		return "\nIts file is a link to /dev/null; remove the link and run: sctl daemon-reload"
	case client.Is(err, client.NoSuchUnit):
		return "\nCheck the spelling; if the file is new, run: sctl daemon-reload"
	}
	return ""
}

func exitCode(err error) int {
	var e *client.Error
	if !errors.As(err, &e) {
		return exitFailure
	}
	switch strings.TrimPrefix(e.Name, "org.freedesktop.systemd1.") {
	case "OnlyByDependency", "NoIsolation", "TransactionIsDestructive", "org.freedesktop.DBus.Error.AccessDenied":
		return exitRefused
	case "NoSuchUnit":
		return exitNotInstalled
	case "JobTypeNotApplicable", "org.freedesktop.DBus.Error.NotSupported":
		return exitNotImplemented
	case "LoadFailed":
		return exitNotConfigured
	}
	return exitFailure
}
