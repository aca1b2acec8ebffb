package cli

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sysmaster-go/sysmaster/core/client"
	"github.com/sysmaster-go/sysmaster/unit"
)

// word, number, flag and list read one property; what is missing reads as zero.
func word(p client.Props, name string) string {
	s, _ := p[name].Value().(string)
	return s
}

func number(p client.Props, name string) uint64 {
	switch v := p[name].Value().(type) {
	case uint64:
		return v
	case uint32:
		return uint64(v)
	case int32:
		return uint64(max(0, v))
	case byte:
		return uint64(v)
	}
	return 0
}

// count is number for those that say 2^64-1 when they are not known.
func count(p client.Props, name string) (uint64, bool) {
	n, ok := p[name].Value().(uint64)
	return n, ok && n != math.MaxUint64
}

func flag(p client.Props, name string) bool {
	b, _ := p[name].Value().(bool)
	return b
}

func list(p client.Props, name string) []string {
	l, _ := p[name].Value().([]string)
	return l
}

// table prints rows under head in columns; the last one is not padded.
func (a *app) table(head []string, rows [][]string) {
	if !a.opt.noLegend {
		rows = append([][]string{head}, rows...)
	}
	width := make([]int, len(head))
	for _, r := range rows {
		for i, cell := range r {
			width[i] = max(width[i], visible(cell))
		}
	}
	for _, r := range rows {
		var b strings.Builder
		for i, cell := range r {
			b.WriteString(printable(cell))
			if i < len(r)-1 && width[i] > 0 {
				b.WriteString(strings.Repeat(" ", width[i]-visible(cell)+1))
			}
		}
		a.printf("%s\n", strings.TrimRight(b.String(), " "))
	}
}

// visible is the width of s on a terminal, colours left out.
func visible(s string) int {
	n := 0
	for s != "" {
		if strings.HasPrefix(s, "\x1b[") {
			if end := strings.IndexByte(s, 'm'); end > 0 {
				s = s[end+1:]
				continue
			}
		}
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		n++
	}
	return n
}

// printable keeps control characters of strangers (descriptions, command lines) off the terminal;
// our own colours pass.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if (r < ' ' && r != '\x1b') || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '?'
		}
		return r
	}, s)
}

// foreign is printable without exceptions.
func foreign(s string) string { return strings.ReplaceAll(printable(s), "\x1b", "?") }

const (
	green, yellow, red, plain = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"
)

func (a *app) paint(color, s string) string {
	if !a.env.Color || s == "" {
		return s
	}
	return color + s + plain
}

// dot marks a unit's state; in lists only what needs attention gets one.
func (a *app) dot(load, active string, inList bool) string {
	switch {
	case load == "error" || load == "bad-setting" || load == "not-found" && inList:
		return a.paint(red, "●")
	case active == "failed":
		return a.paint(red, "×")
	case inList:
		return ""
	case active == "active":
		return a.paint(green, "●")
	case active == "reloading":
		return a.paint(green, "↻")
	case active == "inactive":
		return "○"
	}
	return a.paint(yellow, "●")
}

// stamp prints a time as systemctl does; empty for "never".
func (a *app) stamp(usec uint64) string {
	if usec == 0 || usec > math.MaxInt64 {
		return ""
	}
	return time.UnixMicro(int64(usec)).In(a.env.Zone).Format("Mon 2006-01-02 15:04:05 MST")
}

// ago prints how long a time has passed.
func (a *app) ago(usec uint64) string {
	d := a.env.Now().Sub(time.UnixMicro(int64(usec)))
	if d < 0 {
		return span(uint64(-d/time.Microsecond), 2) + " left"
	}
	return span(uint64(d/time.Microsecond), 2) + " ago"
}

var spanUnits = [...]struct {
	name string
	usec uint64
}{
	{"y", 31557600000000}, {"month", 2629800000000}, {"w", 604800000000}, {"d", 86400000000},
	{"h", 3600000000}, {"min", 60000000}, {"s", 1000000}, {"ms", 1000}, {"us", 1},
}

// span prints a time span with at most parts units, as systemd does ("1h 2min"); anything
// below the last unit shown is dropped.
func span(usec uint64, parts int) string {
	if usec == math.MaxUint64 {
		return "infinity"
	}
	if usec == 0 {
		return "0"
	}
	var out []string
	for _, u := range spanUnits {
		if len(out) == parts {
			break
		}
		if n := usec / u.usec; n > 0 {
			usec -= n * u.usec
			out = append(out, strconv.FormatUint(n, 10)+u.name)
		} else if len(out) > 0 && parts < len(spanUnits) {
			break
		}
	}
	return strings.Join(out, " ")
}

// size prints bytes in binary units with one digit after the point.
func size(n uint64) string {
	suffix, f := "B", float64(n)
	for _, s := range []string{"K", "M", "G", "T", "P"} {
		if f < 1024 {
			break
		}
		suffix, f = s, f/1024
	}
	if suffix == "B" {
		return strconv.FormatUint(n, 10) + "B"
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + suffix
}

// Codes of waitid(2)'s si_code as ExecMainCode and ExecStart carry them.
const (
	cldExited, cldKilled, cldDumped = 1, 2, 3
)

// exitWords says how a process ended ("exited, status=1/FAILURE").
func exitWords(code, status uint64) string {
	switch code {
	case cldExited:
		s := "exited, status=" + strconv.FormatUint(status, 10)
		if name := exitName(status); name != "" {
			s += "/" + name
		}
		return s
	case cldKilled:
		return "killed, signal=" + strings.TrimPrefix(unit.SignalName(int(status)), "SIG")
	case cldDumped:
		return "dumped, signal=" + strings.TrimPrefix(unit.SignalName(int(status)), "SIG")
	}
	return "unknown"
}

// exitName names the exit statuses that a user meets most (man systemd.exec(5), PROCESS EXIT CODES).
func exitName(status uint64) string {
	switch status {
	case 0:
		return "SUCCESS"
	case 1:
		return "FAILURE"
	case 2:
		return "INVALIDARGUMENT"
	case 126, 127:
		return "n/a"
	case 200:
		return "CHDIR"
	case 203:
		return "EXEC"
	case 205:
		return "LIMITS"
	case 209:
		return "STDOUT"
	case 216:
		return "GROUP"
	case 217:
		return "USER"
	case 218:
		return "CAPABILITIES"
	case 219:
		return "CGROUP"
	case 226:
		return "NAMESPACE"
	case 228:
		return "SECCOMP"
	case 233:
		return "RUNTIME_DIRECTORY"
	}
	return ""
}
