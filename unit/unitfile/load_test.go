package unitfile

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/unit"
)

// testConfig is what the test kind's own keys set.
type testConfig struct {
	unit.Common
	Exec  []string
	User  string
	Kill  string
	Flag  bool
	Slice string
}

func testType(kind unit.Kind, section string) *unit.Type {
	own := []unit.Key{
		unit.Bind(unit.Key{Section: section, Name: "ExecStart", Form: unit.FormWords, OnError: unit.Error}, func(c *testConfig, v string) error {
			words, err := unit.SplitWords(v)
			if err != nil {
				return err
			}
			if len(words) > 0 && strings.IndexByte(strings.TrimLeft(words[0], "-@:+!"), '/') > 0 {
				return fmt.Errorf("%q is not an absolute path", words[0])
			}
			c.Exec = words
			return nil
		}),
		unit.Bind(unit.Key{Section: section, Name: "User", Form: unit.FormText}, func(c *testConfig, v string) error { c.User = v; return nil }),
		unit.Bind(unit.Key{Section: section, Name: "Slice", Form: unit.FormText}, func(c *testConfig, v string) error { c.Slice = v; return nil }),
		unit.Bind(unit.Key{Section: section, Name: "KillMode", Form: unit.FormRaw}, func(c *testConfig, v string) error { c.Kill = v; return nil }),
		unit.Bind(unit.Key{Section: section, Name: "RemainAfterExit"}, func(c *testConfig, v string) (err error) {
			b, err := unit.ParseBool(v)
			if err == nil {
				c.Flag = b
			}
			return err
		}),
	}
	common := unit.Lift(unit.CommonKeys(), func(c *testConfig) *unit.Common { return &c.Common })
	return &unit.Type{Kind: kind, Keys: unit.NewKeySet(common, own, unit.InstallKeys()), NoFile: kind == unit.KindSlice,
		NewConfig: func() any { return &testConfig{Common: unit.NewCommon()} }}
}

func testTypes() map[unit.Kind]*unit.Type {
	return map[unit.Kind]*unit.Type{
		unit.KindService: testType(unit.KindService, "Service"),
		unit.KindSocket:  testType(unit.KindSocket, "Socket"),
		unit.KindTarget:  testType(unit.KindTarget, "Target"),
		unit.KindSlice:   testType(unit.KindSlice, "Slice"),
	}
}

func testFacts() Facts {
	f := SystemFacts()
	f.HostName, f.MachineID, f.BootID = "host.example", "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	f.KernelRelease, f.Architecture, f.OSID, f.OSVersionID = "6.1.0", "x86-64", "debian", "12"
	return f
}

// Directories of the tests, the administrator's first.
const (
	etc = "/etc/systemd/system"
	run = "/run/systemd/system"
	lib = "/usr/lib/systemd/system"
)

// files makes a file system: "-> x" is a symbolic link to x.
func files(m map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{"dev/null": {Mode: fs.ModeDevice | fs.ModeCharDevice}}
	for p, text := range m {
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			fsys[p[1:]] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink}
		} else {
			fsys[p[1:]] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return fsys
}

func newLoader(m map[string]string) *Loader {
	return NewLoader(Config{FS: files(m), Dirs: []string{etc, run, lib}, Facts: testFacts(), Types: testTypes()})
}

const simple = "[Service]\nExecStart=/bin/true\n"

func TestLoadStates(t *testing.T) {
	l := newLoader(map[string]string{
		lib + "/real.service":      simple,
		lib + "/al1.service":       "-> real.service",
		lib + "/al2.service":       "-> al1.service",
		etc + "/abs.service":       "-> " + lib + "/real.service",
		etc + "/real.service":      "-> " + lib + "/real.service",
		lib + "/self.service":      "-> self.service",
		lib + "/dangling.service":  "-> nonexist.service",
		lib + "/loop1.service":     "-> loop2.service",
		lib + "/loop2.service":     "-> loop1.service",
		lib + "/pi.service":        "-> real@x.service",
		lib + "/other.service":     "-> real.socket",
		"/opt/target.service":      simple,
		lib + "/linked.service":    "-> /opt/target.service",
		lib + "/lal.service":       "-> linked.service",
		lib + "/gone.service":      "-> /opt/gone.service",
		etc + "/masked.service":    "-> /dev/null",
		lib + "/masked.service":    simple,
		lib + "/mal.service":       "-> masked.service",
		lib + "/empty.service":     "",
		lib + "/rel.service":       "-> ../system/real.service",
		lib + "/tmpl@.service":     simple,
		lib + "/tal@.service":      "-> tmpl@.service",
		lib + "/tal@y.service":     "-> other@y.service",
		lib + "/other@.service":    simple,
		lib + "/inst@z.service":    "-> tmpl@z.service",
		lib + "/x.timer":           "[Timer]\n",
		lib + "/out.service":       "-> /opt/l1",
		"/opt/l1":                  "-> l2",
		"/opt/l2":                  "-> l1",
		lib + "/dir.service/f":     "",
		lib + "/xx.slice.d/a.conf": "[Unit]\nDescription=d\n",
	})
	for _, c := range []struct {
		name, canonical string
		state           unit.LoadState
		file            string
		aliases         string
	}{
		{"real.service", "real.service", unit.LoadLoaded, lib + "/real.service", "[abs.service al1.service al2.service rel.service]"},
		{"al2.service", "real.service", unit.LoadLoaded, lib + "/real.service", "[abs.service al1.service al2.service rel.service]"},
		{"abs.service", "real.service", unit.LoadLoaded, lib + "/real.service", "[abs.service al1.service al2.service rel.service]"},
		{"self.service", "self.service", unit.LoadNotFound, "", "[]"},
		{"dangling.service", "dangling.service", unit.LoadNotFound, "", "[]"},
		{"nonexist.service", "nonexist.service", unit.LoadNotFound, "", "[]"},
		{"loop1.service", "loop1.service", unit.LoadError, "", "[]"},
		{"pi.service", "pi.service", unit.LoadNotFound, "", "[]"},
		{"other.service", "other.service", unit.LoadNotFound, "", "[]"},
		{"linked.service", "linked.service", unit.LoadLoaded, lib + "/linked.service", "[lal.service]"},
		{"lal.service", "linked.service", unit.LoadLoaded, lib + "/linked.service", "[lal.service]"},
		{"gone.service", "gone.service", unit.LoadNotFound, lib + "/gone.service", "[]"},
		{"masked.service", "masked.service", unit.LoadMasked, etc + "/masked.service", "[mal.service]"},
		{"mal.service", "masked.service", unit.LoadMasked, etc + "/masked.service", "[mal.service]"},
		{"empty.service", "empty.service", unit.LoadMasked, lib + "/empty.service", "[]"},
		{"tmpl@x.service", "tmpl@x.service", unit.LoadLoaded, lib + "/tmpl@.service", "[tal@x.service]"},
		{"tal@x.service", "tmpl@x.service", unit.LoadLoaded, lib + "/tmpl@.service", "[tal@x.service]"},
		{"tal@y.service", "other@y.service", unit.LoadLoaded, lib + "/other@.service", "[tal@y.service]"},
		{"tmpl@y.service", "tmpl@y.service", unit.LoadLoaded, lib + "/tmpl@.service", "[]"},
		{"inst@z.service", "tmpl@z.service", unit.LoadLoaded, lib + "/tmpl@.service", "[inst@z.service tal@z.service]"},
		{"tmpl@.service", "tmpl@.service", unit.LoadError, "", "[]"},
		{"x.timer", "x.timer", unit.LoadError, "", "[]"},
		{"out.service", "out.service", unit.LoadError, lib + "/out.service", "[]"},
		{"dir.service", "dir.service", unit.LoadNotFound, "", "[]"},
		{"xx.slice", "xx.slice", unit.LoadLoaded, "", "[]"},
		{"a/b.service", "a/b.service", unit.LoadError, "", "[]"},
	} {
		s := l.Load(unit.Name(c.name))
		got := fmt.Sprint(s.Name, " ", s.Load, " ", s.FragmentPath, " ", s.Aliases)
		want := fmt.Sprint(c.canonical, " ", c.state, " ", c.file, " ", c.aliases)
		require.Equal(t, want, got, "Load(%s): %s", c.name, s.LoadError)
		if c.state != unit.LoadLoaded {
			require.NotEmpty(t, s.LoadError, c.name)
		}
	}
	require.Equal(t, "unsupported type", l.Load("x.timer").LoadError)
	require.Equal(t, []string{lib + "/xx.slice.d/a.conf"}, l.Load("xx.slice").DropIns)
}
