package condition

import (
	"errors"
	"strings"
)

const (
	globNames  = 1 << 16 // names looked at by one PathExistsGlob=
	globBraces = 64      // alternatives of one pattern
	globLength = 4096    // bytes of a pattern: no longer path can be looked up
)

var errGlobSize = errors.New("pattern matches too much")

// pathExistsGlob is glob(7) with braces, as systemd asks glob(3) for it.
func pathExistsGlob(m Machine, pattern string) (bool, error) {
	if len(pattern) > globLength {
		return false, errGlobSize
	}
	patterns, err := expandBraces(pattern, nil)
	if err != nil {
		return false, err
	}
	budget := globNames
	for _, p := range patterns {
		if ok, err := globFrom(m, "", strings.Split(strings.Trim(p, "/"), "/"), &budget); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// globFrom reports whether something below dir matches the components of a pattern.
func globFrom(m Machine, dir string, parts []string, budget *int) (bool, error) {
	for len(parts) > 0 && !strings.ContainsAny(parts[0], `*?[\`) {
		dir, parts = dir+"/"+parts[0], parts[1:]
	}
	if len(parts) == 0 {
		// A dangling link is there too: glob(3) uses lstat.
		_, err := m.Lstat(dir)
		return found(err)
	}
	if dir == "" {
		dir = "/"
	}
	names, err := m.ReadDir(dir, *budget+1)
	if err != nil {
		// An unreadable directory matches nothing, as in glob(3).
		return false, nil
	}
	if *budget -= len(names); *budget < 0 {
		return false, errGlobSize
	}
	for _, name := range names {
		if name[0] == '.' && parts[0][0] != '.' || !match(parts[0], name) {
			continue
		}
		if len(parts) == 1 {
			return true, nil
		}
		if ok, err := globFrom(m, strings.TrimSuffix(dir, "/")+"/"+name, parts[1:], budget); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// expandBraces replaces a{b,c}d by abd and acd.
func expandBraces(p string, out []string) ([]string, error) {
	open, end, commas := findBraces(p)
	if end < 0 {
		if len(out) >= globBraces {
			return nil, errGlobSize
		}
		return append(out, p), nil
	}
	start := open + 1
	for _, stop := range append(commas, end) {
		var err error
		if out, err = expandBraces(p[:open]+p[start:stop]+p[end+1:], out); err != nil {
			return nil, err
		}
		start = stop + 1
	}
	return out, nil
}

// findBraces locates the first group and its commas; end is -1 when there is none.
func findBraces(p string) (open, end int, commas []int) {
	open = -1
	depth := 0
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == '\\':
			i++
		case c == '{':
			if depth++; depth == 1 {
				open, commas = i, nil
			}
		case c == ',' && depth == 1:
			commas = append(commas, i)
		case c == '}' && depth > 0:
			if depth--; depth == 0 {
				return open, i, commas
			}
		}
	}
	return open, -1, nil
}
