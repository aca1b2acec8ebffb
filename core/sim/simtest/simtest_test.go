package simtest_test

import (
	"os"
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
