package execspec

import (
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// maxExpanded bounds the arguments and bytes that expansion may produce.
const (
	maxExpandedArgs  = 1 << 16
	maxExpandedBytes = 1 << 21 // the kernel's default limit for arguments and environment
)

// ExpandArgv replaces variables in the arguments of cmd as systemd does (man
// systemd.service(5), COMMAND LINES): ${VAR} anywhere in a word, in place and never split;
// $VAR as a whole word, split at blanks into any number of words; $$ is "$". What is not set
// is empty, and named in missing. The first word is never expanded. Expansion that exceeds
// the kernel's limit for arguments is cut, so that execve fails, not the memory.
func ExpandArgv(cmd unit.Command, lookup func(name string) (string, bool)) (argv, missing []string) {
	if cmd.NoEnvExpand || len(cmd.Argv) == 0 {
		return cmd.Argv, nil
	}
	argv = append(make([]string, 0, len(cmd.Argv)), cmd.Argv[0])
	get := func(name string) string {
		v, ok := lookup(name)
		if !ok {
			missing = append(missing, name)
		}
		return v
	}
	size := 0
	for _, w := range cmd.Argv[1:] {
		if name, ok := wholeVariable(w); ok {
			for _, part := range splitValue(get(name)) {
				argv, size = append(argv, part), size+len(part)+1
			}
		} else {
			w = expandWord(w, get, maxExpandedBytes-size)
			argv, size = append(argv, w), size+len(w)+1
		}
		if len(argv) > maxExpandedArgs || size > maxExpandedBytes {
			break
		}
	}
	return argv, missing
}

// wholeVariable recognises "$NAME".
func wholeVariable(w string) (string, bool) {
	if len(w) < 2 || w[0] != '$' || w[1] == '{' || w[1] == '$' {
		return "", false
	}
	return w[1:], ValidEnvName(w[1:])
}

// splitValue splits the value of a $NAME word; quotes in it group.
func splitValue(v string) []string {
	words, err := unit.SplitWords(v)
	if err != nil { // an open quote: take the text as it is
		return strings.Fields(v)
	}
	return words
}

func expandWord(w string, get func(string) string, room int) string {
	if strings.IndexByte(w, '$') < 0 {
		return w
	}
	var b strings.Builder
	for i := 0; i < len(w); {
		if w[i] != '$' || i+1 == len(w) {
			b.WriteByte(w[i])
			i++
			continue
		}
		switch w[i+1] {
		case '$':
			b.WriteByte('$')
			i += 2
			continue
		case '{':
			if end := strings.IndexByte(w[i:], '}'); end > 0 && ValidEnvName(w[i+2:i+end]) {
				b.WriteString(get(w[i+2 : i+end]))
				i += end + 1
				if b.Len() > room {
					return b.String()
				}
				continue
			}
		}
		b.WriteByte('$')
		i++
	}
	return b.String()
}
