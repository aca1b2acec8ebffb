package unitfile

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/unit"
)

// TestStale: an edit, a replacement or the removal of any file of a unit is noticed, and so is a new drop-in; nothing else is.
func TestStale(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir, over string)
		stale  bool
	}{
		{"nothing", func(*testing.T, string, string) {}, false},
		{"another unit", func(t *testing.T, dir, _ string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "b.target"), nil, 0o644))
		}, false},
		{"edited", func(t *testing.T, dir, _ string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.target"), []byte("[Unit]\nDescription=other\n"), 0o644))
		}, true},
		{"touched", func(t *testing.T, dir, _ string) {
			at := time.Unix(1, 0)
			require.NoError(t, os.Chtimes(filepath.Join(dir, "a.target.d/x.conf"), at, at))
		}, true},
		{"removed", func(t *testing.T, dir, _ string) { require.NoError(t, os.Remove(filepath.Join(dir, "a.target"))) }, true},
		{"drop-in removed", func(t *testing.T, dir, _ string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "a.target.d/x.conf")))
		}, true},
		{"drop-in added", func(t *testing.T, dir, _ string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.target.d/y.conf"), nil, 0o644))
		}, true},
		{"first drop-in of all targets", func(t *testing.T, _, over string) {
			require.NoError(t, os.Mkdir(filepath.Join(over, "target.d"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(over, "target.d/y.conf"), nil, 0o644))
		}, true},
		{"drop-in covered", func(t *testing.T, _, over string) {
			require.NoError(t, os.Mkdir(filepath.Join(over, "a.target.d"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(over, "a.target.d/x.conf"), nil, 0o644))
		}, true},
		{"no drop-in", func(t *testing.T, dir, over string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.target.d/y.conf~"), nil, 0o644))
			require.NoError(t, os.Mkdir(filepath.Join(over, "b.target.d"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(over, "b.target.d/y.conf"), nil, 0o644))
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			over := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(dir, "a.target.d"), 0o755))
			require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "a.target.d/unreadable.conf")))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.target"), []byte("[Unit]\nDescription=one\n"), 0o644))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.target.d/x.conf"), []byte("[Unit]\nDescription=two\n"), 0o644))
			root := os.DirFS("/")
			dirs := []string{filepath.Join(dir, "missing"), over, dir, dir}
			s := NewLoader(Config{FS: root, Dirs: dirs, Types: testTypes()}).Load("a.target")
			require.Equal(t, unit.LoadLoaded, s.Load, s.LoadError)
			require.Len(t, s.DropIns, 1)
			require.False(t, Stale(root, dirs, s))
			c.change(t, dir, over)
			require.Equal(t, c.stale, Stale(root, dirs, s))
			require.False(t, Stale(root, dirs, &unit.Spec{}), "made of no files")
		})
	}
}
