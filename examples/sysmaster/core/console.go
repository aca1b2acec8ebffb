package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/cgroup"
	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/control"
	"github.com/sysmaster-go/sysmaster/core/sys/linux"
	"github.com/sysmaster-go/sysmaster/unit"
)

// console turns the engine's events into lines: the kernel's log for everything, so that it
// can be read later, and the console for what a person waits for. A console that does not
// take output loses lines; nothing waits for it.
type console struct {
	status bool
	kmsg   *os.File
	mu     sync.Mutex
	lines  chan string
}

func newConsole(status bool, screen *os.File) *console {
	c := &console{status: status, lines: make(chan string, 256)}
	if isMachine() { // else the kernel drops all but ten lines in five seconds
		_ = os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("on"), 0)
	}
	if f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		c.kmsg = f
	}
	go func() {
		for l := range c.lines {
			_, _ = screen.WriteString(l) // a console that cannot be written to has no other place to say so
		}
	}()
	return c
}

// say writes one line; alsoConsole: a person should see it.
func (c *console) say(level unit.Level, text string, alsoConsole bool) {
	shown := alsoConsole && c.status
	if c.kmsg != nil {
		if shown { // once is enough: what the kernel prints on a serial line, its writer waits for
			level = unit.LevelDebug
		}
		c.mu.Lock()
		_, _ = c.kmsg.WriteString("<" + strconv.Itoa(24+int(level)) + ">sysmaster-core: " + text + "\n")
		c.mu.Unlock()
	}
	if c.kmsg == nil && level <= unit.LevelWarning || shown {
		select {
		case c.lines <- text + "\r\n":
		default: // stuck
		}
	}
}

// event shows what happens to units.
func (c *console) event(ev core.Event) {
	switch ev := ev.(type) {
	case core.Message:
		text := ev.Text
		if ev.Unit != "" {
			text = string(ev.Unit) + ": " + text
		}
		c.say(ev.Level, text, false)
	case core.JobRemoved:
		c.job(ev.Job)
	case core.UnitChanged:
		if ev.New.Active == unit.Failed {
			c.say(unit.LevelErr, "[FAILED] "+string(ev.Unit)+" ("+ev.New.Result+")", true)
		}
	case core.Quarantined:
		what := string(ev.Unit)
		if what == "" {
			what = "manager"
		}
		c.say(unit.LevelErr, "[QUARANTINE] "+what+" is "+ev.Quarantine.String(), true)
	case core.Recovery:
		c.say(unit.LevelDebug, fmt.Sprintf("recovery, %s: %d units, %d effects, %d problems", ev.Step, ev.Units, ev.Effects, ev.Problems), false)
	case core.StartupFinished:
		c.say(unit.LevelInfo, "Startup finished.", true)
	}
}

func (c *console) job(j core.JobView) {
	if j.Unit.Kind() == unit.KindSlice {
		return
	}
	switch {
	case j.Result == unit.JobDone && j.Type == unit.JobStart:
		c.say(unit.LevelInfo, "[  OK  ] Started "+string(j.Unit), true)
	case j.Result == unit.JobDone && j.Type == unit.JobStop:
		c.say(unit.LevelInfo, "[  OK  ] Stopped "+string(j.Unit), true)
	case j.Result == unit.JobDependency:
		c.say(unit.LevelWarning, "[DEPEND] "+string(j.Unit), true)
	}
}

func (c *console) note(n linux.Note) {
	if errors.Is(n.Err, linux.ErrInitGone) {
		os.Exit(1) // nobody holds the machine's descriptors any more; a new init starts a new core
	}
	text := n.What + ": " + n.Err.Error()
	if n.Unit != "" {
		text = string(n.Unit) + ": " + text
	}
	level := unit.LevelWarning
	var missing cgroup.Missing
	if errors.As(n.Err, &missing) && errors.Is(missing.Err, unix.ENOENT) {
		level = unit.LevelInfo // the machine does not have that controller: true of every unit, and no news
	}
	c.say(level, text, false)
}

func (c *console) control(r control.Record) {
	c.say(unit.LevelNotice, fmt.Sprintf("control: client %d of user %d: %v", r.PID, r.UID, r.Err), false)
}

func (c *console) fail(what string, err error) {
	c.say(unit.LevelErr, what+": "+err.Error(), true)
}
