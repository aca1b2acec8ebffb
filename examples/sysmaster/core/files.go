package main

import (
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/control"
	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/core/sys/linux/conditions"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/condition"
	"github.com/sysmaster-go/sysmaster/unit/service"
	"github.com/sysmaster-go/sysmaster/unit/slice"
	"github.com/sysmaster-go/sysmaster/unit/socket"
	"github.com/sysmaster-go/sysmaster/unit/target"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
)

// unitTypes is the assembly's choice of kinds: what is not here is not linked.
func unitTypes(allowDegraded bool) map[unit.Kind]*unit.Type {
	types := make(map[unit.Kind]*unit.Type)
	for _, t := range []unit.Type{
		service.Type(service.Options{AllowDegraded: allowDegraded}), socket.Type(), target.Type(), slice.Type(),
	} {
		types[t.Kind] = &t
	}
	return types
}

// files is what the machine's files say: unit files and conditions.
type files struct {
	types   map[unit.Kind]*unit.Type
	fs      fs.FS
	loader  *unitfile.Loader
	machine condition.Machine
	facts   unitfile.Facts
	dirs    []string
	con     *console
}

func newFiles(dirs []string, types map[unit.Kind]*unit.Type, con *console) *files {
	root := os.DirFS("/")
	if dirs == nil {
		dirs = unitfile.DefaultDirs()
	}
	f := &files{types: types, fs: root, facts: unitfile.ReadFacts(root), dirs: dirs, con: con, machine: conditions.New()}
	f.loader = unitfile.NewLoader(unitfile.Config{FS: root, Dirs: dirs, Facts: f.facts, Types: types, Now: time.Now})
	return f
}

// load answers sys.Load, and says what is wrong with the files.
func (f *files) load(l sys.Load) []*unit.Spec {
	if l.Refresh {
		f.facts = unitfile.ReadFacts(f.fs)
		f.loader.SetFacts(f.facts)
		f.loader.Reload()
	}
	specs := make([]*unit.Spec, len(l.Names))
	for i, n := range l.Names {
		specs[i] = f.loader.Load(n)
		for _, d := range specs[i].Diags {
			if d.Pos.File == "" {
				continue // about no file: the load state says it
			}
			f.con.say(unit.LevelWarning, d.String(), false)
		}
	}
	return specs
}

// check answers sys.Check.
func (f *files) check(list []unit.Condition) []bool {
	out := make([]bool, len(list))
	for i, c := range list {
		ok, err := condition.Eval(c, f.machine)
		if err != nil {
			f.con.say(unit.LevelWarning, err.Error(), false)
		}
		out[i] = ok
	}
	return out
}

// info is what the Manager object says of the machine.
func (f *files) info(group string, b *boots) func() control.Info {
	if group == "/" {
		group = ""
	}
	return func() control.Info {
		return control.Info{
			Version: "sysmaster " + version, Architecture: f.facts.Architecture, MachineID: f.facts.MachineID,
			ControlGroup: group, DefaultTarget: "default.target", UnitPath: f.dirs, FailedBoots: b.failed(),
		}
	}
}

// stale reports whether a unit's files have changed since they were read, or drop-ins were added.
func (f *files) stale(u *core.UnitView) bool { return unitfile.Stale(f.fs, f.dirs, u.Spec) }

// state is a unit's enablement, as far as its links tell (man systemctl(1), is-enabled).
func (f *files) state(u *core.UnitView) (state, preset string) {
	switch {
	case u.Load == unit.LoadMasked:
		return "masked", "enabled"
	case u.Spec == nil || u.Spec.FragmentPath == "":
		return "", ""
	case strings.HasPrefix(u.Spec.FragmentPath, "/run/systemd/transient"):
		return "transient", "enabled"
	}
	install := false
	for _, s := range u.Spec.Settings {
		install = install || s.Section == "Install" && s.Key != "DefaultInstance"
	}
	if !install {
		return "static", "enabled"
	}
	for _, names := range [...][]unit.Name{u.Relations()[unit.WantedBy], u.Relations()[unit.RequiredBy]} {
		for _, by := range names {
			for _, dir := range [...]string{"/etc/systemd/system/", "/etc/sysmaster/system/"} {
				for _, kind := range [...]string{".wants/", ".requires/"} {
					if _, err := os.Lstat(dir + string(by) + kind + string(u.Name)); err == nil {
						return "enabled", "enabled"
					}
				}
			}
		}
	}
	return "disabled", "enabled"
}
