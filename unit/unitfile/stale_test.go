package unitfile

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/unit"
)

// TestStale: an edit, a replacement or the removal of any file of a unit is noticed, nothing else is.
func TestStale(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string)
		stale  bool
	}{
		{"nothing", func(*testing.T, string) {}, false},
		{"another unit", func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "b.target"), nil, 0o644))
		}, false},
		{"edited", func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.target"), []byte("[Unit]\nDescription=other\n"), 0o644))
		}, true},
		{"touched", func(t *testing.T, dir string) {
			at := time.Unix(1, 0)
			require.NoError(t, os.Chtimes(filepath.Join(dir, "a.target.d/x.conf"), at, at))
		}, true},
		{"removed", func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "a.target"))) }, true},
		{"drop-in removed", func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "a.target.d/x.conf")))
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(dir, "a.target.d"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.target"), []byte("[Unit]\nDescription=one\n"), 0o644))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.target.d/x.conf"), []byte("[Unit]\nDescription=two\n"), 0o644))
			root := os.DirFS("/")
			s := NewLoader(Config{FS: root, Dirs: []string{dir}, Types: testTypes()}).Load("a.target")
			require.Equal(t, unit.LoadLoaded, s.Load, s.LoadError)
			require.Len(t, s.DropIns, 1)
			require.False(t, Stale(root, s))
			c.change(t, dir)
			require.Equal(t, c.stale, Stale(root, s))
			require.False(t, Stale(root, &unit.Spec{}), "made of no files")
		})
	}
}
