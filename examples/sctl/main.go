// Command sctl controls the service manager: systemctl's commands and exit codes, over the
// same API.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sysmaster-go/sysmaster/core/client/cli"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/service"
	"github.com/sysmaster-go/sysmaster/unit/slice"
	"github.com/sysmaster-go/sysmaster/unit/socket"
	"github.com/sysmaster-go/sysmaster/unit/target"
)

// version is set by the linker.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Run(ctx, os.Args[1:], cli.Env{
		Stdout: os.Stdout, Stderr: os.Stderr, Version: version,
		Color: terminal(os.Stdout) && os.Getenv("NO_COLOR") == "",
		Now:   time.Now, Zone: time.Local,
		Signal: func(n int) error { return syscall.Kill(1, syscall.Signal(n)) },
		Types:  types(), Root: os.DirFS,
	}))
}

// types are the kinds of units that the reference core has.
func types() map[unit.Kind]*unit.Type {
	all := make(map[unit.Kind]*unit.Type)
	for _, t := range []unit.Type{service.Type(service.Options{}), socket.Type(), target.Type(), slice.Type()} {
		all[t.Kind] = &t
	}
	return all
}

// terminal reports whether f is a character device other than /dev/null: near enough to
// decide on colours.
func terminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0 && st.Mode().Perm() != 0o666
}
