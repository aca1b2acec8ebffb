package unit

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// ParseBool reads a boolean: 1 yes y true t on, 0 no n false f off, in any case
// (man systemd.syntax(7)).
func ParseBool(s string) (bool, error) {
	for _, w := range [...]string{"yes", "true", "on", "1", "y", "t"} {
		if strings.EqualFold(s, w) {
			return true, nil
		}
	}
	for _, w := range [...]string{"no", "false", "off", "0", "n", "f"} {
		if strings.EqualFold(s, w) {
			return false, nil
		}
	}
	return false, fmt.Errorf("%q is not a boolean (valid: yes, no)", s)
}

// timeUnits lists the longer of two units that begin alike first, because a unit is
// recognised by its beginning: "5minutes" must not be read as 5 m and "inutes".
var timeUnits = [...]struct {
	name string
	usec uint64
}{
	{"seconds", 1e6}, {"second", 1e6}, {"sec", 1e6}, {"s", 1e6},
	{"minutes", 60e6}, {"minute", 60e6}, {"min", 60e6},
	{"months", 2629800e6}, {"month", 2629800e6}, {"M", 2629800e6},
	{"msec", 1e3}, {"ms", 1e3}, {"m", 60e6},
	{"hours", 3600e6}, {"hour", 3600e6}, {"hr", 3600e6}, {"h", 3600e6},
	{"days", 86400e6}, {"day", 86400e6}, {"d", 86400e6},
	{"weeks", 604800e6}, {"week", 604800e6}, {"w", 604800e6},
	{"years", 31557600e6}, {"year", 31557600e6}, {"y", 31557600e6},
	{"usec", 1}, {"us", 1}, {"µs", 1}, {"μs", 1},
}

// ParseTimespan reads a time span (man systemd.time(7), PARSING TIME SPANS): numbers with
// units, added up; a bare number counts seconds. "infinity", and what a Duration cannot
// hold (292 years), is Infinity. The resolution is one microsecond.
func ParseTimespan(s string) (time.Duration, error) {
	usec, err := parseUsec(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a time span (valid: such as 5, 90s, 1min 30s, infinity): %w", s, err)
	case usec > uint64(Infinity)/1000:
		return Infinity, nil
	}
	return time.Duration(usec) * time.Microsecond, nil
}

var (
	errEmpty  = errors.New("it is empty")
	errSyntax = errors.New("a number or unit is malformed")
	errRange  = errors.New("it is out of range")
)

func parseUsec(s string) (uint64, error) {
	rest := trimBlank(s)
	if rest == "infinity" {
		return math.MaxUint64, nil
	}
	if rest == "" {
		return 0, errEmpty
	}
	var sum uint64
	for rest != "" {
		n, frac, after, err := cutNumber(rest)
		if err != nil {
			return 0, err
		}
		mult, next := cutTimeUnit(after)
		// Numbers must not touch: "12.34.56" is a mistake, "12.34 .56" adds up.
		if next == after && next != "" {
			return 0, errSyntax
		}
		rest = trimBlank(next)
		v, ok := scale(n, frac, mult)
		if !ok || v >= math.MaxUint64-sum {
			return 0, errRange
		}
		sum += v
	}
	return sum, nil
}

func cutTimeUnit(s string) (mult uint64, rest string) {
	t := trimBlankLeft(s)
	for _, u := range timeUnits {
		if strings.HasPrefix(t, u.name) {
			return u.usec, t[len(u.name):]
		}
	}
	return 1e6, t
}

// cutNumber takes digits, perhaps with a fraction, off the beginning of s. A leading plus
// is accepted, an integer part may be missing before a fraction.
func cutNumber(s string) (n uint64, frac, rest string, err error) {
	i := 0
	if s[0] == '+' {
		i = 1
	}
	start := i
	for ; i < len(s) && isDigit(s[i]); i++ {
		d := uint64(s[i] - '0')
		if n > (math.MaxInt64-d)/10 {
			return 0, "", "", errRange
		}
		n = n*10 + d
	}
	digits := i - start
	if i < len(s) && s[i] == '.' {
		j := i + 1
		for j < len(s) && isDigit(s[j]) {
			j++
		}
		if j == i+1 {
			return 0, "", "", errSyntax
		}
		// "+.5" is no number: the sign belongs to digits.
		if digits == 0 && start == 1 {
			return 0, "", "", errSyntax
		}
		return n, s[i+1 : j], s[j:], nil
	}
	if digits == 0 {
		return 0, "", "", errSyntax
	}
	return n, "", s[i:], nil
}

// scale is n.frac times mult, cut to whole numbers digit by digit.
func scale(n uint64, frac string, mult uint64) (uint64, bool) {
	if n >= math.MaxUint64/mult {
		return 0, false
	}
	v := n * mult
	m := mult / 10
	for i := 0; i < len(frac) && m > 0; i++ {
		v += uint64(frac[i]-'0') * m
		m /= 10
	}
	return v, true
}

// sizeUnits are in falling order: a later part of a size must have a smaller unit.
var sizeUnits = [...]struct {
	suffix string
	factor uint64
}{
	{"E", 1 << 60}, {"P", 1 << 50}, {"T", 1 << 40}, {"G", 1 << 30},
	{"M", 1 << 20}, {"K", 1 << 10}, {"B", 1}, {"", 1},
}

// ParseSize reads a number of bytes with the suffixes K, M, G, T, P, E to the base 1024 and
// fractions ("1.5G", "1G 512M"); "infinity" is math.MaxUint64.
func ParseSize(s string) (uint64, error) {
	if s == "infinity" {
		return math.MaxUint64, nil
	}
	v, err := parseSize(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size (valid: such as 4096, 64K, 1.5G, infinity): %w", s, err)
	}
	return v, nil
}

func parseSize(s string) (uint64, error) {
	rest, first := trimBlankLeft(s), 0
	if rest == "" {
		return 0, errEmpty
	}
	var sum uint64
	for {
		n, frac, after, err := cutNumber(rest)
		if err != nil {
			return 0, err
		}
		after = trimBlankLeft(after)
		i := first
		for i < len(sizeUnits) && !strings.HasPrefix(after, sizeUnits[i].suffix) {
			i++
		}
		if i == len(sizeUnits) {
			return 0, errSyntax
		}
		v, ok := scaleBinary(n, frac, sizeUnits[i].factor)
		if !ok || v > math.MaxUint64-sum {
			return 0, errRange
		}
		sum += v
		first = i + 1
		if rest = trimBlankLeft(after[len(sizeUnits[i].suffix):]); rest == "" {
			return sum, nil
		}
	}
}

// scaleBinary is n.frac times factor, the fraction rounded down.
func scaleBinary(n uint64, frac string, factor uint64) (uint64, bool) {
	if n > 0 && factor > math.MaxUint64/n {
		return 0, false
	}
	part := 0.0
	for i := len(frac) - 1; i >= 0; i-- {
		part = (part + float64(frac[i]-'0')) / 10
	}
	v, add := n*factor, uint64(part*float64(factor))
	return v + add, v+add >= v
}

// ParseMode reads an access mode in octal, with or without a leading 0, up to 07777.
func ParseMode(s string) (uint32, error) {
	digits := strings.TrimPrefix(s, "0o")
	var m uint32
	for i := 0; i < len(digits); i++ {
		if digits[i] < '0' || digits[i] > '7' || m > 0o7777 {
			m = 0o10000
			break
		}
		m = m<<3 | uint32(digits[i]-'0')
	}
	if digits == "" || m > 0o7777 {
		return 0, fmt.Errorf("%q is not an access mode (valid: octal, 0 to 07777)", s)
	}
	return m, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// blanks are what separates words and surrounds values.
const blanks = " \t\n\r"

func isBlank(c byte) bool       { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
func trimBlank(s string) string { return strings.Trim(s, blanks) }

// trimBlankLeft is strings.TrimLeft without the set that that makes for each call.
func trimBlankLeft(s string) string {
	for s != "" && isBlank(s[0]) {
		s = s[1:]
	}
	return s
}
