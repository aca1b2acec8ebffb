package image

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCPIO compares with the format as the kernel's documentation gives it: 110 bytes of header, name and data each padded to four.
func TestCPIO(t *testing.T) {
	var b bytes.Buffer
	c := &cpioWriter{w: &b}
	c.file("ab", 0o644, []byte("12345"))
	require.NoError(t, c.close())
	want := "070701" + "00000001" + "000081a4" + strings.Repeat("0", 16) + "00000001" + strings.Repeat("0", 8) + "00000005" +
		strings.Repeat("0", 32) + "00000003" + strings.Repeat("0", 8) + "ab\x00" + strings.Repeat("\x00", 3) + "12345" + strings.Repeat("\x00", 3)
	require.True(t, strings.HasPrefix(b.String(), want), "%q", b.String())
	require.Zero(t, b.Len()%4)
	require.Contains(t, b.String(), "TRAILER!!!\x00")
}

func TestPlaceLeavesTheCachedRootAlone(t *testing.T) {
	dir := t.TempDir()
	cached, stage := filepath.Join(dir, "cached"), filepath.Join(dir, "stage")
	require.NoError(t, os.WriteFile(cached, []byte("old"), 0o600))
	require.NoError(t, os.Mkdir(stage, 0o755))
	require.NoError(t, os.Link(cached, filepath.Join(stage, "f")))
	require.NoError(t, place(stage, File{Path: "/f", Mode: 0o755, Data: []byte("new")}))
	require.NoError(t, place(stage, File{Path: "/../d/l", Link: "/dev/null"}))
	old, err := os.ReadFile(cached)
	require.NoError(t, err)
	require.Equal(t, "old", string(old))
	link, err := os.Readlink(filepath.Join(stage, "d", "l"))
	require.NoError(t, err)
	require.Equal(t, "/dev/null", link)
}

func TestKeyKnowsItsPartsApart(t *testing.T) {
	require.NotEqual(t, newKey("ab", "c"), newKey("a", "bc"))
	require.Equal(t, newKey("ab", "c"), newKey("ab", "c"))
}

func TestPruneKeepsTheLastUsed(t *testing.T) {
	s := Spec{Cache: t.TempDir()}
	for _, name := range []string{"disk-1", "disk-2", "disk-3", "disk-4", "other"} {
		require.NoError(t, os.WriteFile(filepath.Join(s.Cache, name), nil, 0o600))
	}
	require.True(t, used(filepath.Join(s.Cache, "disk-1")))
	require.NoError(t, s.prune("disk-"))
	left, err := filepath.Glob(filepath.Join(s.Cache, "*"))
	require.NoError(t, err)
	require.Len(t, left, kept+1)
	require.FileExists(t, filepath.Join(s.Cache, "disk-1"))
}
