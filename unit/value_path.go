package unit

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	pathMax      = 4096 // PATH_MAX, with the closing NUL
	componentMax = 255  // NAME_MAX
)

// ParsePath checks an absolute path and normalises it: "//", "/./" and a trailing slash are
// squeezed; ".." is refused, as are relative and over-long paths, NUL and invalid UTF-8.
func ParsePath(s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return "", fmt.Errorf("%q is not an absolute path", s)
	}
	p, err := SimplifyPath(s)
	if err != nil {
		return "", fmt.Errorf("%q is not a valid path: %w", s, err)
	}
	return p, nil
}

// SimplifyPath squeezes "//", "/./" and trailing slashes out of a path that may be
// relative, and refuses what ParsePath refuses beside that. A relative path that amounts to
// nothing is ".".
func SimplifyPath(s string) (string, error) {
	switch {
	case s == "":
		return "", errEmpty
	case len(s) >= pathMax:
		return "", errors.New("it is too long")
	case strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s):
		return "", errors.New("it is not valid UTF-8")
	}
	var b strings.Builder
	b.Grow(len(s))
	for part := range strings.SplitSeq(s, "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return "", errors.New(`it contains ".."`)
		case len(part) > componentMax:
			return "", errors.New("one of its components is too long")
		}
		if b.Len() > 0 || s[0] == '/' {
			b.WriteByte('/')
		}
		b.WriteString(part)
	}
	switch {
	case b.Len() > 0:
		return b.String(), nil
	case s[0] == '/':
		return "/", nil
	}
	return ".", nil
}
