package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// Exit statuses; doc.go documents them.
const (
	exitClean       = 0
	exitLost        = 1
	exitUsage       = 2
	exitUntried     = 3
	exitInterrupted = 4
	exitLeft        = 5
)

// partServe makes this program one of the services.
const partServe = "@serve"

// options are the command line.
type options struct {
	rounds   int
	limit    time.Duration // 0: until the rounds are done
	services int
	churn    int // percent
	workers  int
	clients  int
	seed     uint64
	spacing  time.Duration
	patience time.Duration
	attacks  weights
	json     bool
	clean    bool
	verbose  bool
	dir      string
	state    string
	core     string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == partServe {
		os.Exit(serve(os.Args[2:]))
	}
	o, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(exitClean)
	case err != nil:
		os.Exit(exitUsage)
	}
	os.Exit(run(o))
}

// parse reads the command line; what is wrong with it is said on out.
func parse(args []string, out io.Writer) (options, error) {
	o := options{attacks: weights{attackKill: 40, attackStorm: 2, attackUpgrade: 2, attackStop: 1}}
	f := flag.NewFlagSet("torture", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		fmt.Fprintln(out, "torture attacks the core of the running sysMaster, and reports what its services lost.\n"+
			"Everything that it installs is called torture-... and removed at the end.\n\nFlags:")
		f.PrintDefaults()
		fmt.Fprintln(out, "\nExit status: 0 nothing was lost, 1 something was, 2 wrong usage,\n3 it could not be tried, 4 interrupted and nothing lost until then,\n5 nothing lost, and it could not remove everything that it had installed.")
	}
	f.IntVar(&o.rounds, "rounds", 100, "how many attacks")
	f.DurationVar(&o.limit, "for", 0, "attack for this long, whatever --rounds says")
	f.IntVar(&o.services, "services", 50, "how many services run meanwhile")
	f.IntVar(&o.churn, "churn", 30, "percent of them that are started, stopped and ended all the time; the rest must not notice anything")
	f.IntVar(&o.workers, "workers", 4, "how many of those at the same time")
	f.IntVar(&o.clients, "clients", 2, "how many clients ask the held sockets all the time")
	f.Uint64Var(&o.seed, "seed", 1, "chooses what happens; the same seed makes the same choices")
	f.DurationVar(&o.spacing, "spacing", 100*time.Millisecond, "the longest pause between the recovery and the next attack")
	f.DurationVar(&o.patience, "patience", time.Minute, "after this long an answer, an exit or a job counts as lost")
	f.Var(&o.attacks, "attacks", "which attacks, with weights: kill, storm, upgrade, corrupt, stop")
	f.BoolVar(&o.json, "json", false, "report as JSON")
	f.BoolVar(&o.clean, "clean", false, "only remove what a torture that was killed left behind")
	f.BoolVar(&o.verbose, "verbose", false, "say what is done, on standard error")
	f.StringVar(&o.dir, "dir", "/run/torture", "where the services write down what they do")
	f.StringVar(&o.state, "state", "/run/sysmaster/state", "the core's log, for the attack corrupt")
	f.StringVar(&o.core, "core", "sysmaster-core", "the name of the core's program")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if err := o.check(f.Args()); err != nil {
		fmt.Fprintln(out, "torture:", err)
		return o, err
	}
	return o, nil
}

func (o *options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case o.rounds < 0 || o.limit < 0 || o.spacing < 0 || o.patience <= 0:
		return errors.New("a number or time is negative")
	case o.services < len(kinds()) || o.services > 5000:
		return fmt.Errorf("--services must be between %d, one of each kind, and 5000", len(kinds()))
	case o.churn < 0 || o.churn > 100:
		return errors.New("--churn is a percentage")
	case o.workers < 1 || o.workers > 64 || o.clients < 0 || o.clients > 64:
		return errors.New("--workers must be between 1 and 64, --clients between 0 and 64")
	}
	return nil
}

// run does everything and gives the exit status.
func run(o options) int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "torture: it must be root: it kills the service manager")
		return exitUntried
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	b, err := newBench(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		return exitUntried
	}
	if o.clean {
		if err := b.remove(); err != nil {
			fmt.Fprintln(os.Stderr, "torture:", err)
			return exitUntried
		}
		return exitClean
	}
	err = b.torture(ctx)
	interrupted := ctx.Err() != nil
	stop() // a second interrupt ends it at once
	left := b.remove()
	if left != nil {
		fmt.Fprintln(os.Stderr, "torture: cannot remove everything:", left)
	}
	if err != nil && !interrupted {
		fmt.Fprintln(os.Stderr, "torture:", err)
		return exitUntried
	}
	r := b.report()
	if err := r.print(os.Stdout, o.json); err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
	}
	switch {
	case !r.Lost.none():
		return exitLost
	case left != nil:
		return exitLeft
	case interrupted:
		return exitInterrupted
	}
	return exitClean
}
