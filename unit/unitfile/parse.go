package unitfile

import (
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
)

// LineMax is the longest logical line, continuations included, in bytes (systemd's LONG_LINE_MAX).
const LineMax = 1 << 20

// Assignment is one logical line of a file.
type Assignment struct {
	Section string
	Key     string // empty: the line is the header of Section
	Value   string
	Line    int // where it begins, from 1
}

// SyntaxError is a line that cannot be read.
type SyntaxError struct {
	File string
	Line int
	Key  string // empty unless the error is inside a value
	Text string
	// Fatal: the file ends here, and a unit must not be made from what came before.
	Fatal bool
}

func (e *SyntaxError) Error() string {
	where := fmt.Sprintf("%s:%d: ", e.File, e.Line)
	if e.Key != "" {
		where += e.Key + ": "
	}
	return where + e.Text
}

// Parse yields the section headers and assignments of a file in systemd's format (man
// systemd.syntax(7)) in order. Lines that make no sense are yielded as *SyntaxError; after a
// fatal one nothing follows. Strings are parts of text: clone what is kept.
func Parse(file, text string) iter.Seq2[Assignment, *SyntaxError] {
	return func(yield func(Assignment, *SyntaxError) bool) {
		p := parser{file: file, yield: yield}
		p.run(strings.TrimPrefix(text, "\uFEFF"))
	}
}

type parser struct {
	file    string
	section string
	inside  bool // a section header was seen
	yield   func(Assignment, *SyntaxError) bool
}

// run joins continued lines. A backslash counts if it is not itself escaped, over the whole
// logical line; it becomes a blank, and the next line is appended with its own blanks.
// Comments between continued lines are skipped, an empty line ends the continuation.
func (p *parser) run(text string) {
	var joined strings.Builder
	continued, first := false, 0
	for n := 1; text != ""; n++ {
		var line string
		line, text = cutLine(text)
		if c := strings.TrimLeft(line, blanks); c != "" && (c[0] == '#' || c[0] == ';') {
			continue
		}
		if !continued {
			first = n
		}
		if joined.Len()+len(line) > LineMax {
			p.fail(first, "line is longer than %d bytes", LineMax)
			return
		}
		if endsEscaped(line) {
			joined.WriteString(line[:len(line)-1])
			joined.WriteByte(' ')
			continued = true
			continue
		}
		if continued {
			joined.WriteString(line)
			line = joined.String()
			joined.Reset()
			continued = false
		}
		if !p.line(line, first) {
			return
		}
	}
	if continued {
		p.line(joined.String(), first)
	}
}

// cutLine takes one line off text. Newline, carriage return and NUL all end a line; one of
// each may stand together, so that CR LF is one end.
func cutLine(text string) (line, rest string) {
	i := strings.IndexAny(text, "\n\r\x00")
	if i < 0 {
		return text, ""
	}
	seen, j := eolBit(text[i]), i+1
	for j < len(text) {
		b := eolBit(text[j])
		if b == 0 || seen&b != 0 {
			break
		}
		seen |= b
		j++
	}
	return text[:i], text[j:]
}

func eolBit(c byte) byte {
	switch c {
	case '\n':
		return 1
	case '\r':
		return 2
	case 0:
		return 4
	}
	return 0
}

func endsEscaped(line string) bool {
	n := 0
	for n < len(line) && line[len(line)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// line handles one logical line; false ends the file.
func (p *parser) line(line string, n int) bool {
	line = strings.Trim(line, blanks)
	if line == "" {
		return true
	}
	if !utf8.ValidString(line) {
		key, _, _ := strings.Cut(line, "=")
		if key = strings.TrimRight(key, blanks); !utf8.ValidString(key) {
			key = ""
		}
		return p.yieldError(&SyntaxError{File: p.file, Line: n, Key: key, Text: "the line is not valid UTF-8", Fatal: true})
	}
	if line[0] == '[' {
		if line[len(line)-1] != ']' {
			return p.fail(n, "section header %q has no closing bracket", clip(line))
		}
		p.section, p.inside = line[1:len(line)-1], true
		return p.yield(Assignment{Section: p.section, Line: n}, nil)
	}
	key, value, ok := strings.Cut(line, "=")
	key = strings.TrimRight(key, blanks)
	switch {
	case !p.inside:
		return p.warn(n, "%q stands before the first section and is ignored (valid: a header such as [Unit] first)", clip(line))
	case !ok:
		return p.warn(n, "%q has no \"=\" and is ignored (valid: Key=value)", clip(line))
	case key == "":
		return p.warn(n, "%q has no key before the \"=\" and is ignored (valid: Key=value)", clip(line))
	}
	return p.yield(Assignment{Section: p.section, Key: key, Value: strings.TrimLeft(value, blanks), Line: n}, nil)
}

func (p *parser) fail(n int, format string, args ...any) bool {
	return p.yieldError(&SyntaxError{File: p.file, Line: n, Text: fmt.Sprintf(format, args...), Fatal: true})
}

func (p *parser) warn(n int, format string, args ...any) bool {
	return p.yieldError(&SyntaxError{File: p.file, Line: n, Text: fmt.Sprintf(format, args...)})
}

func (p *parser) yieldError(e *SyntaxError) bool {
	return p.yield(Assignment{Section: p.section, Line: e.Line}, e) && !e.Fatal
}

const blanks = " \t\n\r"

// clip shortens what a message quotes.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}
