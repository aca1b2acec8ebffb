package cli

import (
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core/client"
	"github.com/sysmaster-go/sysmaster/core/client/wire"
	"github.com/sysmaster-go/sysmaster/unit"
)

// show prints properties in the form NAME=VALUE, those of several units apart by an empty line.
func (a *app) show() int {
	if len(a.args) == 0 {
		p, err := a.c.Manager(a.ctx)
		if err != nil {
			return a.fail("show the service manager", err)
		}
		a.showOne([]client.Props{p})
		return 0
	}
	names, err := a.names()
	if err != nil {
		return a.fail("list units", err)
	}
	var all []client.Props
	for _, n := range names {
		p, err := a.c.Unit(a.ctx, n)
		if err != nil {
			return a.fail("show "+n, err)
		}
		all = append(all, p)
	}
	a.showOne(all)
	return 0
}

func (a *app) showOne(all []client.Props) {
	if a.opt.json {
		rows := make([][]field, 0, len(all))
		for _, p := range all {
			var row []field
			for _, n := range a.wanted(p) {
				row = append(row, field{n, p[n].Value()})
			}
			rows = append(rows, row)
		}
		a.printJSON(rows)
		return
	}
	for i, p := range all {
		if i > 0 {
			a.printf("\n")
		}
		for _, n := range a.wanted(p) {
			v := foreign(a.value(n, p[n]))
			switch {
			case a.opt.value:
				a.printf("%s\n", v)
			case v != "" || a.opt.all || len(a.opt.props) > 0:
				a.printf("%s=%s\n", n, v)
			}
		}
	}
}

// wanted are the names of the properties to show: those asked for in that order, else all, sorted.
func (a *app) wanted(p client.Props) []string {
	var out []string
	for _, n := range a.opt.props {
		if _, ok := p[n]; ok {
			out = append(out, n)
		}
	}
	if len(a.opt.props) == 0 {
		for n := range p {
			out = append(out, n)
		}
		slices.Sort(out)
	}
	return out
}

// value prints one property as systemctl show does.
func (a *app) value(name string, v dbus.Variant) string {
	switch x := v.Value().(type) {
	case uint64:
		return a.bigNumber(name, x)
	case []byte:
		return hex.EncodeToString(x)
	case wire.Struct:
		return structure(x)
	case []any:
		var out []string
		for _, e := range x {
			if s, ok := e.(wire.Struct); ok && len(s) == 10 {
				out = append(out, a.execLine(s))
			} else {
				out = append(out, scalar(e))
			}
		}
		return strings.Join(out, " ")
	default:
		return scalar(x)
	}
}

func (a *app) bigNumber(name string, n uint64) string {
	switch {
	case strings.HasSuffix(name, "Timestamp"):
		return a.stamp(n)
	case strings.HasSuffix(name, "USec"):
		return span(n, len(spanUnits))
	case n != math.MaxUint64:
		return strconv.FormatUint(n, 10)
	case strings.HasSuffix(name, "Max") || strings.HasSuffix(name, "High"):
		return "infinity"
	}
	return "[not set]"
}

// structure prints the pairs that are properties: an object with its path by its id, others in words.
func structure(s wire.Struct) string {
	if len(s) == 2 {
		if _, isPath := s[1].(dbus.ObjectPath); isPath {
			if s[0] == uint32(0) {
				return ""
			}
			return scalar(s[0])
		}
	}
	var out []string
	for _, e := range s {
		if t := scalar(e); t != "" {
			out = append(out, t)
		}
	}
	return strings.Join(out, " ")
}

func scalar(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case dbus.ObjectPath:
		return string(x)
	case bool:
		if x {
			return "yes"
		}
		return "no"
	case byte:
		return strconv.Itoa(int(x))
	case int16:
		return strconv.Itoa(int(x))
	case uint16:
		return strconv.Itoa(int(x))
	case int32:
		return strconv.Itoa(int(x))
	case uint32:
		return strconv.FormatUint(uint64(x), 10)
	case int64:
		return strconv.FormatInt(x, 10)
	case uint64:
		return strconv.FormatUint(x, 10)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case []string:
		return quoted(x)
	case []any:
		var out []string
		for _, e := range x {
			out = append(out, scalar(e))
		}
		return strings.Join(out, " ")
	case wire.Struct:
		return structure(x)
	}
	return ""
}

// quoted joins words so that they can be told apart.
func quoted(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = unit.QuoteWord(w)
	}
	return strings.Join(out, " ")
}

// execLine prints one command of ExecStart and its kin.
func (a *app) execLine(s wire.Struct) string {
	at := func(i int) string {
		usec, _ := s[i].(uint64)
		if t := a.stamp(usec); t != "" {
			return t
		}
		return "n/a"
	}
	argv, _ := s[1].([]string)
	return "{ path=" + scalar(s[0]) + " ; argv[]=" + strings.Join(argv, " ") + " ; ignore_errors=" + scalar(s[2]) +
		" ; start_time=[" + at(3) + "] ; stop_time=[" + at(5) + "] ; pid=" + scalar(s[7]) + " ; code=" +
		codeWord(s[8]) + " ; status=" + scalar(s[9]) + " }"
}

func codeWord(v any) string {
	code, _ := v.(int32)
	switch code {
	case cldExited:
		return "exited"
	case cldKilled:
		return "killed"
	case cldDumped:
		return "dumped"
	}
	return "(null)"
}
