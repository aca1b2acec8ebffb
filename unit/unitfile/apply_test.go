package unitfile

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/unit"
)

func loadText(name unit.Name, text string) *unit.Spec {
	file := name
	if name.IsInstance() {
		file = name.Template()
	}
	return newLoader(map[string]string{lib + "/" + string(file): text}).Load(name)
}

// settings lists "Key=value" of all settings.
func settings(s *unit.Spec) string {
	var out []string
	for _, st := range s.Settings {
		out = append(out, st.Key+"="+st.Value)
	}
	return strings.Join(out, "\n")
}

func diags(s *unit.Spec) string {
	var out []string
	for _, d := range s.Diags {
		out = append(out, d.String())
	}
	return strings.Join(out, "\n")
}

func TestDependencies(t *testing.T) {
	s := loadText("web@a.service", `[Unit]
After=x.target "y.target" z%i.service bad!name two@.service
Wants=x.target x.target
After=
After=x.target web@a.service %Q.service
BindTo=dev.service
RequiresMountsFor=/srv/%i//data "/with blank" relative
[Service]
ExecStart=/bin/true
`)
	require.Equal(t, unit.LoadLoaded, s.Load)
	require.Equal(t, "After:x.target After:za.service After:two@a.service Wants:x.target BindsTo:dev.service RequiresMountsFor:/srv/a/data RequiresMountsFor:/with blank", deps(s))
	require.Equal(t, unit.Pos{File: lib + "/web@.service", Line: 2}, s.Deps[0].Pos)
	require.Len(t, s.Diags, 5, diags(s))
	require.Equal(t, `ExecStart=/bin/true`, settings(s))

	plain := loadText("web.service", "[Unit]\nWants=two@.service\n"+simple)
	require.Equal(t, "Wants:two@web.service", deps(plain))
}

func TestDiagnostics(t *testing.T) {
	s := loadText("a.service", `stray=1
[Unit]
Descripton=x
ExecStart=/x
RefuseManualStart=maybe
X-Mine=1
Qwertzuiop=1
Documentation=man:x(1) rubbish
[Servcie]
ExecStart=/bin/false
[X-Mine]
foo=bar
[Service]
ExecStart=/bin/true
no equals sign
`)
	require.Equal(t, unit.LoadLoaded, s.Load)
	f := lib + "/a.service:"
	require.Equal(t, strings.Join([]string{
		f + `1: "stray=1" stands before the first section and is ignored (valid: a header such as [Unit] first)`,
		f + `3: unknown key Descripton in section [Unit] is ignored (did you mean Description=?)`,
		f + `4: key ExecStart does not belong into section [Unit] and is ignored (valid: in section [Service])`,
		f + `5: Unit.RefuseManualStart: "maybe" is not a boolean (valid: yes, no); the line is ignored`,
		f + `7: unknown key Qwertzuiop in section [Unit] is ignored (valid: the keys of this section, or one that begins with X-)`,
		f + `8: Unit.Documentation: ["rubbish"] ignored (valid: URIs with http://, https://, file:/, info:, man:)`,
		f + `9: unknown section [Servcie] is ignored (did you mean [Service]?)`,
		f + `15: "no equals sign" has no "=" and is ignored (valid: Key=value)`,
	}, "\n"), diags(s))
	require.Equal(t, "Documentation=man:x(1) rubbish\nExecStart=/bin/true", settings(s))
}

func TestBadSetting(t *testing.T) {
	s := loadText("a.service", "[Service]\nExecStart=rel/x\nUser=u\n")
	require.Equal(t, unit.LoadBadSetting, s.Load)
	require.Equal(t, lib+`/a.service:2: "rel/x" is not an absolute path`, s.LoadError)
	require.Equal(t, "Service.ExecStart", s.Diags[0].Key)
	require.Equal(t, unit.Error, s.Diags[0].Severity)

	// With "-" among the marks the line is dropped, not the unit.
	s = loadText("a.service", "[Service]\nExecStart=-@rel/x\nExecStart=+-%Q\nUser=u\n")
	require.Equal(t, unit.LoadLoaded, s.Load)
	require.Equal(t, "User=u", settings(s))
	require.Len(t, s.Diags, 2)

	// An unknown specifier costs the unit only where the key says so.
	require.Equal(t, unit.LoadBadSetting, loadText("a.service", "[Service]\nExecStart=/x %Q\n").Load)
	s = loadText("a.service", "[Service]\nUser=%Q\nExecStart=/x\n")
	require.Equal(t, unit.LoadLoaded, s.Load)
	require.Equal(t, "ExecStart=/x", settings(s))

	// A drop-in costs itself from the bad line on.
	s = newLoader(map[string]string{
		lib + "/a.service":          simple,
		etc + "/a.service.d/1.conf": "[Service]\nUser=one\nExecStart=rel/x\nUser=two\n",
		etc + "/a.service.d/2.conf": "[Service\nUser=three\n",
		etc + "/a.service.d/3.conf": "[Service]\nKillMode=x\n",
	}).Load("a.service")
	require.Equal(t, unit.LoadLoaded, s.Load)
	require.Equal(t, "ExecStart=/bin/true\nUser=one\nKillMode=x", settings(s))
	require.Len(t, s.Diags, 2)
}

// processorTime is what f uses, which does not depend on what else runs.
func processorTime(t *testing.T, f func()) time.Duration {
	var before, after unix.Rusage
	runtime.GC()
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &before))
	f()
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &after))
	return time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
}

func TestHostileFiles(t *testing.T) {
	for _, c := range []struct {
		name, text string
		state      unit.LoadState
	}{
		{"empty", "", unit.LoadMasked},
		{"binary", "\x7fELF\x02\x01\x01\x00\x00\xfe\xff", unit.LoadError},
		{"10 MB of bytes", strings.Repeat("\x00\x01\xff\n", 10<<20/4), unit.LoadError},
		{"10 MB of keys", "[Unit]\n" + strings.Repeat("Kez=v\n", 10<<20/6), unit.LoadLoaded},
		{"10 MB of rubbish", strings.Repeat("rubbish\n", 10<<20/8), unit.LoadLoaded},
		{"10 MB of sections", strings.Repeat("[Sectiom]\n", 10<<20/10), unit.LoadLoaded},
		{"10 MB of settings", "[Service]\n" + strings.Repeat("User=u\n", 10<<20/7), unit.LoadLoaded},
		{"10 MB of specifiers", "[Service]\nUser=" + strings.Repeat("%n", 500000) + "\n", unit.LoadLoaded},
		{"17 MB", strings.Repeat("#", 17<<20), unit.LoadError},
		{"invalid UTF-8", "[Unit]\nDescription=\xff\n", unit.LoadError},
		{"open section", "[Unit\n", unit.LoadError},
		{"unknown key", "[Unit]\nFoo=1\n", unit.LoadLoaded},
	} {
		quarter := processorTime(t, func() { loadText("a.service", c.text[:len(c.text)/4]) })
		var s *unit.Spec
		took := processorTime(t, func() { s = loadText("a.service", c.text) })
		require.Equal(t, c.state, s.Load, c.name)
		require.Less(t, took, 10*quarter+100*time.Millisecond, "%s: four times as much takes far less than sixteen times as long", c.name)
		t.Logf("%-20s %8.1f ms, %d diagnostics", c.name, float64(took.Microseconds())/1000, len(s.Diags))
		require.LessOrEqual(t, len(s.Diags), diagsMax+2, c.name)
		require.Less(t, len(diags(s)), (diagsMax+2)*(diagTextMax+100), c.name)
		if c.state != unit.LoadMasked {
			require.NotEmpty(t, s.Diags, c.name)
		}
	}
	// Very many dependencies.
	var b strings.Builder
	b.WriteString("[Unit]\n")
	for i := range 100000 {
		fmt.Fprintf(&b, "After=u%d.service\n", i)
	}
	s := loadText("a.service", b.String())
	require.Len(t, s.Deps, depsMax)
}

func TestUnknownEscapeIsToldAndKept(t *testing.T) {
	s := loadText("a.service", "[Service]\nExecStart=/bin/sh -c 'grep \\d' \\; x\n")
	require.Equal(t, `ExecStart=/bin/sh -c 'grep \d' \; x`, settings(s))
	require.Equal(t, lib+`/a.service:2: Service.ExecStart: unknown escape \d is kept as it is (valid: systemd.syntax(7), QUOTING; \\ for a backslash)`, diags(s))
}

func TestPanickingSetter(t *testing.T) {
	typ := *testTypes()[unit.KindService]
	typ.Keys = unit.NewKeySet([]unit.Key{unit.Bind(unit.Key{Section: "Service", Name: "Boom"}, func(*testConfig, string) error { panic("boom") })})
	l := NewLoader(Config{FS: files(map[string]string{lib + "/a.service": "[Service]\nBoom=1\n"}), Dirs: []string{lib}, Types: map[unit.Kind]*unit.Type{"service": &typ}})
	s := l.Load("a.service")
	require.Equal(t, unit.LoadError, s.Load)
	require.Contains(t, s.LoadError, "internal error: boom")
}

func TestSpecifiers(t *testing.T) {
	f := testFacts()
	sc := &scope{facts: &f, name: `foo\x2dx-bar@a-b\x2dc.service`, fragment: "/usr/lib/systemd/system/foo@.service", slice: "a-b.slice"}
	for in, want := range map[string]string{
		"%i": `a-b\x2dc`, "%I": "a/b-c", "%n": string(sc.name), "%N": `foo\x2dx-bar@a-b\x2dc`, "%p": `foo\x2dx-bar`, "%P": "foo-x/bar",
		"%j": "bar", "%J": "bar", "%f": "/a/b-c", "%y": sc.fragment, "%Y": "/usr/lib/systemd/system", "%d": "/run/credentials/" + string(sc.name),
		"%t%S%C%L%E%T%V": "/run/var/lib/var/cache/var/log/etc/tmp/var/tmp", "%u:%U:%g:%G:%h:%s": "root:0:root:0:/root:/bin/sh",
		"%H %l %q": "host.example host host", "%m": f.MachineID, "%b": f.BootID, "%v": "6.1.0", "%a": "x86-64", "%o%w": "debian12", "[%W%B%M%A]": "[]",
		"%%": "%", "100%": "100%", "%": "%", "%-x": "%-x", "a%é": "a%é", "%c": "/a.slice/a-b.slice/" + string(sc.name), "%R": "/a.slice/a-b.slice", "[%r]": "[]",
	} {
		got, err := sc.expand(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, c := range "DeFkKOQxXzZ19" {
		_, err := sc.expand("%" + string(c))
		require.Error(t, err, string(c))
	}
	_, err := (&scope{facts: &Facts{}, name: "a.service"}).expand("%m")
	require.EqualError(t, err, "specifier %m cannot be resolved: the machine id is not known")
	_, err = (&scope{facts: &f, name: "a.service"}).expand("%y")
	require.Error(t, err)
	// Each letter is there once, and all of 252.
	var letters []byte
	for i := range specifiers {
		require.NotContains(t, string(letters), string(specifiers[i].letter))
		letters = append(letters, specifiers[i].letter)
	}
	require.ElementsMatch(t, []byte("aAbBcCdEfgGhHiIjJlLmMnNopPqrRsStTuUvVwWyY"), letters)
}

func TestExpandWords(t *testing.T) {
	f := testFacts()
	f.PrettyHostName = `a "b" $c \ d`
	sc := &scope{facts: &f, name: "a@.service"}
	for in, want := range map[string][]string{
		`/bin/x %q y`:        {"/bin/x", f.PrettyHostName, "y"},
		`"%q" '%q'x`:         {f.PrettyHostName, f.PrettyHostName + "x"},
		`a %i b`:             {"a", "", "b"},
		`%i`:                 {""},
		`\x25q`:              {f.PrettyHostName},
		`%%n %%`:             {"%n", "%"},
		`-@/bin/%o  "a b%%"`: {"-@/bin/debian", "a b%"},
	} {
		out, err := sc.expandWords(in)
		require.NoError(t, err, in)
		got, err := unit.SplitWords(out)
		require.NoError(t, err, in)
		require.Equal(t, want, got, "%s -> %s", in, out)
	}
	for in, want := range map[string]string{
		`/bin/a %o ; /bin/b "%o;" ";" \; x;y`: `/bin/a debian ; /bin/b debian; ";" ";" x;y`,
		`no "specifier" \here ;`:              `no "specifier" \here ;`,
		`/bin/a %o ;`:                         `/bin/a debian ;`,
	} {
		out, err := sc.expandWords(in)
		require.NoError(t, err)
		require.Equal(t, want, out)
	}
	_, err := sc.expandWords(`"%o`)
	require.ErrorIs(t, err, unit.ErrQuote)
}
