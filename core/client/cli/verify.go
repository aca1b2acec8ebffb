package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
	"github.com/sysmaster-go/sysmaster/unit/verify"
)

// verify checks unit files without a manager. What it looks at is what it is given, and with --root that system.
func (a *app) verify() int {
	if a.env.Types == nil || a.env.Root == nil {
		a.complain("this sctl was built without verify")
		return exitNotImplemented
	}
	c, err := a.verifyConfig()
	if err != nil {
		return a.usage(err)
	}
	r := verify.Check(c)
	switch a.opt.format {
	case "sarif":
		err = r.SARIF(a.env.Stdout, a.env.Version)
	case "json":
		err = r.JSON(a.env.Stdout)
	default:
		err = r.Text(a.env.Stdout)
	}
	if err != nil {
		return a.fail("write the report", err)
	}
	if r.Errors() > 0 || a.opt.strict && len(r.Problems) > 0 {
		return exitFailure
	}
	return 0
}

func (a *app) verifyConfig() (verify.Config, error) {
	var none verify.Config
	if a.opt.json && a.opt.format == "" {
		a.opt.format = "json"
	}
	if !slices.Contains([]string{"", "text", "json", "sarif"}, a.opt.format) {
		return none, fmt.Errorf("unknown format %q (valid: text, json, sarif)", a.opt.format)
	}
	whole := a.opt.root != ""
	var dirs []string
	var names []unit.Name
	for _, arg := range a.args {
		if !strings.Contains(arg, "/") {
			names = append(names, unit.Name(arg))
			continue
		}
		path := filepath.Clean("/" + arg)
		if !whole {
			var err error
			if path, err = filepath.Abs(arg); err != nil {
				return none, err
			}
		}
		if dir := filepath.Dir(path); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
		names = append(names, unit.Name(filepath.Base(path)))
	}
	for _, dir := range a.opt.unitPath {
		if !filepath.IsAbs(dir) {
			return none, fmt.Errorf("--unit-path=%s: not an absolute path", dir)
		}
		dirs = append(dirs, filepath.Clean(dir))
	}
	facts, root := unitfile.SystemFacts(), a.env.Root("/")
	if whole {
		root = a.env.Root(a.opt.root)
		if _, err := fs.Stat(root, "."); err != nil {
			return none, fmt.Errorf("--root=%s: %w", a.opt.root, err)
		}
		facts = unitfile.ReadFacts(root)
		if len(a.opt.unitPath) == 0 {
			dirs = append(dirs, unitfile.DefaultDirs()...)
		}
	}
	if len(dirs) == 0 {
		return none, errors.New("nothing to verify (valid: paths of unit files, or --unit-path=DIR or --root=DIR, with names of units or without)")
	}
	l := unitfile.NewLoader(unitfile.Config{FS: root, Dirs: dirs, Facts: anywhere(facts), Types: a.env.Types})
	c := verify.Config{Loader: l, Types: a.env.Types, Names: names, Whole: whole}
	if whole {
		c.Stat = func(path string) (verify.Kind, error) { return kindOf(l, path) }
	}
	return c, nil
}

// anywhere fills in what a running machine has and a directory has not: that it is not known is no fault of a unit file.
func anywhere(f unitfile.Facts) unitfile.Facts {
	const id = "00000000000000000000000000000000"
	f.HostName = cmp.Or(f.HostName, "localhost")
	f.MachineID, f.BootID = cmp.Or(f.MachineID, id), cmp.Or(f.BootID, id)
	f.KernelRelease = cmp.Or(f.KernelRelease, "0")
	return f
}

func kindOf(l *unitfile.Loader, path string) (verify.Kind, error) {
	info, err := l.Stat(path)
	switch {
	case err != nil:
		return 0, err
	case info.IsDir():
		return verify.Directory, nil
	case info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0:
		return verify.Executable, nil
	}
	return verify.OtherFile, nil
}
