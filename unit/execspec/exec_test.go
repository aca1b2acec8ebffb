package execspec

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/sysmaster-go/sysmaster/unit"
)

// brief writes commands as "flags path|arg0|arg1; ...".
func brief(cmds []unit.Command) string {
	var out []string
	for _, c := range cmds {
		s := ""
		if c.IgnoreFail {
			s += "-"
		}
		if c.NoEnvExpand {
			s += ":"
		}
		if c.Privileges != 0 {
			s += string(c.Privileges)
		}
		out = append(out, s+c.Path+" "+fmt.Sprintf("%q", c.Argv))
	}
	return strings.Join(out, "; ")
}

// The inputs were given to systemd 252; see the table of exec lines in the research.
func TestParseExecLine(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{`/bin/a b c`, `/bin/a ["/bin/a" "b" "c"]`},
		{`-@:+/bin/a argv0 x`, `-:+/bin/a ["argv0" "x"]`},
		{`+:@-/x y`, `-:+/x ["y"]`},
		{`!/bin/a`, `!/bin/a ["/bin/a"]`},
		{`!!/bin/a`, `A/bin/a ["/bin/a"]`},
		{`-!!/bin/a`, `-A/bin/a ["/bin/a"]`},
		{`echo x`, `echo ["echo" "x"]`},
		{`$A`, `$A ["$A"]`},
		{`/bin/$A`, `/bin/$A ["/bin/$A"]`},
		{`"/bin/x" y`, `/bin/x ["/bin/x" "y"]`},
		{`/a//b/../c`, `/a//b/../c ["/a//b/../c"]`},
		{`/x a"b c"d`, `/x ["/x" "ab cd"]`},
		{`/x "" ''`, `/x ["/x" "" ""]`},
		{`/x a\x20b \s \101 \u00e4`, `/x ["/x" "a b" " " "A" "ä"]`},
		{`/x \q`, `/x ["/x" "\\q"]`},
		{`/a b ; /c d`, `/a ["/a" "b"]; /c ["/c" "d"]`},
		{`/a ; -/b ; ; /c ;`, `/a ["/a"]; -/b ["/b"]; /c ["/c"]`},
		{`; /a`, `/a ["/a"]`},
		{`/a ";" b;c \; d`, `/a ["/a" ";" "b;c" ";" "d"]`},
		{`/a | /b > c && d`, `/a ["/a" "|" "/b" ">" "c" "&&" "d"]`},
		{`/a $$ $B ${C}`, `/a ["/a" "$$" "$B" "${C}"]`},
		{`/bin/sh -c 'a; b' ; /c`, `/bin/sh ["/bin/sh" "-c" "a; b"]; /c ["/c"]`},
		{``, ``},
		{` ; `, ``},
	} {
		got, err := ParseExecLine(tc.in)
		if err != nil || brief(got) != tc.want {
			t.Errorf("ParseExecLine(%q) = %s, %v; want %s", tc.in, brief(got), err, tc.want)
		}
	}
	for _, bad := range []string{`--/x`, `+!/x`, `!!!/x`, `+!!/x`, `@@/x a`, `- /x`, `@ /x`, `dir/name`, `~/x`, `$V/x`, `${V}/x`, `/x/`, `/`, `@/x`, `/x "a`, `"" a`, `-`, `/a ; dir/x`} {
		got, err := ParseExecLine(bad)
		_, partial := err.(*unit.Partial)
		if err == nil || partial != strings.HasPrefix(bad, "-") || got != nil {
			t.Errorf("ParseExecLine(%q) = %s, %v; want an error, partial %v", bad, brief(got), err, strings.HasPrefix(bad, "-"))
		}
	}
}

func FuzzParseExecLine(f *testing.F) {
	for _, s := range []string{`-@:+/bin/a argv0 "x y" ; b \; $C`, `/x \x41\u00e4'q'`, `!!a`, ";;", `/a ";"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cmds, err := ParseExecLine(s)
		if err != nil && cmds != nil {
			t.Fatalf("ParseExecLine(%q) gave commands and an error", s)
		}
		for _, c := range cmds {
			if len(c.Argv) == 0 || c.Path == "" {
				t.Fatalf("ParseExecLine(%q) = %+v", s, c)
			}
			line := FormatExecLine(c)
			again, err := ParseExecLine(line)
			if err != nil || len(again) != 1 || !reflect.DeepEqual(again[0], c) {
				t.Fatalf("%q formatted as %q gives %+v, %v; want %+v", s, line, again, err, c)
			}
			ExpandArgv(c, func(n string) (string, bool) { return n + " x", len(n) > 1 })
		}
	})
}

func TestExpandArgv(t *testing.T) {
	env := []string{"A=one two", "E=", "Q='q r' s", "MAINPID=7"}
	for _, tc := range []struct{ in, want, missing string }{
		{`/x $A`, `["/x" "one" "two"]`, ""},
		{`/x ${A} a${A}b`, `["/x" "one two" "aone twob"]`, ""},
		{`/x $E ${E} $N ${N}`, `["/x" "" ""]`, "N N"},
		{`/x $Q`, `["/x" "q r" "s"]`, ""},
		{`/x a$A $$A $$ $`, `["/x" "a$A" "$A" "$" "$"]`, ""},
		{`/x $1 ${} ${a-b} ${A $(A)`, `["/x" "$1" "${}" "${a-b}" "${A" "$(A)"]`, ""},
		{`/x -HUP $MAINPID`, `["/x" "-HUP" "7"]`, ""},
		{`:/x $A ${A}`, `["/x" "$A" "${A}"]`, ""},
		{`$A`, `["$A"]`, ""},
	} {
		cmds, err := ParseExecLine(tc.in)
		if err != nil {
			t.Fatal(err)
		}
		got, missing := ExpandArgv(cmds[0], func(n string) (string, bool) { return LookupEnv(env, n) })
		if fmt.Sprintf("%q", got) != tc.want || strings.Join(missing, " ") != tc.missing {
			t.Errorf("ExpandArgv(%s) = %q, missing %q; want %s, %s", tc.in, got, missing, tc.want, tc.missing)
		}
	}
}

func FuzzExpandArgv(f *testing.F) {
	f.Add("a${B}c$D$$", "x 'y z'")
	f.Fuzz(func(t *testing.T, word, value string) {
		argv, _ := ExpandArgv(unit.Command{Argv: []string{"x", word, word}}, func(string) (string, bool) { return value, true })
		if len(argv) == 0 || argv[0] != "x" {
			t.Errorf("ExpandArgv(%q) = %q", word, argv)
		}
	})
}

func TestParseEnvironmentFile(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"A=b\nC=d e  \n", `["A=b" "C=d e"]`},
		{"# c\n; d\n\n A = b\n", `["A=b"]`},
		{"A='x y' \nB=\"q\\\"r\\$s\\n\"\n", `["A=x y" "B=q\"r$s\\n"]`},
		{"A=one\\\ntwo\nB=a\\ b\n", `["A=onetwo" "B=a b"]`},
		{"A='multi\nline'\n", `["A=multi\nline"]`},
		{"1A=x\nB\nC=\n", `["C="]`},
		{"A=1\nA=2", `["A=2"]`},
		{"\ufeffA=x\r\nB=y\r\n", `["A=x" "B=y"]`},
		{"A=a'b'c\n", `["A=a'b'c"]`},
		{"A='b' \"c\" d e'f'  \nB=\\'x\n", `["A=bcd e'f'" "B='x"]`},
		{"# comment \\\nA=hidden\nB=c", `["B=c"]`},
	} {
		got, _, err := ParseEnvironmentFile([]byte(tc.in))
		if err != nil || fmt.Sprintf("%q", got) != tc.want {
			t.Errorf("ParseEnvironmentFile(%q) = %q, %v; want %s", tc.in, got, err, tc.want)
		}
	}
	if _, _, err := ParseEnvironmentFile([]byte("A=\xff")); err == nil {
		t.Error("invalid UTF-8 was accepted")
	}
}

func FuzzParseEnvironmentFile(f *testing.F) {
	f.Add([]byte("A=\"b\\\nc\" 'd\n#x\\\ny"))
	f.Fuzz(func(t *testing.T, data []byte) {
		env, _, err := ParseEnvironmentFile(data)
		if err != nil {
			return
		}
		for _, kv := range env {
			if !validAssignment(kv) {
				t.Errorf("ParseEnvironmentFile(%q) gave %q", data, kv)
			}
		}
	})
}

func TestCPUList(t *testing.T) {
	l, err := ParseCPUList("0-2,5 7-8 1")
	if err != nil || FormatCPUList(l) != "0-2,5,7-8" {
		t.Errorf("ParseCPUList = %v, %v", l, err)
	}
}

func TestExitSet(t *testing.T) {
	var s ExitSet
	err := s.Add("0 TEMPFAIL SIGKILL TERM 256 nonsense")
	if _, ok := err.(*unit.Partial); !ok {
		t.Errorf("Add = %v; want a warning", err)
	}
	for _, tc := range []struct {
		e    unit.Exit
		want bool
	}{
		{unit.Exit{Code: unit.ExitExited, Status: 0}, true}, {unit.Exit{Code: unit.ExitExited, Status: 75}, true},
		{unit.Exit{Code: unit.ExitExited, Status: 9}, false}, {unit.Exit{Code: unit.ExitKilled, Status: 9}, true},
		{unit.Exit{Code: unit.ExitDumped, Status: 15}, true}, {unit.Exit{}, false},
	} {
		if got := s.Has(tc.e); got != tc.want {
			t.Errorf("Has(%v) = %v; want %v", tc.e, got, tc.want)
		}
	}
}

func TestWay(t *testing.T) {
	for _, tc := range []struct {
		line string
		at   Circumstances
		want Way
	}{
		{"KeyringMode=inherit", Circumstances{}, Direct},
		{"Nice=5", Circumstances{}, Thread},
		{"LimitNOFILE=10", Circumstances{}, Shim},
		{"IgnoreSIGPIPE=no", Circumstances{}, Shim},
		{"KeyringMode=inherit", Circumstances{Remote: true}, Shim},
		{"KeyringMode=inherit", Circumstances{FDs: 1}, Shim},
	} {
		s, err := apply(t, tc.line)
		if err != nil {
			t.Fatal(err)
		}
		if got, rules := WayFor(&s.Exec, unit.Command{Path: "/bin/a"}, tc.at); got != tc.want {
			t.Errorf("%s: %s by %v; want %s", tc.line, got, rules, tc.want)
		}
	}
}
