package simtest

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/service"
	"github.com/sysmaster-go/sysmaster/unit/slice"
	"github.com/sysmaster-go/sysmaster/unit/socket"
	"github.com/sysmaster-go/sysmaster/unit/target"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
)

// Config says what is booted. All fields but Units have a default.
type Config struct {
	// Units holds unit files, drop-ins and links as /etc/systemd/system does: os.DirFS("units").
	Units fs.FS
	// Boot is what is started; default.target.
	Boot unit.Name
	// Programs say how what ExecStart= and its kin name behaves; a program that is not here runs until
	// it is stopped, and is ready at once.
	Programs map[string]sim.Program
	// AllowUnsupported lets Boot go on without units of kinds that are not simulated; it then only logs them.
	AllowUnsupported bool
	// Check evaluates conditions; nil: all are met.
	Check func(unit.Condition) bool
	// Facts answer specifiers; the zero value is a host called "sim".
	Facts unitfile.Facts

	Seed     uint64
	MaxDelay time.Duration // see sim.Config
	Faults   sim.Faults
	Store    sim.StoreKind
	Trace    func(string)
}

// Types are the kinds of the reference assembly. Each call makes new values.
func Types() map[unit.Kind]*unit.Type {
	m := make(map[unit.Kind]*unit.Type)
	for _, t := range []unit.Type{service.Type(service.Options{}), socket.Type(), target.Type(), slice.Type()} {
		m[t.Kind] = &t
	}
	return m
}

// Facts are those of a made-up host.
func Facts() unitfile.Facts {
	f := unitfile.SystemFacts()
	f.HostName, f.KernelRelease = "sim", "6.1.0"
	f.MachineID, f.BootID = strings.Repeat("a", 32), strings.Repeat("b", 32)
	return f
}

// New makes a machine and starts its core, which begins to boot with the first Step.
func New(c Config) (*sim.Machine, error) {
	if c.Boot == "" {
		c.Boot = "default.target"
	}
	if c.Facts.HostName == "" {
		c.Facts = Facts()
	}
	types := Types()
	m, err := sim.New(sim.Config{
		Seed: c.Seed, Types: types, Load: loader(c.Units, c.Facts, types), Check: c.Check, Boot: c.Boot, Mode: unit.ModeReplace,
		MaxDelay: c.MaxDelay, Faults: c.Faults, Store: c.Store, Trace: c.Trace,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot start the machine: %w", err)
	}
	m.Default(sim.Daemon())
	for path, p := range c.Programs {
		m.Program(path, p)
	}
	return m, nil
}

// bootLimit is how long a boot may take in virtual time.
const bootLimit = time.Hour

// Boot makes a machine and lets it boot until no job is left. The test ends at once if that takes more
// than an hour of virtual time, breaks a rule, or leaves out units that have a file and were asked for, as their
// kinds are not simulated, unless Config.AllowUnsupported.
func Boot(t testing.TB, c Config) *sim.Machine {
	t.Helper()
	m, err := New(c)
	if err == nil {
		err = m.RunUntil(m.Booted, bootLimit)
	}
	if err != nil {
		t.Fatalf("cannot boot: %v", err)
	}
	if out := leftOut(m, c.Units); len(out) > 0 {
		text := fmt.Sprintf("not simulated, and not started: %s; the kinds that are: %s",
			join(out), strings.Join(kinds(), ", "))
		if !c.AllowUnsupported {
			t.Fatalf("cannot boot all of it: %s (Config.AllowUnsupported goes on without)", text)
		}
		t.Log(text)
	}
	return m
}

// leftOut are the units of kinds that are not simulated, and that have a file. One without is as if nobody had
// installed it; what merely wants it goes on in any case.
func leftOut(m *sim.Machine, files fs.FS) (names []unit.Name) {
	for _, n := range m.Unsupported() {
		_, err := fs.Stat(files, string(n))
		if err != nil && n.Instance() != "" {
			_, err = fs.Stat(files, string(n.Template()))
		}
		if err == nil {
			names = append(names, n)
		}
	}
	return names
}

func join(names []unit.Name) string {
	var list []string
	for _, n := range names {
		list = append(list, string(n))
	}
	return strings.Join(list, ", ")
}

// kinds are those of Types.
func kinds() (list []string) {
	for k := range Types() {
		list = append(list, string(k))
	}
	slices.Sort(list)
	return list
}

// Host makes machines of scenarios (sim.Scenario): their files are those of Units, and below a name
// with a slash drop-ins: "web.service.d/limits.conf".
func Host() sim.Host {
	types := Types()
	return sim.Host{Types: types, Loader: func(files map[string]string) func(unit.Name) *unit.Spec {
		tree := make(fstest.MapFS, len(files))
		for name, text := range files {
			tree[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		}
		return loader(tree, Facts(), types)
	}}
}

// Files reads all unit files and drop-ins of a directory, for a sim.Scenario. Links are left out.
func Files(units fs.FS) (map[string]string, error) {
	files := make(map[string]string)
	err := fs.WalkDir(units, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := fs.ReadFile(units, p)
		files[p] = string(data)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the unit files: %w", err)
	}
	return files, nil
}

// The two search directories: the user's, and what every machine has.
const (
	ownDir  = "units"
	baseDir = "base"
)

func loader(units fs.FS, facts unitfile.Facts, types map[unit.Kind]*unit.Type) func(unit.Name) *unit.Spec {
	base := make(fstest.MapFS)
	for name, text := range map[string]string{
		"sysinit.target":   "[Unit]\n",
		"basic.target":     "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n",
		"sockets.target":   "[Unit]\n",
		"shutdown.target":  "[Unit]\nDefaultDependencies=no\n",
		"rescue.target":    "[Unit]\nAllowIsolate=yes\n",
		"poweroff.target":  "[Unit]\nDefaultDependencies=no\nRequires=poweroff.service\nAfter=poweroff.service\nAllowIsolate=yes\n",
		"poweroff.service": "[Unit]\nDefaultDependencies=no\nRequires=shutdown.target\nAfter=shutdown.target\nSuccessAction=poweroff-force\n",
	} {
		base[path.Join(baseDir, name)] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	l := unitfile.NewLoader(unitfile.Config{FS: tree{units, base}, Dirs: []string{"/" + ownDir, "/" + baseDir}, Facts: facts, Types: types})
	return l.Load
}

// tree shows the user's directory at /units.
type tree struct {
	own  fs.FS
	base fstest.MapFS
}

// own is a name below /units as the user's file system knows it.
func own(name string) (string, bool) {
	if name == ownDir {
		return ".", true
	}
	return strings.CutPrefix(name, ownDir+"/")
}

// Open implements fs.FS.
func (t tree) Open(name string) (fs.File, error) {
	if n, ok := own(name); ok {
		return t.own.Open(n)
	}
	return t.base.Open(name)
}

// ReadLink implements fs.ReadLinkFS.
func (t tree) ReadLink(name string) (string, error) {
	if n, ok := own(name); ok {
		return fs.ReadLink(t.own, n)
	}
	return t.base.ReadLink(name)
}

// Lstat implements fs.ReadLinkFS.
func (t tree) Lstat(name string) (fs.FileInfo, error) {
	if n, ok := own(name); ok {
		return fs.Lstat(t.own, n)
	}
	return t.base.Lstat(name)
}
