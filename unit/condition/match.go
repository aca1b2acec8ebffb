package condition

import "strings"

// match is fnmatch(3) without flags: "*" and "?" match a slash too.
func match(pattern, s string) bool {
	var star, mark = -1, 0 // the last "*" and what it has swallowed
	p, i := 0, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, i
			p++
			continue
		}
		if n, ok := matchOne(pattern[p:], s[i]); ok {
			p += n
			i++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, i = star+1, mark
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches one byte against the pattern's first element and gives its length.
func matchOne(p string, c byte) (int, bool) {
	if p == "" {
		return 0, false
	}
	switch p[0] {
	case '?':
		return 1, true
	case '[':
		if n, ok := matchClass(p, c); n > 0 {
			return n, ok
		}
	case '\\':
		if len(p) > 1 {
			return 2, p[1] == c
		}
	}
	return 1, p[0] == c
}

// matchClass matches "[...]"; a length of 0 says that the bracket is not closed and means itself.
func matchClass(p string, c byte) (n int, ok bool) {
	i := 1
	negate := i < len(p) && (p[i] == '!' || p[i] == '^')
	if negate {
		i++
	}
	for first := true; ; first = false {
		if i >= len(p) {
			return 0, false
		}
		if p[i] == ']' && !first {
			return i + 1, ok != negate
		}
		if end := strings.Index(p[i:], ":]"); strings.HasPrefix(p[i:], "[:") && end > 0 {
			ok = ok || inClass(p[i+2:i+end], c)
			i += end + 2
			continue
		}
		low, next := classByte(p, i)
		high := low
		if next+1 < len(p) && p[next] == '-' && p[next+1] != ']' {
			high, next = classByte(p, next+1)
		}
		ok = ok || low <= c && c <= high
		i = next
	}
}

func classByte(p string, i int) (byte, int) {
	if p[i] == '\\' && i+1 < len(p) {
		return p[i+1], i + 2
	}
	return p[i], i + 1
}

func inClass(name string, c byte) bool {
	lower, upper, digit := c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9'
	switch name {
	case "alpha":
		return lower || upper
	case "alnum":
		return lower || upper || digit
	case "digit":
		return digit
	case "lower":
		return lower
	case "upper":
		return upper
	case "space":
		return c == ' ' || c >= '\t' && c <= '\r'
	case "blank":
		return c == ' ' || c == '\t'
	case "punct":
		return c > ' ' && c < 0x7f && !lower && !upper && !digit
	case "xdigit":
		return digit || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
	case "print":
		return c >= ' ' && c < 0x7f
	case "graph":
		return c > ' ' && c < 0x7f
	case "cntrl":
		return c < ' ' || c == 0x7f
	}
	return false
}
