package execspec

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

const (
	maxArgs     = 4096
	maxCommands = 512
)

// ParseExecLine reads the value of an Exec...= setting whose specifiers are expanded (man
// systemd.service(5), COMMAND LINES): words with quotes and escapes, a lone ";" between
// commands, and before each executable the prefixes - @ : + ! !!. An executable is an
// absolute path or a bare name; $VAR stays for Expand.
//
// An error concerns the whole line. After a leading "-" systemd drops such a line and keeps
// the unit: then the error is a *unit.Partial and there is no command.
func ParseExecLine(s string) ([]unit.Command, error) {
	cmds, err := parseExecLine(s)
	if err != nil && strings.HasPrefix(skipBlanks(s), "-") {
		return nil, &unit.Partial{Text: "line ignored: " + err.Error()}
	}
	return cmds, err
}

func parseExecLine(s string) ([]unit.Command, error) {
	var cmds []unit.Command
	for {
		rest, found := skipSeparators(s)
		if !found {
			return cmds, nil
		}
		if len(cmds) == maxCommands {
			return nil, fmt.Errorf("more than %d commands", maxCommands)
		}
		cmd, after, err := parseCommand(rest)
		if err != nil {
			return nil, err
		}
		cmds = append(cmds, cmd)
		s = after
	}
}

func skipBlanks(s string) string {
	for s != "" && strings.IndexByte(" \t\n\r", s[0]) >= 0 {
		s = s[1:]
	}
	return s
}

// skipSeparators skips blanks and lone semicolons; found is false at the end.
func skipSeparators(s string) (rest string, found bool) {
	for {
		s = skipBlanks(s)
		after, ok := cutSeparator(s)
		if !ok {
			return s, s != ""
		}
		s = after
	}
}

// cutSeparator takes an unquoted ";" that stands alone off s.
func cutSeparator(s string) (string, bool) {
	if s == ";" || len(s) > 1 && s[0] == ';' && strings.IndexByte(" \t\n\r", s[1]) >= 0 {
		return s[1:], true
	}
	return s, false
}

func parseCommand(s string) (cmd unit.Command, rest string, err error) {
	word, rest, ok, err := unit.NextWord(s)
	if err != nil {
		return cmd, "", err
	}
	if !ok || word == "" {
		return cmd, "", errors.New("the executable is empty")
	}
	path, separateArgv0, err := cutPrefixes(word, &cmd)
	if err != nil {
		return cmd, "", err
	}
	if cmd.Path, err = executable(path); err != nil {
		return cmd, "", err
	}
	var few [12]string // enough for nearly all: then Argv takes one allocation, of its length
	argv := few[:0]
	if !separateArgv0 {
		argv = append(argv, path)
	}
	for {
		rest = skipBlanks(rest)
		if after, end := cutSeparator(rest); end {
			rest = after
			break
		}
		literal := rest == `\;` || strings.HasPrefix(rest, `\;`) && strings.IndexByte(" \t\n\r", rest[2]) >= 0
		word, rest, ok, err = unit.NextWord(rest)
		if err != nil {
			return cmd, "", err
		}
		if !ok {
			break
		}
		if literal {
			word = ";"
		}
		if len(argv) == maxArgs {
			return cmd, "", fmt.Errorf("more than %d arguments", maxArgs)
		}
		if strings.IndexByte(word, 0) >= 0 {
			return cmd, "", errors.New("an argument contains NUL")
		}
		argv = append(argv, word)
	}
	if len(argv) == 0 {
		return cmd, "", errors.New(`after "@" an argument with the process's name must follow`)
	}
	cmd.Argv = append(cmd.Argv, argv...)
	return cmd, rest, nil
}

// cutPrefixes reads the prefixes; each may come once, in any order, and + ! !! exclude each other.
func cutPrefixes(w string, cmd *unit.Command) (path string, separateArgv0 bool, err error) {
	for i := 0; i < len(w); i++ {
		var again bool
		switch c := w[i]; c {
		case '-':
			again, cmd.IgnoreFail = cmd.IgnoreFail, true
		case '@':
			again, separateArgv0 = separateArgv0, true
		case ':':
			again, cmd.NoEnvExpand = cmd.NoEnvExpand, true
		case '+':
			again, cmd.Privileges = cmd.Privileges != 0, '+'
		case '!':
			switch {
			case i > 0 && w[i-1] == '!' && cmd.Privileges == '!':
				cmd.Privileges = 'A'
			default:
				again, cmd.Privileges = cmd.Privileges != 0, '!'
			}
		default:
			return w[i:], separateArgv0, nil
		}
		if again {
			return "", false, fmt.Errorf("%q: a prefix is repeated or excluded by another", w)
		}
	}
	return "", false, fmt.Errorf("%q: no executable after the prefixes", w)
}

func executable(p string) (string, error) {
	switch {
	case strings.IndexByte(p, 0) >= 0:
		return "", errors.New("the executable's name contains NUL")
	case strings.HasSuffix(p, "/"):
		return "", fmt.Errorf("executable %q is a directory", p)
	case strings.HasPrefix(p, "/") && len(p) < 4096:
		return p, nil
	case strings.ContainsAny(p, "/~") || len(p) > 255 || p == "." || p == "..":
		return "", fmt.Errorf("executable %q is neither an absolute path nor a plain name", p)
	}
	return p, nil
}

// FormatExecLine writes a command so that ParseExecLine reads it back.
func FormatExecLine(c unit.Command) string {
	var b strings.Builder
	if c.IgnoreFail {
		b.WriteByte('-')
	}
	argv0 := len(c.Argv) > 0 && c.Argv[0] != c.Path
	if argv0 {
		b.WriteByte('@')
	}
	if c.NoEnvExpand {
		b.WriteByte(':')
	}
	switch c.Privileges {
	case '+', '!':
		b.WriteByte(c.Privileges)
	case 'A':
		b.WriteString("!!")
	}
	b.WriteString(quoteAfter(c.Path))
	args := c.Argv
	if !argv0 && len(args) > 0 {
		args = args[1:]
	}
	for _, a := range args {
		b.WriteByte(' ')
		b.WriteString(unit.QuoteWord(a))
	}
	return b.String()
}

// quoteAfter quotes a path that stands right behind prefixes: quotes may begin inside a word.
func quoteAfter(p string) string {
	if p == ";" {
		return `";"`
	}
	return unit.QuoteWord(p)
}
