package simtest_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sim/simtest"
	"github.com/sysmaster-go/sysmaster/unit"
)

// TestBoot: links, drop-ins, and units of the user's in place of the built-in ones.
func TestBoot(t *testing.T) {
	m := simtest.Boot(t, simtest.Config{Units: fstest.MapFS{
		"default.target":            {Data: []byte("multi-user.target"), Mode: os.ModeSymlink},
		"multi-user.target":         {Data: []byte("[Unit]\nWants=a.service\nRequires=basic.target\nAfter=basic.target\n")},
		"basic.target":              {Data: []byte("[Unit]\nDescription=mine\nWants=b.service\n")},
		"a.service":                 {Data: []byte("[Service]\nExecStart=/bin/a\n")},
		"a.service.d/override.conf": {Data: []byte("[Service]\nExecStart=\nExecStart=/bin/a2\n")},
		"b.service":                 {Data: []byte("[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/b\n")},
	}})
	require.Equal(t, 0, m.Runs("/bin/a"))
	require.Equal(t, 1, m.Runs("/bin/a2"))
	require.Equal(t, 1, m.Runs("/bin/b"))
	require.True(t, m.Active("multi-user.target"))
	require.Equal(t, unit.Name("multi-user.target"), m.Engine().View().Unit("default.target").Name)
}

// told is a test that only keeps what it is told.
type told struct {
	testing.TB
	logged, fatal string
}

func (t *told) Helper()                   {}
func (t *told) Log(args ...any)           { t.logged += fmt.Sprint(args...) }
func (t *told) Fatalf(f string, a ...any) { t.fatal += fmt.Sprintf(f, a...); runtime.Goexit() }

// TestBootUnsupported: what is not simulated is not left out in silence.
func TestBootUnsupported(t *testing.T) {
	boot := func(c simtest.Config) *told {
		said := &told{TB: t}
		done := make(chan struct{})
		go func() { // a Fatalf ends it
			defer close(done)
			simtest.Boot(said, c)
		}()
		<-done
		return said
	}
	c := simtest.Config{Units: fstest.MapFS{
		"default.target":               {Data: []byte("[Unit]\nWants=a.service t.timer m.mount gone.timer\n")},
		"default.target.wants/e.timer": {Data: []byte("../e.timer"), Mode: os.ModeSymlink},

		"a.service":   {Data: []byte("[Service]\nExecStart=/bin/a\n")},
		"t.timer":     {Data: []byte("[Timer]\nOnBootSec=1\n")},
		"m.mount":     {Data: []byte("[Mount]\nWhat=tmpfs\nWhere=/m\n")},
		"e.timer":     {Data: []byte("[Timer]\nOnBootSec=1\n")},
		"unused.path": {Data: []byte("[Path]\nPathExists=/x\n")},
	}}
	said := boot(c)
	require.Contains(t, said.fatal, "e.timer, m.mount, t.timer;", "those with a file that are wanted")
	require.NotContains(t, said.fatal, "gone.timer")
	require.NotContains(t, said.fatal, "unused.path")
	require.Contains(t, said.fatal, "service, slice, socket, target")

	c.AllowUnsupported = true
	said = boot(c)
	require.Empty(t, said.fatal)
	require.Contains(t, said.logged, "e.timer, m.mount, t.timer;")
}

// TestPage: what docs/simulation.md shows is what runs here.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/simulation.md")
	require.NoError(t, err)
	var code string
	for _, file := range []string{"example_test.go", "page_test.go"} {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		code += squeeze(string(data))
	}
	blocks := strings.Split(string(page), "```go\n")[1:]
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		b, _, _ = strings.Cut(b, "```")
		require.Contains(t, code, squeeze(b), "docs/simulation.md shows code that no test runs")
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
