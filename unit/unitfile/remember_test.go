package unitfile

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/unit"
)

// later is when all that was written until now is old enough.
func later() time.Time { return time.Now().Add(time.Hour) }

// TestRemembered: whatever changes between two Reloads, a Loader that remembers gives what one gives that reads everything, and
// the same Spec where nothing changed.
func TestRemembered(t *testing.T) {
	root := t.TempDir()
	dirs := []string{"/a", "/b"}
	plant(t, root, map[string]string{
		"b/one.service": described("one"), "b/two.service": described("two"), "b/t@.service": described("%i"), "b/a-b-c.service": simple,
		"b/al.service": "-> one.service", "b/out.service": "-> ../else/out.service", "else/out.service": described("out"), "b/n.target": "[Unit]\n",
		"b/n.target.wants/one.service": "-> ../one.service", "a/two.service.d/1.conf": "[Unit]\nWants=n.target\n", "b/mem.service": described("%H"), "a/x": "",
	})
	names := []unit.Name{"one.service", "two.service", "t@1.service", "t@2.service", "a-b-c.service", "al.service", "out.service", "n.target", "mem.service", "none.service"}
	facts := SystemFacts()
	config := func(now func() time.Time) Config {
		return Config{FS: os.DirFS(root), Dirs: dirs, Facts: facts, Types: testTypes(), Now: now}
	}
	l := NewLoader(config(later))
	before := map[unit.Name]*unit.Spec{}
	compare := func(what string) (same int) {
		l.Reload()
		fresh := NewLoader(config(nil))
		for _, n := range names {
			got, want := l.Load(n), fresh.Load(n)
			require.Equal(t, want, got, "%s: %s", what, n)
			if got == before[n] {
				same++
			}
			before[n] = got
		}
		return same
	}
	compare("at first")
	all := len(names) - 1 // none.service is made anew each time
	require.Equal(t, all, compare("unchanged"))

	put := func(path, text string) {
		path = filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.RemoveAll(path))
		if target, ok := cutArrow(text); ok {
			require.NoError(t, os.Symlink(target, path))
			return
		}
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	del := func(path string) { require.NoError(t, os.RemoveAll(filepath.Join(root, path))) }
	for i, change := range []struct {
		do   func()
		same int // Specs that stay
	}{
		{func() { put("b/one.service", described("uno!")) }, all - 2}, // and its alias
		{func() { put("b/a-.service.d/9.conf", "[Unit]\nDescription=dashed\n") }, all - 1},
		{func() { put("b/a-.service.d/9.conf", "[Unit]\nDescription=dashes\n") }, all - 1}, // as long as before
		{func() { del("b/a-.service.d") }, all - 1},
		{func() { put("a/service.d/0.conf", "[Unit]\nWants=n.target\n") }, 1}, // all services: n.target is left
		{func() { del("a/service.d") }, 1},
		{func() { put("b/n.target.wants/two.service", "-> ../two.service") }, all - 1},
		{func() { put("b/n.target.wants/two.service", "-> /dev/null") }, all - 1},
		{func() { del("b/n.target.wants/two.service") }, all - 1},
		{func() { put("b/al.service", "-> two.service") }, all - 3}, // one.service, two.service and the alias
		{func() { put("else/out.service", described("far away")) }, all - 1},
		{func() { put("a/one.service", "-> /dev/null") }, all - 1},
		{func() { del("a/one.service") }, all - 1},
		{func() { put("b/t@2.service", simple) }, all - 1},
		{func() { del("b/mem.service") }, all - 1},
		{func() { facts.HostName = "other"; l.SetFacts(facts) }, 0},
	} {
		change.do()
		require.Equal(t, change.same, compare(fmt.Sprintf("change %d", i)), "change %d", i)
	}

	rng := rand.New(rand.NewPCG(3, 4))
	paths := []string{"a/one.service", "b/one.service", "a/two.service", "b/al.service", "b/t@.service", "b/t@1.service", "a/n.target", "a/service.d/1.conf",
		"b/two.service.d/1.conf", "b/t@.service.d/2.conf", "a/n.target.requires/two.service", "b/n.target.wants/t@2.service", "else/out.service", "b/out.service"}
	texts := []string{"", simple, described("a"), described("b"), "[Unit]\nAfter=n.target\n", "-> /dev/null", "-> one.service", "-> ../two.service", "-> nowhere", "[Unit\n"}
	for i := range 400 {
		if rng.IntN(4) == 0 {
			del(paths[rng.IntN(len(paths))])
		} else {
			put(paths[rng.IntN(len(paths))], texts[rng.IntN(len(texts))])
		}
		compare(fmt.Sprintf("random change %d", i))
	}
}

func cutArrow(text string) (string, bool) {
	if len(text) > 3 && text[:3] == "-> " {
		return text[3:], true
	}
	return "", false
}

// TestLinkThatChangedSinceTheIndex: what a link led to when the directories were read is not remembered for what it leads to now.
func TestLinkThatChangedSinceTheIndex(t *testing.T) {
	root := t.TempDir()
	plant(t, root, map[string]string{"v1/x.service": described("one"), "v2/x.service": described("two"), "cur": "-> v1", "u/x.service": "-> /cur/x.service", "u/y.service": simple})
	l := NewLoader(Config{FS: os.DirFS(root), Dirs: []string{"/u"}, Types: testTypes(), Now: later})
	l.Load("y.service")
	require.NoError(t, os.Remove(filepath.Join(root, "cur")))
	require.NoError(t, os.Symlink("v2", filepath.Join(root, "cur")))
	require.Equal(t, "one", l.Load("x.service").Settings[0].Value)
	l.Reload()
	require.Equal(t, "two", l.Load("x.service").Settings[0].Value)
}

// TestUnreadableDropIn: that a drop-in could not be read once is not remembered.
func TestUnreadableDropIn(t *testing.T) {
	root := t.TempDir()
	plant(t, root, map[string]string{"u/x.service": simple, "u/x.service.d/1.conf": "[Unit]\nDescription=read\n"})
	bad := &failing{FS: os.DirFS(root), path: "u/x.service.d/1.conf"}
	l := NewLoader(Config{FS: bad, Dirs: []string{"/u"}, Types: testTypes(), Now: later})
	require.Len(t, l.Load("x.service").Diags, 1)
	bad.path = ""
	l.Reload()
	require.Empty(t, l.Load("x.service").Diags)
}

// failing is a file system that cannot open one file.
type failing struct {
	fs.FS
	path string
}

func (f *failing) Open(name string) (fs.File, error) {
	if name == f.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EMFILE}
	}
	return f.FS.Open(name)
}

func (f *failing) ReadLink(name string) (string, error)   { return fs.ReadLink(f.FS, name) }
func (f *failing) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(f.FS, name) }

// TestYoungFiles: what was changed within the step of a file system's clock may change again without a trace, and is read again.
func TestYoungFiles(t *testing.T) {
	root := t.TempDir()
	plant(t, root, map[string]string{"u/x.service": described("one")})
	now := later()
	l := NewLoader(Config{FS: os.DirFS(root), Dirs: []string{"/u"}, Types: testTypes(), Now: func() time.Time { return now }})
	first := l.Load("x.service")
	require.Same(t, first, l.Load("x.service"))

	require.NoError(t, os.WriteFile(filepath.Join(root, "u/x.service"), []byte(described("two")), 0o644))
	info, err := os.Stat(filepath.Join(root, "u/x.service"))
	require.NoError(t, err)
	now = info.ModTime().Add(settled / 2)
	second := l.Load("x.service")
	require.Equal(t, "two", second.Settings[0].Value)
	require.NotSame(t, second, l.Load("x.service"))
	now = now.Add(settled)
	third := l.Load("x.service")
	require.Same(t, third, l.Load("x.service"))
}
