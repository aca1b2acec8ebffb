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
	}))
}

// terminal reports whether f is a character device other than /dev/null: near enough to
// decide on colours.
func terminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0 && st.Mode().Perm() != 0o666
}
