package unitfile

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"slices"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Config says what a Loader loads from.
type Config struct {
	// FS is the machine's file system; its paths are absolute ones without the leading slash.
	// Without fs.ReadLinkFS there are no aliases and masks by link.
	FS fs.FS
	// Dirs are the search directories, absolute, the first wins. Nil: DefaultDirs.
	Dirs []string
	// Facts answer specifiers.
	Facts Facts
	// Types are the kinds that can be loaded, with their keys.
	Types map[unit.Kind]*unit.Type
	// Now is the time by the clock of the file system. With it the Loader keeps what it made, and gives the same Spec again
	// as long as the files, links and facts are the same: by inode, size and times, and not while they are younger than the
	// steps of these. Nil: every Load reads.
	Now func() time.Time
}

// Loader makes Specs from unit files. The directories are indexed at the first Load and
// after each Reload; files are read at each Load, or when they changed (Config.Now). Not safe for concurrent use.
type Loader struct {
	cfg    Config
	index  *index
	memory memory
}

// NewLoader makes a Loader; it reads nothing yet.
func NewLoader(cfg Config) *Loader {
	if cfg.Dirs == nil {
		cfg.Dirs = DefaultDirs()
	}
	return &Loader{cfg: cfg, memory: memory{seed: maphash.MakeSeed(), specs: map[unit.Name]remembered{}}}
}

// Reload forgets the index: the next Load reads the directories anew. Specs that exist do
// not change.
func (l *Loader) Reload() { l.index = nil }

// SetFacts replaces the facts for the Loads to come (the host name changed).
func (l *Loader) SetFacts(f Facts) {
	if l.cfg.Facts != f {
		clear(l.memory.specs)
	}
	l.cfg.Facts = f
}

func (l *Loader) current() *index {
	if l.index == nil {
		l.index = newIndex(l.cfg.FS, l.cfg.Dirs, func(k unit.Kind) bool { return l.cfg.Types[k] != nil })
		l.memory.forget(l.index)
	}
	return l.index
}

// Diags are complaints about search directories as such, so far.
func (l *Loader) Diags() []unit.Diagnostic { return l.current().trouble }

// Names lists the names that have an entry in the search directories, sorted: files,
// aliases, templates and masks of the kinds that can be loaded.
func (l *Loader) Names() []unit.Name { return l.current().names() }

// load is the making of one Spec.
type load struct {
	*Loader
	typ     *unit.Type
	spec    *unit.Spec
	scratch any // the configuration that validates
	scope   scope
	deps    map[depID]struct{}
	more    int // diagnostics beyond the bound
	size    int // bytes of settings kept

	recalled bool // spec is of an earlier load
	unsure   bool // a file could not be read
}

// Load makes the Spec of the unit that name stands for. It never fails: what is wrong is in
// the Spec's Load, LoadError and Diags. Spec.Name is the canonical name, which differs from
// name when that is an alias; the Spec does not depend on which of its names was asked for.
//
// A name that is not found is looked for once more if a search directory changed since it
// was indexed, so that a new unit can be started without Reload, as in systemd.
func (l *Loader) Load(name unit.Name) *unit.Spec {
	spec := l.load(name)
	if spec.Load == unit.LoadNotFound && l.stale() {
		l.Reload()
		spec = l.load(name)
	}
	return spec
}

func (l *Loader) stale() bool {
	return l.index != nil && !slices.EqualFunc(l.index.times, l.index.modTimes(l.cfg.Dirs), time.Time.Equal)
}

func (l *Loader) load(name unit.Name) *unit.Spec {
	ld := &load{Loader: l, spec: &unit.Spec{Name: name}, deps: map[depID]struct{}{}}
	ld.whole(name)
	return ld.spec
}

func (ld *load) whole(name unit.Name) {
	defer func() {
		// A setter that panics is a bug, but it must cost this unit only.
		if r := recover(); r != nil {
			ld.fail(unit.LoadError, unit.Pos{File: ld.spec.FragmentPath}, fmt.Sprintf("internal error: %v", r))
		}
		if !ld.recalled {
			ld.closeDiags()
		}
	}()
	switch valid, err := unit.ParseName(string(name)); {
	case err != nil || valid != name:
		ld.fail(unit.LoadError, unit.Pos{}, "invalid unit name")
	case ld.cfg.Types[name.Kind()] == nil:
		ld.fail(unit.LoadError, unit.Pos{}, "unsupported type")
	case name.IsTemplate():
		ld.fail(unit.LoadError, unit.Pos{}, "a template cannot be loaded (valid: an instance of it, with a name between @ and the dot)")
	default:
		ld.run(name)
	}
}

func (ld *load) run(name unit.Name) {
	x := ld.current()
	canonical, ok := x.follow(name)
	switch {
	case ok:
	case x.loops(name):
		e, _, _ := x.find(name)
		ld.fail(unit.LoadError, unit.Pos{File: e.path}, errLinks.Error())
		return
	default:
		// An alias of nothing is nothing, under its own name.
		if canonical != name {
			e, _, _ := x.find(name)
			ld.warn(unit.Pos{File: e.path}, "", "the link points to "+string(canonical)+", which does not exist")
		}
		canonical = name
	}
	ld.typ = ld.cfg.Types[canonical.Kind()]
	s := ld.spec
	s.Name, s.Aliases = canonical, x.namesOf(canonical)
	ld.scope = scope{facts: &ld.Loader.cfg.Facts, name: canonical}
	names := append([]unit.Name{canonical}, s.Aliases...)
	for _, n := range names {
		s.Diags = append(s.Diags, x.diags[n]...)
		if t := n.Template(); t != n {
			s.Diags = append(s.Diags, x.diags[t]...)
		}
	}
	e, _, _ := x.find(canonical)
	fragment := e.path
	if e.isAlias() {
		fragment = ""
	}
	dropIns, wants, requires := x.collect(names, ".d", isDropIn), x.collect(names, ".wants", isLink), x.collect(names, ".requires", isLink)
	sum, settled := uint64(0), false
	if ld.Loader.cfg.Now != nil {
		if sum, settled = ld.sourcesOf(canonical, names, e, dropIns, wants, requires, s.Diags); settled {
			if old := ld.recall(canonical, sum); old != nil {
				ld.spec, ld.recalled = old, true
				return
			}
		}
	}
	looks := x.tree.looks(fragment, dropIns) // before they are read: a change meanwhile is one since
	defer func() {
		if s.FragmentPath != "" || len(s.DropIns) > 0 {
			s.Files = looks
		}
	}()
	text, ok := ld.fragment(e)
	if !ok {
		return
	}
	if ld.typ.NewConfig != nil {
		ld.scratch = ld.typ.NewConfig()
	}
	s.Load = unit.LoadLoaded
	if e.path != "" && !ld.apply(e.path, text, false) {
		return
	}
	ld.dropIns(dropIns)
	ld.addLinks(wants, unit.Wants)
	ld.addLinks(requires, unit.Requires)
	// A Spec lives as long as its unit: give back what growing left over.
	s.Settings, s.Deps = slices.Clone(s.Settings), slices.Clone(s.Deps)
	if settled && !ld.unsure {
		ld.remember(s, sum)
	}
}

// fragment reads the unit's main file. It is false when that decides the load state.
func (ld *load) fragment(e entry) (text string, ok bool) {
	s := ld.spec
	switch {
	case e.bad != "":
		s.FragmentPath = e.path
		ld.fail(e.bad, unit.Pos{File: e.path}, e.text)
		return "", false
	case e.path == "" || e.isAlias():
		if ld.typ.NoFile {
			return "", true
		}
		s.Load, s.LoadError = unit.LoadNotFound, "unit "+string(s.Name)+" not found"
		return "", false
	}
	s.FragmentPath = e.path
	ld.scope.fragment = e.real
	if ld.index.tree.masks(e.real) {
		s.Load, s.LoadError = unit.LoadMasked, "unit "+string(s.Name)+" is masked"
		return "", false
	}
	text, err := ld.index.tree.read(e.real, FileMax)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		ld.fail(unit.LoadNotFound, unit.Pos{File: e.path}, "the file is gone")
	case err != nil:
		ld.fail(unit.LoadError, unit.Pos{File: e.path}, "cannot read the file: "+err.Error())
	}
	return text, err == nil
}

// dropIns applies the unit's drop-ins. What is wrong with one costs that file, or its rest.
func (ld *load) dropIns(list []found) {
	for _, f := range list {
		real, err := ld.index.tree.resolve(f.path)
		if (err == nil || real == devNull) && ld.index.tree.masks(real) {
			ld.spec.DropIns = append(ld.spec.DropIns, f.path) // it says why a lower one is not there
			continue
		}
		var text string
		if err == nil {
			text, err = ld.index.tree.read(real, FileMax)
		}
		if err != nil {
			ld.unsure = ld.unsure || !errors.Is(err, fs.ErrNotExist) // it may be readable next time
			ld.warn(unit.Pos{File: f.path}, "", "cannot read the drop-in: "+err.Error())
			continue
		}
		ld.spec.DropIns = append(ld.spec.DropIns, f.path)
		ld.apply(f.path, text, true)
	}
}

// fail decides the load state.
func (ld *load) fail(state unit.LoadState, pos unit.Pos, text string) {
	ld.spec.Load, ld.spec.LoadError = state, text
	if pos != (unit.Pos{}) {
		ld.spec.LoadError = pos.String() + ": " + text
	}
	ld.diag(unit.Error, pos, "", text)
}

// Stat looks at a path of the Loader's file system, through links, none of which leads out of it.
func (l *Loader) Stat(path string) (fs.FileInfo, error) {
	t := tree{l.cfg.FS}
	real, err := t.resolve(path)
	if err != nil {
		return nil, err
	}
	return t.lstat(real)
}
