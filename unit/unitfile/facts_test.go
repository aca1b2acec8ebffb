package unitfile

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/unit"
)

func TestReadFacts(t *testing.T) {
	f := ReadFacts(files(map[string]string{
		"/proc/sys/kernel/hostname":       "web1.example\n",
		"/proc/sys/kernel/osrelease":      "6.1.0-9\n",
		"/proc/sys/kernel/random/boot_id": "01234567-89ab-cdef-0123-456789abcdef\n",
		"/etc/machine-id":                 "uninitialized\n",
		"/etc/os-release":                 "-> ../usr/lib/os-release",
		"/usr/lib/os-release":             "NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\nIMAGE_ID='a b'\nBUILD_ID=\"open\n",
		"/etc/machine-info":               "PRETTY_HOSTNAME=\"Web Server\"\n",
		"/etc/passwd":                     "daemon:x:1:1::/:/x\nroot:x:0:0:root:/root:/bin/bash\n",
	}))
	require.Equal(t, "web1.example", f.HostName)
	require.Equal(t, "Web Server", f.PrettyHostName)
	require.Equal(t, "6.1.0-9", f.KernelRelease)
	require.Equal(t, "0123456789abcdef0123456789abcdef", f.BootID)
	require.Empty(t, f.MachineID)
	require.Equal(t, []string{"debian", "12", "a b", ""}, []string{f.OSID, f.OSVersionID, f.OSImageID, f.OSBuildID})
	require.Equal(t, "/bin/bash", f.Shell)
	require.Equal(t, SystemFacts().Home, ReadFacts(fstest.MapFS{}).Home)
}

func TestResolve(t *testing.T) {
	tr := tree{files(map[string]string{
		"/a/b/c": "text", "/a/up": "-> ../../../..", "/l1": "-> l2", "/l2": "-> l1", "/abs": "-> /a/b", "/rel": "-> a/./b/../b/c", "/gone": "-> a/none/x",
	})}
	for in, want := range map[string]string{"/a/b/c": "/a/b/c", "/abs/c": "/a/b/c", "/rel": "/a/b/c", "/a/up/a/b": "/a/b", "/": "/", "/a//b/": "/a/b"} {
		got, err := tr.resolve(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	_, err := tr.resolve("/l1")
	require.ErrorIs(t, err, errLinks)
	got, err := tr.resolve("/gone")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, "/a/none/x", got)
}

// brokenFS fails to open one directory.
type brokenFS struct {
	fstest.MapFS
	bad string
}

func (b brokenFS) Open(name string) (fs.File, error) {
	if name == b.bad {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("input/output error")}
	}
	return b.MapFS.Open(name)
}

func TestUnreadableDirectoriesAreTold(t *testing.T) {
	fsys := brokenFS{files(map[string]string{etc + "/a.service": simple, lib + "/b.service": simple}), etc[1:]}
	l := NewLoader(Config{FS: fsys, Dirs: []string{etc, run, lib}, Types: testTypes()})
	require.Equal(t, unit.LoadLoaded, l.Load("b.service").Load)
	require.Equal(t, unit.LoadNotFound, l.Load("a.service").Load)
	require.Len(t, l.Diags(), 1)
	require.Equal(t, etc, l.Diags()[0].Pos.File)
	require.True(t, strings.Contains(l.Diags()[0].Text, "input/output error"), l.Diags()[0].Text)

	fsys.bad = lib[1:] + "/b.service"
	l = NewLoader(Config{FS: fsys, Dirs: []string{lib}, Types: testTypes()})
	s := l.Load("b.service")
	require.Equal(t, unit.LoadError, s.Load)
	require.Contains(t, s.LoadError, "input/output error")
}

func TestReload(t *testing.T) {
	m := files(map[string]string{lib + "/a.service": simple})
	l := NewLoader(Config{FS: m, Dirs: []string{lib}, Types: testTypes()})
	require.Equal(t, unit.LoadNotFound, l.Load("b.service").Load)
	m[lib[1:]+"/b.service"] = &fstest.MapFile{Data: []byte(simple)}
	require.Equal(t, unit.LoadNotFound, l.Load("b.service").Load, "names are known as of the last Reload")
	l.Reload()
	require.Equal(t, unit.LoadLoaded, l.Load("b.service").Load)
	delete(m, lib[1:]+"/b.service")
	s := l.Load("b.service")
	require.Equal(t, unit.LoadNotFound, s.Load, s.LoadError)
	require.Equal(t, []unit.Name{"a.service", "b.service"}, l.Names())
}

func TestNewUnitIsFoundWithoutReload(t *testing.T) {
	dir := &fstest.MapFile{Mode: fs.ModeDir | 0o755, ModTime: time.Unix(1, 0)}
	m := files(map[string]string{lib + "/a.service": simple})
	m[lib[1:]] = dir
	l := NewLoader(Config{FS: m, Dirs: []string{etc, lib}, Types: testTypes()})
	require.Equal(t, unit.LoadNotFound, l.Load("b.service").Load)
	dir.ModTime = time.Unix(2, 0)
	m[lib[1:]+"/b.service"] = &fstest.MapFile{Data: []byte(simple)}
	require.Equal(t, unit.LoadLoaded, l.Load("b.service").Load)
	// A directory that comes later counts, too.
	m[etc[1:]+"/c.service"] = &fstest.MapFile{Data: []byte(simple)}
	m[etc[1:]] = &fstest.MapFile{Mode: fs.ModeDir | 0o755, ModTime: time.Unix(3, 0)}
	require.Equal(t, unit.LoadLoaded, l.Load("c.service").Load)
}

func TestDefaultDirs(t *testing.T) {
	// An administrator's file wins over a generated one, that over a shipped one.
	rank := func(p string) int {
		for i, r := range []string{"/etc/", "/run/", "/usr/local/", "/usr/lib/", "/lib/"} {
			if strings.HasPrefix(p, r) {
				return i
			}
		}
		return -1
	}
	last := 0
	for _, d := range DefaultDirs() {
		if strings.HasSuffix(d, "generator.late") {
			continue
		}
		if strings.HasPrefix(d, "/usr/") { // sysmaster's before systemd's at both levels
			require.GreaterOrEqual(t, last, 1)
			continue
		}
		require.GreaterOrEqual(t, rank(d), last, d)
		last = rank(d)
	}
}
