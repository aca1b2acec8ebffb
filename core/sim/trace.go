package sim

import (
	"fmt"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// line is one thing that happened, kept unformatted: a run of a million turns asks for the text
// of very few of them.
type line struct {
	at   time.Duration
	what string
	unit unit.Name
	a, b int64
	body any
}

// traceKept is how many lines a Violation shows at most.
const traceKept = 80

func (l line) String() string {
	s := fmt.Sprintf("%12v %s", l.at, l.what)
	if l.unit != "" {
		s += " " + string(l.unit)
	}
	switch b := l.body.(type) {
	case nil:
	case string:
		s += " " + b
	case unit.Spawn:
		s += " Spawn " + b.Role + " " + b.Command.Path
	case unit.Kill:
		s += fmt.Sprintf(" Kill pid %d signal %d", b.Proc.PID, b.Signal)
	case sys.Load:
		s += fmt.Sprintf(" Load %v", b.Names)
	case unit.Exit:
		s += fmt.Sprintf(" %s %d", exitWord(b.Code), b.Status)
	case unit.State:
		s += fmt.Sprintf(" is %v/%s (%s)", b.Active, b.Sub, b.Result)
	case unit.JobType, unit.JobResult, unit.Notified:
		s += fmt.Sprintf(" %v", b)
	default:
		s += fmt.Sprintf(" %T", b)
	}
	if l.a != 0 || l.b != 0 {
		s += fmt.Sprintf(" #%d", l.a)
		if l.b != 0 {
			s += fmt.Sprintf("/%d", l.b)
		}
	}
	return s
}

func exitWord(c unit.ExitCode) string {
	switch c {
	case unit.ExitExited:
		return "exited"
	case unit.ExitKilled:
		return "killed"
	case unit.ExitDumped:
		return "dumped"
	}
	return "gone, status unknown"
}

// note keeps a line of the trace.
func (m *Machine) note(what string, n unit.Name, a, b int64, body any) {
	l := line{m.now, what, n, a, b, body}
	m.ring[m.ringAt%traceKept] = l
	m.ringAt++
	if m.cfg.Trace != nil {
		m.cfg.Trace(l.String())
	}
}

// LastLines are the newest lines of the trace, oldest first.
func (m *Machine) LastLines() []string {
	first := max(0, m.ringAt-traceKept)
	out := make([]string, 0, traceKept)
	for i := first; i < m.ringAt; i++ {
		out = append(out, m.ring[i%traceKept].String())
	}
	return out
}
