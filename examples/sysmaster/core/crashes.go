package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sysmaster-go/sysmaster/core/control"
	"github.com/sysmaster-go/sysmaster/core/sys/linux"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// takeCrashOutput has the runtime write to what init gave us for that, and finds the console.
func takeCrashOutput() *os.File {
	screen, err := fdstore.CrashOutput(os.Getenv(fdstore.EnvCrashFD))
	if err != nil {
		fmt.Fprintln(screen, "sysmaster-core:", err)
	}
	_ = os.Unsetenv(fdstore.EnvCrashFD) // not for our children
	return screen
}

// crashes are the last words of the cores before, the newest first. There will be no others in
// this core's life.
func crashes(w *linux.World) ([]control.Crash, error) {
	var list []control.Crash
	for _, key := range w.Keys(fdstore.CrashPrefix) {
		c, ok := fdstore.ParseCrash(key)
		if !ok {
			continue
		}
		f, err := w.File(key)
		if err != nil {
			return nil, err
		}
		words := func() (string, error) {
			b := make([]byte, fdstore.CrashSize)
			n, err := f.ReadAt(b, 0)
			if n > 0 { // io.EOF: it is smaller than it should be
				err = nil
			}
			return string(fdstore.LastWords(b[:n])), err
		}
		first := ""
		if text, err := words(); err == nil {
			if lines := fdstore.Summary([]byte(text), 1); len(lines) > 0 {
				first = lines[0]
			}
		}
		end := fmt.Sprintf("signal %d", c.Status)
		if c.Code == 1 { // CLD_EXITED
			end = fmt.Sprintf("exit status %d", c.Status)
		}
		list = append(list, control.Crash{
			Generation: c.Generation, Time: time.Unix(c.Time, 0), Cause: c.Cause.String(), End: end, First: first, Words: words,
		})
	}
	slices.SortFunc(list, func(a, b control.Crash) int { return cmp.Compare(b.Generation, a.Generation) })
	return list, nil
}
