package condition

import (
	"cmp"
	"strings"
)

// order is a comparison operator of an argument.
type order uint8

const (
	orderNone order = iota
	orderLE
	orderGE
	orderLT
	orderGT
	orderEQ
	orderNE
)

var orders = [...]struct {
	text  string
	order order
}{{"<=", orderLE}, {">=", orderGE}, {"<", orderLT}, {">", orderGT}, {"=", orderEQ}, {"!=", orderNE}}

// cutOrder takes an operator off the front of s.
func cutOrder(s string) (order, string) {
	for _, o := range orders {
		if rest, ok := strings.CutPrefix(s, o.text); ok {
			return o.order, rest
		}
	}
	return orderNone, s
}

// holds reports whether a comparison that came out as sign (below, equal to, above 0) satisfies o.
func (o order) holds(sign int) bool {
	switch o {
	case orderLE:
		return sign <= 0
	case orderGE:
		return sign >= 0
	case orderLT:
		return sign < 0
	case orderGT:
		return sign > 0
	case orderEQ:
		return sign == 0
	case orderNE:
		return sign != 0
	}
	return false
}

// compareVersions orders versions by the UAPI group's Version Format Specification, which is
// what systemd's "strverscmp" does: "~" sorts before everything, even the end; then the end,
// "-", "^", "." and letters; numbers are newest and compare by value.
func compareVersions(a, b string) int {
	for {
		a, b = trimNonVersion(a), trimNonVersion(b)
		if r, done := compareSign(&a, &b, '~'); done {
			if r != 0 {
				return r
			}
			continue
		}
		if a == "" || b == "" {
			return cmp.Compare(min(len(a), 1), min(len(b), 1))
		}
		var r int
		var done bool
		for _, sign := range [...]byte{'-', '^', '.'} {
			if r, done = compareSign(&a, &b, sign); done {
				break
			}
		}
		if !done {
			r = compareSegment(&a, &b)
		}
		if r != 0 {
			return r
		}
	}
}

// compareSign decides where one of the two has the separator; whichever has it is older.
func compareSign(a, b *string, sign byte) (r int, done bool) {
	inA, inB := *a != "" && (*a)[0] == sign, *b != "" && (*b)[0] == sign
	switch {
	case inA && inB:
		*a, *b = (*a)[1:], (*b)[1:]
		return 0, true
	case inA:
		return -1, true
	case inB:
		return 1, true
	}
	return 0, false
}

func compareSegment(a, b *string) int {
	if isDigit((*a)[0]) || isDigit((*b)[0]) {
		x, y := takeWhile(a, isDigit), takeWhile(b, isDigit)
		if r := cmp.Compare(min(len(x), 1), min(len(y), 1)); r != 0 {
			return r
		}
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if r := cmp.Compare(len(x), len(y)); r != 0 {
			return r
		}
		return cmp.Compare(x, y)
	}
	return cmp.Compare(takeWhile(a, isAlpha), takeWhile(b, isAlpha))
}

func takeWhile(s *string, f func(byte) bool) string {
	i := 0
	for i < len(*s) && f((*s)[i]) {
		i++
	}
	head := (*s)[:i]
	*s = (*s)[i:]
	return head
}

func trimNonVersion(s string) string {
	for s != "" && !isDigit(s[0]) && !isAlpha(s[0]) && strings.IndexByte("~-^.", s[0]) < 0 {
		s = s[1:]
	}
	return s
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isAlpha(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
