package unitfile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// show writes what Parse yields, one line each.
func show(text string) string {
	var b strings.Builder
	for a, err := range Parse("f", text) {
		switch {
		case err != nil && err.Fatal:
			fmt.Fprintf(&b, "%d! ", err.Line)
		case err != nil:
			fmt.Fprintf(&b, "%d? ", err.Line)
		case a.Key == "":
			fmt.Fprintf(&b, "%d[%s] ", a.Line, a.Section)
		default:
			fmt.Fprintf(&b, "%d %s.%s=%q ", a.Line, a.Section, a.Key, a.Value)
		}
	}
	return strings.TrimSuffix(b.String(), " ")
}

// What systemd 252 does with each was measured.
func TestParse(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"plain", "[A]\nk=v\n", `1[A] 2 A.k="v"`},
		{"no final newline", "[A]\nk=v", `1[A] 2 A.k="v"`},
		{"BOM", "\uFEFF[A]\nk=v\n", `1[A] 2 A.k="v"`},
		{"CR LF", "[A]\r\nk=a \\\r\nb\r\n", `1[A] 2 A.k="a  b"`},
		{"NUL ends a line", "[A]\nk=v\x00l=w\n", `1[A] 2 A.k="v" 3 A.l="w"`},
		{"blanks", " [A] \n\t k \t= v w \t\n", `1[A] 2 A.k="v w"`},
		{"empty value", "[A]\nk=\n", `1[A] 2 A.k=""`},
		{"equals in value", "[A]\nk=a=b\n", `1[A] 2 A.k="a=b"`},
		{"comments", "[A]\n#k=v\n ; x\n  # y\nk=v # no comment\n", `1[A] 5 A.k="v # no comment"`},
		{"continuation keeps leading blanks", "[A]\nk=a\\\n   b\n", `1[A] 2 A.k="a    b"`},
		{"comment inside", "[A]\nk=a\\\n# c\\\n;d\n b\nl=w\n", `1[A] 2 A.k="a  b" 6 A.l="w"`},
		{"empty line ends it", "[A]\nk=a\\\n\nb=c\n", `1[A] 2 A.k="a" 4 A.b="c"`},
		{"blank after backslash", "[A]\nk=a\\ \nb=c\n", `1[A] 2 A.k="a\\" 3 A.b="c"`},
		{"two backslashes", "[A]\nk=a\\\\\nb=c\n", `1[A] 2 A.k="a\\\\" 3 A.b="c"`},
		{"three backslashes", "[A]\nk=a\\\\\\\nb=c\n", `1[A] 2 A.k="a\\\\ b=c"`},
		{"end inside", "[A]\nk=a\\", `1[A] 2 A.k="a"`},
		{"split key", "[A]\nke\\\ny=v\n", `1[A] 2 A.ke y="v"`},
		{"before a section", "k=v\n[A]\n", `1? 2[A]`},
		{"no equals", "[A]\nhello\nk=v\n", `1[A] 2? 3 A.k="v"`},
		{"no key", "[A]\n=v\n", `1[A] 2?`},
		{"open bracket", "[A]\n[B\nk=v\n", `1[A] 2!`},
		{"inner blanks", "[ A ]\nk=v\n", `1[ A ] 2  A .k="v"`},
		{"bad UTF-8 in a comment", "[A]\n# \xff\nk=v\n", `1[A] 3 A.k="v"`},
		{"bad UTF-8", "[A]\nk=\xff\nl=w\n", `1[A] 2!`},
		{"long line", "[A]\nk=" + strings.Repeat("x", LineMax) + "\n", `1[A] 2!`},
		{"long by continuation", "[A]\nk=\\\n" + strings.Repeat("xxxxxxxx\\\n", LineMax/8), `1[A] 2!`},
		{"section again", "[A]\nk=1\n[B]\n[A]\nk=2\n", `1[A] 2 A.k="1" 3[B] 4[A] 5 A.k="2"`},
		{"binary", "\x7fELF\x02\x01\x01\x00\x00\xfe", `1? 3!`},
	} {
		require.Equal(t, c.want, show(c.in), c.name)
	}
}

func TestSyntaxError(t *testing.T) {
	for _, err := range Parse("/etc/x.service", "[A]\nKey = \xff\n") {
		if err != nil {
			require.Equal(t, "/etc/x.service:2: Key: the line is not valid UTF-8", err.Error())
			return
		}
	}
	t.Fatal("Parse yielded no error")
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "[A]\nk=v\\\n w\n", "\uFEFF[A]\r\nk=\x00", "[", "=", "#\\\n[A", "[A]\nk=\\\n#\n\\\\\\\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line := 0
		for a, err := range Parse("f", s) {
			if a.Line <= line {
				t.Fatalf("line %d after line %d", a.Line, line)
			}
			line = a.Line
			if err == nil && (a.Key != strings.Trim(a.Key, blanks) || a.Value != strings.Trim(a.Value, blanks)) {
				t.Fatalf("untrimmed %q=%q", a.Key, a.Value)
			}
			if len(a.Value) > LineMax {
				t.Fatalf("value of %d bytes", len(a.Value))
			}
		}
	})
}
