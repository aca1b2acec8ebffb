package unit

import (
	"errors"
	"strings"
)

// ErrEscape says that a string is not something that Escape or PathEscape made.
var ErrEscape = errors.New("invalid escape sequence in a unit name")

const hexDigits = "0123456789abcdef"

// Escape makes any string fit for a unit name (man systemd-escape(1)): "/" becomes "-",
// everything but letters, digits, ":", "_" and "." becomes \xHH, as does a leading ".".
func Escape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '/':
			b.WriteByte('-')
		case escapeKeeps(c) && (c != '.' || i > 0):
			b.WriteByte(c)
		default:
			b.WriteString(`\x`)
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

func escapeKeeps(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == ':' || c == '_' || c == '.'
}

// Unescape undoes Escape. A malformed sequence is ErrEscape; one that stands for NUL too.
func Unescape(s string) (string, error) {
	if !strings.ContainsAny(s, `-\`) {
		return s, nil
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '-':
			b.WriteByte('/')
		case '\\':
			if i+3 >= len(s) || s[i+1] != 'x' {
				return "", ErrEscape
			}
			hi, lo := unhex(s[i+2]), unhex(s[i+3])
			if hi < 0 || lo < 0 || hi|lo == 0 {
				return "", ErrEscape
			}
			b.WriteByte(byte(hi<<4 | lo))
			i += 3
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}

// PathEscape makes a path fit for a unit name (systemd-escape --path): the path is
// simplified, its leading slash goes, the root is "-". A path with ".." is refused.
func PathEscape(s string) (string, error) {
	if s == "" {
		return "-", nil
	}
	p, err := SimplifyPath(s)
	if err != nil {
		return "", err
	}
	if p == "/" || p == "." {
		return "-", nil
	}
	return Escape(strings.TrimPrefix(p, "/")), nil
}

// PathUnescape undoes PathEscape; the result is absolute. What PathEscape cannot have made
// is ErrEscape.
func PathUnescape(s string) (string, error) {
	if s == "-" {
		return "/", nil
	}
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return "", ErrEscape
	}
	p, err := Unescape(s)
	if err != nil {
		return "", err
	}
	if q, err := SimplifyPath("/" + p); err != nil || q != "/"+p {
		return "", ErrEscape
	}
	return "/" + p, nil
}

// unhex is the value of a hexadecimal digit, -1 for anything else.
func unhex(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
