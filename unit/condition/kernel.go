package condition

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

func parseBool(s string) (bool, error) {
	b, err := unit.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errArgument, err)
	}
	return b, nil
}

// commandLineWords splits a kernel command line; one with an open quote is split at blanks.
func commandLineWords(m Machine) ([]string, error) {
	line, err := m.CommandLine()
	if err != nil {
		return nil, err
	}
	words, err := unit.SplitWords(strings.TrimSpace(line))
	if err != nil {
		return strings.Fields(line), nil
	}
	return words, nil
}

func kernelCommandLine(m Machine, arg string) (bool, error) {
	words, err := commandLineWords(m)
	if err != nil {
		return false, err
	}
	whole := strings.Contains(arg, "=")
	for _, w := range words {
		if w == arg || !whole && strings.HasPrefix(w, arg+"=") {
			return true, nil
		}
	}
	return false, nil
}

// commandLineBool looks up a switch on the kernel command line, where "-" and "_" are the
// same and the last one wins. A switch without a value is on; a value that is none is ignored.
func commandLineBool(m Machine, key string) (value, set bool) {
	words, err := commandLineWords(m)
	if err != nil {
		return false, false
	}
	for _, w := range words {
		k, v, assigned := strings.Cut(w, "=")
		if strings.ReplaceAll(k, "_", "-") != strings.ReplaceAll(key, "_", "-") {
			continue
		}
		if !assigned {
			value, set = true, true
		} else if b, err := unit.ParseBool(v); err == nil {
			value, set = b, true
		}
	}
	return value, set
}

// kernelVersion takes a list of comparisons and glob patterns, all of which must hold.
func kernelVersion(m Machine, arg string) (bool, error) {
	release, err := m.Release()
	if err != nil {
		return false, err
	}
	words, err := unit.SplitWords(arg)
	if err != nil {
		return false, err
	}
	for i := 0; i < len(words); i++ {
		o, s := cutOrder(strings.TrimSpace(words[i]))
		s = strings.TrimSpace(s)
		if o != orderNone && s == "" {
			// Of old the first operator may stand apart from its version.
			if i != 0 || len(words) < 2 {
				return false, fmt.Errorf("%w: an operator without a version", errArgument)
			}
			i++
			s = words[i]
		}
		if o == orderNone && !match(s, release) || o != orderNone && !o.holds(compareVersions(release, s)) {
			return false, nil
		}
	}
	return true, nil
}

func architecture(m Machine, arg string) (bool, error) {
	a, err := m.Architecture()
	return err == nil && (arg == "native" || arg == a), err
}

// compareNumber tests a machine's number against "[operator]number"; no operator means "at least".
func compareNumber(have uint64, arg string, parse func(string) (uint64, error)) (bool, error) {
	o, s := cutOrder(arg)
	if o == orderNone {
		o = orderGE
	}
	want, err := parse(strings.TrimSpace(s))
	if err != nil {
		return false, fmt.Errorf("%w: %w", errArgument, err)
	}
	return o.holds(cmp.Compare(have, want)), nil
}

func memory(m Machine, arg string) (bool, error) {
	have, err := m.Memory()
	if err != nil {
		return false, err
	}
	return compareNumber(have, arg, unit.ParseSize)
}

func cpus(m Machine, arg string) (bool, error) {
	have, err := m.CPUs()
	if err != nil {
		return false, err
	}
	return compareNumber(uint64(max(have, 0)), arg, func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 32) })
}

// cpuFeature looks at the flags that the kernel lists for the first processor. They exist on
// x86 alone, as the manual says of this condition.
func cpuFeature(m Machine, arg string) (bool, error) {
	if a, err := m.Architecture(); err != nil || a != "x86-64" && a != "x86" {
		return false, err
	}
	info, err := m.ReadFile("/proc/cpuinfo")
	if err != nil {
		return false, err
	}
	want := strings.ToLower(arg)
	for line := range strings.Lines(string(info)) {
		name, flags, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) != "flags" {
			continue
		}
		for f := range strings.FieldsSeq(flags) {
			if f == want {
				return true, nil
			}
		}
		return false, nil
	}
	return false, nil
}
