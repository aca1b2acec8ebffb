package unitfile

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sysmaster-go/sysmaster/unit"
)

// hostileTree makes a tree of text: each line is "path content" or "path -> target", a
// backslash-n in the content is a newline. Paths land in one of the three directories.
func hostileTree(text string) fstest.MapFS {
	m := map[string]string{}
	dirs := [...]string{etc, run, lib}
	for i, line := range strings.Split(text, "\n") {
		p, content, _ := strings.Cut(line, " ")
		// fstest.MapFS itself cannot stand invalid paths; a kernel has none of these either.
		if i > 50 || p == "" || strings.ContainsAny(p, "\x00") || strings.Contains("/"+p+"/", "//") || strings.Contains("/"+p+"/", "/./") || strings.Contains("/"+p+"/", "/../") {
			continue
		}
		m[dirs[len(p)%3]+"/"+p] = strings.ReplaceAll(content, `\n`, "\n")
	}
	// A file cannot be a directory, too.
	for p := range m {
		for q := p; ; {
			slash := strings.LastIndexByte(q, '/')
			if slash <= 0 {
				break
			}
			q = q[:slash]
			delete(m, q)
		}
	}
	return files(m)
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{
		"a.service [Service]\\nExecStart=/bin/true\na.service.d/x.conf [Unit]\\nWants=%n",
		"a.service -> b.service\nb.service -> a.service",
		"a.service -> /dev/null", "a.service -> a.service", "a.service -> ../../../../../../..", "a.service.d -> .", "a.service.wants -> ..",
		"a@.service [Unit]\\nAfter=b@.service %i\nc@b.service -> a@b.service",
		"b.service [Unit]\\nDescription=x\na.service -> b.service\nb.service.wants/c.target -> x\na.service.requires/c.target -> /dev/null",
		"a.service [Unit]\\nDescription=\xff", "service.d/1.conf [Service]\\nExecStart=x\na.service ", "a-.service.d/\xff.conf x\na-b.service [Unit]",
	} {
		f.Add(s)
	}
	types := testTypes()
	names := []unit.Name{"a.service", "b.service", "a@b.service", "c@b.service", "a-b.service", "a.slice", "a@.service", "a.socket"}
	f.Fuzz(func(t *testing.T, text string) {
		l := NewLoader(Config{FS: hostileTree(text), Dirs: []string{etc, run, lib}, Facts: testFacts(), Types: types})
		for _, n := range names {
			s := l.Load(n)
			if s.Load == "" || s.Load != unit.LoadLoaded && s.LoadError == "" || strings.Contains(s.LoadError, "internal error") {
				t.Fatalf("Load(%s): state %q, %q", n, s.Load, s.LoadError)
			}
			for _, d := range s.Deps {
				if d.Rel != unit.RequiresMountsFor {
					if v, err := unit.ParseName(string(d.Unit)); err != nil || v.IsTemplate() {
						t.Fatalf("Load(%s): dependency on %q", n, d.Unit)
					}
				}
			}
			// One unit, one Spec, whatever it is called.
			for _, other := range append([]unit.Name{s.Name}, s.Aliases...) {
				if got := l.Load(other); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", s) {
					t.Fatalf("Load(%s) = %+v; Load(%s) = %+v", n, s, other, got)
				}
			}
			// What was accepted is accepted again.
			if s.Load == unit.LoadLoaded {
				typ := types[s.Name.Kind()]
				if err := unit.Decode(s, typ.Keys, typ.NewConfig()); err != nil {
					t.Fatalf("Load(%s): %v", n, err)
				}
			}
		}
	})
}

func FuzzSpecifiers(f *testing.F) {
	for _, s := range []string{"%i", "%", "%%", `"%q" a`, `\x25n`, "a ; %n", `\; %f`, "%é", "%n%n%n"} {
		f.Add(s, "a-b", "pretty \"host\" ; $x")
	}
	f.Fuzz(func(t *testing.T, value, instance, pretty string) {
		facts := testFacts()
		facts.PrettyHostName = pretty
		sc := &scope{facts: &facts, name: unit.Name("x@" + instance + ".service")}
		_, _ = sc.expand(value)
		before, err := unit.SplitWords(value)
		if err != nil {
			return
		}
		out, err := sc.expandWords(value)
		if err != nil || strings.ContainsRune(value+instance+pretty, 0) {
			return
		}
		// An expansion never splits a word, never makes one vanish, and never makes a separator.
		after, err := unit.SplitWords(out)
		if err != nil || len(after) != len(before) {
			t.Fatalf("%q has %d words; expanded %q has %d, %v", value, len(before), out, len(after), err)
		}
		if bareSeparators(value) < bareSeparators(out) {
			t.Fatalf("expanding %q made a separator: %q", value, out)
		}
	})
}

func bareSeparators(s string) (n int) {
	for {
		s = strings.TrimLeft(s, blanks)
		if s == "" {
			return n
		}
		if s[0] == ';' && separator(s) == 1 {
			n++
			s = s[1:]
			continue
		}
		var err error
		if _, s, _, err = unit.NextWord(s); err != nil {
			return n
		}
	}
}

func BenchmarkLoad1000(b *testing.B) {
	m := map[string]string{}
	for i := range 1000 {
		n := fmt.Sprintf("%s/unit-%d.service", lib, i)
		m[n] = fmt.Sprintf("[Unit]\nDescription=Unit %d on %%H\nDocumentation=man:unit(8)\nAfter=network.target unit-%d.service\nWants=network.target\nConditionPathExists=/etc/unit\n\n[Service]\nExecStart=/usr/bin/unit --number %%p --name %%n\nUser=nobody\nRemainAfterExit=yes\n\n[Install]\nWantedBy=multi-user.target\n", i, i+1)
		m[fmt.Sprintf("%s/multi-user.target.wants/unit-%d.service", etc, i)] = "-> " + n
		if i%10 == 0 {
			m[n+".d/override.conf"] = "[Service]\nKillMode=process\n"
		}
	}
	l := newLoader(m)
	b.ReportAllocs()
	for b.Loop() {
		l.Reload()
		for i := range 1000 {
			if s := l.Load(unit.Name(fmt.Sprintf("unit-%d.service", i))); s.Load != unit.LoadLoaded || len(s.Diags) > 0 {
				b.Fatal(s.LoadError, s.Diags)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "µs/unit")
}
