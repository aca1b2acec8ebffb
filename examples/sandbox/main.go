package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Parts of the program, chosen by the first argument; the @ keeps them apart from commands.
const (
	partStage  = "@stage"
	partInside = "@inside"
	partDemo   = "demo"
)

// exitForbidden says that the machine does not allow it, as test harnesses understand it.
const exitForbidden = 77

// plan is what the outer part decides and hands to the others.
type plan struct {
	Root     string        // where the root is built
	Bin      string        // the host's directory with the binaries
	Group    string        // the host's directory of the sandbox's control group; empty: none
	UserNS   bool          // there is a user namespace
	Terminal string        // the host's path of the terminal that is /dev/console; empty: none
	Command  []string      // what to run inside; empty: the check, or with a Terminal a shell
	Options  []string      // further options for init and core, as on the kernel's command line
	Before   string        // a script for /bin/sh in the new root, before init begins; empty: none
	Console  bool          // print the console's log also when all went well
	Keep     bool          // leave it running afterwards
	Timeout  time.Duration // for each step: boot, return of the core, power-off
}

// verdict is what the parts inside tell the outer one, once.
type verdict struct {
	Code int    // of the command; with Text, of the program
	Text string // what went wrong; empty: nothing did
}

func main() {
	os.Exit(dispatch(os.Args))
}

func dispatch(args []string) int {
	switch {
	case len(args) == 3 && args[1] == partStage:
		return stage(args[2])
	case len(args) == 3 && args[1] == partInside:
		return inside(args[2])
	case len(args) >= 3 && args[1] == partDemo:
		return demo(args[2:])
	}
	p := plan{}
	f := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	f.BoolVar(&p.Keep, "keep", false, "leave it running afterwards, until it powers off or this program is interrupted")
	f.DurationVar(&p.Timeout, "timeout", 30*time.Second, "for each step: boot, return of the core, power-off")
	f.StringVar(&p.Before, "before", "", "a script for /bin/sh that changes the new root before init begins, to see what init makes of it")
	f.BoolVar(&p.Console, "console", false, "print the console's log at the end, also when all went well")
	f.Func("option", "an option for init or core, as on the kernel's command line; may be repeated", func(o string) error {
		p.Options = append(p.Options, o)
		return nil
	})
	if err := f.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if p.Timeout <= 0 {
		fmt.Fprintln(os.Stderr, "sandbox: --timeout must be positive")
		return 2
	}
	p.Command = f.Args()
	return host(p)
}

// decode reads the plan that the outer part wrote.
func decode(text string) (p plan, err error) {
	err = json.Unmarshal([]byte(text), &p)
	return p, err
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
