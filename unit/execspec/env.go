package execspec

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// ValidEnvName reports whether s can be a variable's name: letters, digits and "_", not
// beginning with a digit.
func ValidEnvName(s string) bool {
	if s == "" || s[0] >= '0' && s[0] <= '9' || len(s) > 4096 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			return false
		}
	}
	return true
}

// validAssignment reports whether s is NAME=VALUE with a value of printable UTF-8 (tab and
// newline included).
func validAssignment(s string) bool {
	name, value, ok := strings.Cut(s, "=")
	return ok && ValidEnvName(name) && validEnvValue(value)
}

func validEnvValue(v string) bool {
	if !utf8.ValidString(v) || len(v) > maxExpandedBytes {
		return false
	}
	for i := 0; i < len(v); i++ {
		if c := v[i]; c < ' ' && c != '\t' && c != '\n' || c == 0x7f {
			return false
		}
	}
	return true
}

// MergeEnv joins environments; of one name the last assignment wins, at the place of the first.
func MergeEnv(sets ...[]string) []string {
	var out []string
	at := make(map[string]int)
	for _, set := range sets {
		for _, kv := range set {
			name, _, _ := strings.Cut(kv, "=")
			if i, ok := at[name]; ok {
				out[i] = kv
				continue
			}
			at[name] = len(out)
			out = append(out, kv)
		}
	}
	return out
}

// UnsetEnv removes names, and NAME=VALUE only where the value is the same.
func UnsetEnv(env, unset []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(unset, name) || slices.Contains(unset, kv)
	})
}

// LookupEnv finds a variable in KEY=VALUE form; the last assignment wins.
func LookupEnv(env []string, name string) (string, bool) {
	for _, kv := range slices.Backward(env) {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}

// MaxEnvironmentFile is the largest EnvironmentFile= that is read, in bytes.
const MaxEnvironmentFile = 1 << 20

// ErrEnvironmentFile says that a file is too large or not text.
var ErrEnvironmentFile = errors.New("not an environment file: too large, or not valid UTF-8")

// ParseEnvironmentFile reads the lines of an EnvironmentFile= (man systemd.exec(5)):
// NAME=VALUE, shell-like quotes, "#" and ";" comments, backslash at a line's end joins. What
// is no valid assignment is left out and listed in skipped.
func ParseEnvironmentFile(data []byte) (env, skipped []string, err error) {
	if len(data) > MaxEnvironmentFile || !utf8.Valid(data) {
		return nil, nil, ErrEnvironmentFile
	}
	p := envParser{s: strings.TrimPrefix(string(data), "\ufeff")}
	for p.i < len(p.s) {
		kv, ok := p.line()
		switch {
		case !ok:
		case validAssignment(kv):
			env = append(env, kv)
		default:
			skipped = append(skipped, kv)
		}
	}
	return MergeEnv(env), skipped, nil
}

type envParser struct {
	s string
	i int
}

// line reads one assignment, or skips a comment or an empty line.
func (p *envParser) line() (kv string, ok bool) {
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
	if p.i == len(p.s) {
		return "", false
	}
	if c := p.s[p.i]; c == '#' || c == ';' {
		p.comment()
		return "", false
	}
	start := p.i
	for p.i < len(p.s) && p.s[p.i] != '=' && p.s[p.i] != '\n' {
		p.i++
	}
	name := strings.TrimRight(p.s[start:p.i], " \t\r")
	if p.i == len(p.s) || p.s[p.i] == '\n' {
		return name, name != ""
	}
	p.i++
	return name + "=" + p.value(), true
}

// comment skips to the line's end; a backslash there goes on with the comment.
func (p *envParser) comment() {
	for p.i < len(p.s) && p.s[p.i] != '\n' {
		if p.s[p.i] == '\\' {
			p.i++
		}
		p.i++
	}
	p.i = min(p.i, len(p.s))
}

// value reads up to the line's end: plain text with backslash escapes, '...' as it is,
// "..." where a backslash protects " \ ` $ and joins lines. A quote counts as one before
// plain text begins only; blanks there, and behind plain text, go.
func (p *envParser) value() string {
	var b strings.Builder
	keep := 0 // what stands behind is blanks, to be dropped if nothing follows
	for pre := true; p.i < len(p.s); {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '\n' || c == '\r':
			return b.String()[:keep]
		case pre && (c == '\'' || c == '"'):
			p.quoted(&b, c)
			keep = b.Len()
		case c == '\\':
			if p.i < len(p.s) && p.s[p.i] != '\n' {
				b.WriteByte(p.s[p.i])
				keep = b.Len()
			}
			p.i, pre = p.i+1, false
		case c == ' ' || c == '\t':
			if !pre {
				b.WriteByte(c)
			}
		default:
			b.WriteByte(c)
			keep, pre = b.Len(), false
		}
	}
	p.i = min(p.i, len(p.s))
	return b.String()[:keep]
}

func (p *envParser) quoted(b *strings.Builder, quote byte) {
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch {
		case c == quote:
			return
		case c == '\\' && quote == '"' && p.i < len(p.s):
			if n := p.s[p.i]; n != '\n' {
				if strings.IndexByte("\"\\`$", n) < 0 {
					b.WriteByte('\\')
				}
				b.WriteByte(n)
			}
			p.i++
		default:
			b.WriteByte(c)
		}
	}
}
