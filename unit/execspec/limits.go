package execspec

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

func limitKeys(section string) []unit.Key {
	var keys []unit.Key
	for r := Resource(0); r < NumResources; r++ {
		keys = append(keys, unit.Bind(unit.Key{Section: section, Name: "Limit" + r.String(), Syntax: "LIMIT or SOFT:HARD, or infinity",
			Doc: "RLIMIT_" + r.String() + " (man setrlimit(2))."},
			func(c *Context, v string) error { return setLimit(c, r, v) }))
	}
	return keys
}

func setLimit(c *Context, r Resource, v string) error {
	if v == "" {
		c.Limits = slices.DeleteFunc(slices.Clone(c.Limits), func(l Limit) bool { return l.Resource == r })
		return nil
	}
	l, err := ParseLimit(r, v)
	if err != nil {
		return err
	}
	i, found := slices.BinarySearchFunc(c.Limits, r, func(l Limit, r Resource) int { return int(l.Resource) - int(r) })
	c.Limits = slices.Clone(c.Limits)
	if found {
		c.Limits[i] = l
	} else {
		c.Limits = slices.Insert(c.Limits, i, l)
	}
	return nil
}

// ParseLimit reads LIMIT or SOFT:HARD in the unit of r: bytes with suffixes, plain numbers,
// time spans (CPU in seconds rounded up, RTTIME in microseconds) or nice levels ("+5").
func ParseLimit(r Resource, v string) (Limit, error) {
	softText, hardText, two := strings.Cut(v, ":")
	if !two {
		hardText = softText
	}
	soft, err := limitValue(r, softText)
	if err != nil {
		return Limit{}, err
	}
	hard, err := limitValue(r, hardText)
	if err != nil {
		return Limit{}, err
	}
	if soft > hard {
		return Limit{}, fmt.Errorf("%q has a soft limit above the hard one", v)
	}
	return Limit{r, soft, hard}, nil
}

func limitValue(r Resource, v string) (uint64, error) {
	if v == "infinity" {
		return RLimInfinity, nil
	}
	switch r {
	case LimitCPU, LimitRTTIME:
		return limitTime(r, v)
	case LimitFSIZE, LimitDATA, LimitSTACK, LimitCORE, LimitRSS, LimitAS, LimitMEMLOCK, LimitMSGQUEUE:
		return unit.ParseSize(v)
	case LimitNICE:
		return limitNice(v)
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a limit (valid: a number, infinity)", v)
	}
	return n, nil
}

func limitTime(r Resource, v string) (uint64, error) {
	if n, err := strconv.ParseUint(v, 10, 63); err == nil { // in the resource's own unit
		return n, nil
	}
	d, err := unit.ParseTimespan(v)
	if err != nil {
		return 0, err
	}
	if d == unit.Infinity {
		return RLimInfinity, nil
	}
	if r == LimitRTTIME {
		return uint64(d / time.Microsecond), nil
	}
	return uint64(d/time.Second) + min(uint64(d%time.Second), 1), nil
}

// limitNice reads a nice level with its sign ("+5", "-3"), or the raw value 1..40.
func limitNice(v string) (uint64, error) {
	n, err := strconv.Atoi(v)
	signed := strings.HasPrefix(v, "+") || strings.HasPrefix(v, "-")
	switch {
	case err == nil && signed && n >= -20 && n <= 19:
		return uint64(20 - n), nil
	case err == nil && !signed && n >= 0 && n <= 40:
		return uint64(n), nil
	}
	return 0, fmt.Errorf("%q is not a nice limit (valid: -20 to +19 with a sign, or 1 to 40)", v)
}

// weight reads a number of lo..hi.
func parseRange(v string, lo, hi uint64) (uint64, error) {
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n < lo || n > hi {
		return 0, fmt.Errorf("%q is not valid (valid: %d to %d)", v, lo, hi)
	}
	return n, nil
}

// parsePermyriad reads a percentage with at most two decimals: "12.5%" is 1250.
func parsePermyriad(v string) (uint64, error) {
	num, ok := strings.CutSuffix(v, "%")
	if !ok {
		return 0, fmt.Errorf("%q is not a percentage", v)
	}
	whole, frac, _ := strings.Cut(num, ".")
	n, err := strconv.ParseUint(whole, 10, 40)
	if err != nil || len(frac) > 2 || n > math.MaxUint32 {
		return 0, fmt.Errorf("%q is not a percentage", v)
	}
	for len(frac) < 2 {
		frac += "0"
	}
	f, err := strconv.ParseUint(frac, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("%q is not a percentage", v)
	}
	return n*100 + f, nil
}
