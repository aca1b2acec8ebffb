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
	list, err := a.verifyConfigs()
	if err != nil {
		return a.usage(err)
	}
	r := new(verify.Report)
	for _, c := range list {
		r.Add(verify.Check(c))
	}
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

// given are arguments that lie in one directory, or, dir empty, names without one.
type given struct {
	dir   string
	names []unit.Name
}

// verifyConfigs are the checks to be made: one for each directory that is named, in which its files come before all others.
func (a *app) verifyConfigs() ([]verify.Config, error) {
	if a.opt.json && a.opt.format == "" {
		a.opt.format = "json"
	}
	if !slices.Contains([]string{"", "text", "json", "sarif"}, a.opt.format) {
		return nil, fmt.Errorf("unknown format %q (valid: text, json, sarif)", a.opt.format)
	}
	whole := a.opt.root != ""
	groups, err := grouped(a.args, whole)
	if err != nil {
		return nil, err
	}
	facts, root := unitfile.SystemFacts(), a.env.Root("/")
	var shared []string
	for _, dir := range a.opt.unitPath {
		if !filepath.IsAbs(dir) {
			return nil, fmt.Errorf("--unit-path=%s: not an absolute path", dir)
		}
		shared = append(shared, filepath.Clean(dir))
	}
	if whole {
		root = a.env.Root(a.opt.root)
		if _, err := fs.Stat(root, "."); err != nil {
			return nil, fmt.Errorf("--root=%s: %w", a.opt.root, err)
		}
		facts = unitfile.ReadFacts(root)
		if len(shared) == 0 {
			shared = unitfile.DefaultDirs()
		}
	} else {
		for _, g := range groups {
			if g.dir != "" {
				shared = append(shared, g.dir)
			}
		}
	}
	if len(shared) == 0 {
		return nil, errors.New("nothing to verify (valid: paths of unit files, or --unit-path=DIR or --root=DIR, with names of units or without)")
	}
	var list []verify.Config
	for _, g := range groups {
		dirs := shared
		if g.dir != "" {
			dirs = append([]string{g.dir}, shared...)
		}
		l := unitfile.NewLoader(unitfile.Config{FS: root, Dirs: dirs, Facts: anywhere(facts), Types: a.env.Types})
		c := verify.Config{Loader: l, Types: a.env.Types, Names: g.names, Whole: whole}
		if whole {
			c.Stat = func(path string) (verify.Kind, error) { return kindOf(l, path) }
		}
		list = append(list, c)
	}
	return list, nil
}

// grouped sorts arguments by directory. Paths are within the root, if there is one. No argument is one group without names: all.
func grouped(args []string, whole bool) ([]given, error) {
	if len(args) == 0 {
		return []given{{}}, nil
	}
	var groups []given
	for _, arg := range args {
		dir, base := "", arg
		if strings.Contains(arg, "/") {
			path := filepath.Clean("/" + arg)
			if !whole {
				var err error
				if path, err = filepath.Abs(arg); err != nil {
					return nil, err
				}
			}
			dir, base = filepath.Split(path)
			dir = filepath.Clean(dir)
		}
		i := slices.IndexFunc(groups, func(g given) bool { return g.dir == dir })
		if i < 0 {
			i = len(groups)
			groups = append(groups, given{dir: dir})
		}
		groups[i].names = append(groups[i].names, unit.Name(base))
	}
	return groups, nil
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
