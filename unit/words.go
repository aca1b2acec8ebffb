package unit

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// ErrQuote says that a quote is not closed.
var ErrQuote = errors.New("unbalanced quotes")

// SplitWords splits s at blanks as man systemd.syntax(7), QUOTING says: "..." and '...'
// group, may begin inside a word and do not appear in it; C escapes are undone inside and
// outside of quotes. An escape that nobody knows stays as it is (UnknownEscape finds it).
// The only error is ErrQuote.
func SplitWords(s string) ([]string, error) {
	var few [8]string // enough for nearly all: then the list takes one allocation, of its length
	words := few[:0]
	for {
		word, rest, ok, err := NextWord(s)
		if err != nil || !ok {
			return append([]string(nil), words...), err
		}
		words = append(words, word)
		s = rest
	}
}

// NextWord takes the first word off s; ok is false when only blanks are left. Callers that
// must tell a bare ";" from a quoted one look at s first.
func NextWord(s string) (word, rest string, ok bool, err error) {
	s = trimBlankLeft(s)
	if s == "" {
		return "", "", false, nil
	}
	if n := plainPrefix(s); n == len(s) || isBlank(s[n]) {
		return s[:n], trimBlankLeft(s[n:]), true, nil
	}
	if n := quotedPrefix(s); n > 0 {
		return s[1 : n-1], trimBlankLeft(s[n:]), true, nil
	}
	var b strings.Builder
	quote := byte(0)
	i := 0
	for i < len(s) {
		c := s[i]
		switch {
		case c == '\\':
			i += unescapeInto(&b, s[i:])
			continue
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && isBlank(c):
			return b.String(), trimBlankLeft(s[i:]), true, nil
		default:
			b.WriteByte(c)
		}
		i++
	}
	if quote != 0 {
		return "", "", false, ErrQuote
	}
	return b.String(), "", true, nil
}

// quotedPrefix is the length of the word that s begins with, if that is quoted from its first byte to its last and has no
// escapes; else 0.
func quotedPrefix(s string) int {
	if s[0] != '"' && s[0] != '\'' {
		return 0
	}
	n := strings.IndexByte(s[1:], s[0]) + 2
	if n < 2 || n < len(s) && !isBlank(s[n]) || strings.IndexByte(s[:n], '\\') >= 0 {
		return 0
	}
	return n
}

// plainPrefix is the length of the part of s that needs no unquoting; most words are all plain.
func plainPrefix(s string) int {
	for i := 0; i < len(s); i++ {
		if c := s[i]; isBlank(c) || c == '\\' || c == '"' || c == '\'' {
			return i
		}
	}
	return len(s)
}

// unescapeInto undoes the escape at the beginning of s and returns its length; an unknown
// one is copied, its backslash first.
func unescapeInto(b *strings.Builder, s string) int {
	if len(s) < 2 {
		b.WriteByte('\\')
		return 1
	}
	r, isRune, n := unescape(s)
	switch {
	case n == 0:
		b.WriteByte('\\')
		return 1
	case isRune:
		b.WriteRune(r)
	default:
		b.WriteByte(byte(r))
	}
	return n
}

// unescape reads one C escape; n is 0 when it is not one. NUL cannot be written.
func unescape(s string) (r rune, isRune bool, n int) {
	const letters, values = `abfnrtv\"'s`, "\a\b\f\n\r\t\v\\\"' "
	if i := strings.IndexByte(letters, s[1]); i >= 0 {
		return rune(values[i]), false, 2
	}
	switch c := s[1]; {
	case c == 'x':
		r, n = digits(s, 2, 2, 16)
	case c == 'u':
		r, n = digits(s, 2, 4, 16)
		isRune = true
	case c == 'U':
		r, n = digits(s, 2, 8, 16)
		isRune = true
	case c >= '0' && c <= '7':
		r, n = digits(s, 1, 3, 8)
		if r > 0xff {
			n = 0
		}
	}
	if n == 0 || r == 0 || isRune && !utf8.ValidRune(r) {
		return 0, false, 0
	}
	return r, isRune, n
}

// digits reads exactly count digits of s from start; n is the length up to their end, 0 on error.
func digits(s string, start, count int, base rune) (r rune, n int) {
	if len(s) < start+count {
		return 0, 0
	}
	for i := start; i < start+count; i++ {
		d := rune(unhex(s[i]))
		if d < 0 || d >= base || r > utf8.MaxRune {
			return 0, 0
		}
		r = r*base + d
	}
	return r, start + count
}

// UnknownEscape finds the first escape sequence in s that SplitWords leaves as it is;
// empty when there is none.
func UnknownEscape(s string) string {
	for i := strings.IndexByte(s, '\\'); i >= 0 && i < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		if i+1 == len(s) {
			return `\`
		}
		_, _, n := unescape(s[i:])
		if n == 0 {
			_, size := utf8.DecodeRuneInString(s[i+1:])
			return s[i : i+1+size]
		}
		i += n - 1
	}
	return ""
}

// QuoteWord writes a word so that SplitWords reads it back as that one word, and so that
// an Exec line does not take it for the separator ";". NUL cannot be written and is dropped.
func QuoteWord(s string) string {
	if s != "" && s != ";" && isPlainWord(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := 0; i < len(s); {
		c := s[i]
		_, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case c == 0:
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c < ' ' || c == 0x7f || c >= utf8.RuneSelf && size == 1:
			b.WriteString(`\x`)
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	b.WriteByte('"')
	return b.String()
}

func isPlainWord(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c == 0x7f || c == '"' || c == '\'' || c == '\\' {
			return false
		}
	}
	return utf8.ValidString(s)
}
