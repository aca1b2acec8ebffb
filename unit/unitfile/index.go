package unitfile

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// entry is what a unit name stands for in the search directories.
type entry struct {
	path  string         // the file or link in a search directory; empty for an alias
	real  string         // where path leads once all links are followed
	alias unit.Name      // the name that a link inside the search directories points to
	bad   unit.LoadState // not empty: the link is of no use, and this is what the unit becomes
	text  string         // why
}

// index is one reading of all search directories. Fragments and aliases are known by name;
// of the directories for drop-ins and links only the names are known, their content is read
// when a unit asks for it.
type index struct {
	tree    tree
	dirs    []string              // existing search directories, links resolved, without repetition
	entries map[unit.Name]entry   // the first directory that has a usable entry wins
	sub     []map[string]struct{} // per directory: names of "x.d", "x.wants", "x.requires"; nil: not read
	aliases map[unit.Name][]unit.Name
	lists   map[string][]fs.DirEntry // content of sub-directories, as far as read
	diags   map[unit.Name][]unit.Diagnostic
	trouble []unit.Diagnostic // about directories
	times   []time.Time       // of all search directories that were asked for, zero where there is none
}

func newIndex(fsys fs.FS, dirs []string, kinds func(unit.Kind) bool) *index {
	x := &index{
		tree: tree{fsys}, entries: map[unit.Name]entry{}, aliases: map[unit.Name][]unit.Name{},
		lists: map[string][]fs.DirEntry{}, diags: map[unit.Name][]unit.Diagnostic{},
	}
	// Before reading: what changes meanwhile shows as a change.
	x.times = x.modTimes(dirs)
	content := x.readDirs(dirs)
	for i, dir := range x.dirs {
		x.sub = append(x.sub, map[string]struct{}{})
		for _, e := range content[i] {
			if isSubDir(e.Name()) {
				x.sub[i][e.Name()] = struct{}{}
				continue
			}
			name, err := unit.ParseName(e.Name())
			if err != nil || !kinds(name.Kind()) {
				continue
			}
			if _, taken := x.entries[name]; taken {
				continue
			}
			x.add(name, dir, e)
		}
	}
	for name, e := range x.entries {
		if e.alias != "" {
			if to, ok := x.follow(name); ok {
				x.aliases[to] = append(x.aliases[to], name)
			}
		}
	}
	for _, names := range x.aliases {
		slices.Sort(names)
	}
	return x
}

// readDirs lists the search directories that exist, each once even if two paths lead to it.
func (x *index) readDirs(dirs []string) [][]fs.DirEntry {
	var content [][]fs.DirEntry
	for _, dir := range dirs {
		p, err := x.tree.resolve(dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && slices.Contains(x.dirs, p) {
			continue
		}
		var entries []fs.DirEntry
		if err == nil {
			entries, err = x.tree.list(p)
		}
		if err != nil {
			x.trouble = append(x.trouble, unit.Diagnostic{Pos: unit.Pos{File: dir}, Text: "cannot read the directory: " + err.Error()})
			if entries == nil {
				continue
			}
		}
		x.dirs = append(x.dirs, p)
		content = append(content, entries)
	}
	return content
}

// modTimes are the times at which entries of the directories last came or went.
func (x *index) modTimes(dirs []string) []time.Time {
	out := make([]time.Time, len(dirs))
	for i, dir := range dirs {
		p, err := x.tree.resolve(dir)
		if err != nil {
			continue
		}
		if info, err := x.tree.lstat(p); err == nil {
			out[i] = info.ModTime()
		}
	}
	return out
}

func isSubDir(name string) bool {
	return strings.HasSuffix(name, ".d") || strings.HasSuffix(name, ".wants") || strings.HasSuffix(name, ".requires")
}

// add enters a name found in dir, unless the entry is unusable: then a lower directory may
// still have the name.
func (x *index) add(name unit.Name, dir string, e fs.DirEntry) {
	p := path.Join(dir, e.Name())
	if e.Type()&fs.ModeSymlink == 0 {
		if !e.Type().IsRegular() {
			x.complain(name, p, "it is not a regular file and is ignored")
			return
		}
		x.entries[name] = entry{path: p, real: p}
		return
	}
	target, err := x.tree.readLink(p)
	if err != nil {
		x.complain(name, p, "cannot read the link: "+err.Error())
		return
	}
	if !strings.HasPrefix(target, "/") {
		target = path.Join(dir, target)
	}
	target = path.Clean(target)
	// Only the way to the target is resolved: what it is itself says the map of names.
	parent, err := x.tree.resolve(path.Dir(target))
	if err == nil {
		target = path.Join(parent, path.Base(target))
	}
	if target != devNull && slices.Contains(x.dirs, path.Dir(target)) {
		x.addAlias(name, p, path.Base(target))
		return
	}
	x.addLinked(name, p)
}

// addLinked enters a link that leads out of the search directories: a unit file under the
// name of the link, or a mask.
func (x *index) addLinked(name unit.Name, p string) {
	real, err := x.tree.resolve(p)
	e := entry{path: p, real: real}
	if err != nil && real != devNull {
		e.bad, e.text = unit.LoadError, "cannot follow the link: "+err.Error()
		if errors.Is(err, fs.ErrNotExist) {
			e.bad = unit.LoadNotFound
		}
	}
	x.entries[name] = e
}

// addAlias enters a link to another name, if names of these forms may be aliases of each other.
func (x *index) addAlias(name unit.Name, p, base string) {
	to, err := unit.ParseName(base)
	switch {
	case err != nil:
		x.complain(name, p, "the link points to "+clip(base)+", which is not a unit name")
	case to == name:
		// The file of the same name in a lower directory is what it means.
	case to.Kind() != name.Kind():
		x.complain(name, p, "a link to "+string(to)+" cannot be an alias (valid: a unit of the same kind)")
	case !aliasForms(name, to):
		x.complain(name, p, "a link to "+string(to)+" cannot be an alias (valid: plain name to plain name, template to template, instance to the same instance)")
	default:
		x.entries[name] = entry{alias: to, path: p}
	}
}

// aliasForms tells whether from may stand for to (man systemd.unit(5), DESCRIPTION).
func aliasForms(from, to unit.Name) bool {
	switch {
	case from.IsTemplate():
		return to.IsTemplate()
	case from.IsInstance():
		return to.IsTemplate() || to.IsInstance() && to.Instance() == from.Instance()
	}
	return !to.IsTemplate() && !to.IsInstance()
}

func (x *index) complain(name unit.Name, p, text string) {
	x.diags[name] = append(x.diags[name], unit.Diagnostic{Pos: unit.Pos{File: p}, Text: text})
}

// isAlias is kept apart from path, because an alias has one, too, for messages.
func (e entry) isAlias() bool { return e.alias != "" }

// find is the entry under which name would be loaded: its own or, for an instance, its
// template's. The second result says which of the two names it was.
func (x *index) find(name unit.Name) (entry, unit.Name, bool) {
	if e, ok := x.entries[name]; ok {
		return e, name, true
	}
	if t := name.Template(); t != name {
		if e, ok := x.entries[t]; ok {
			return e, t, true
		}
	}
	return entry{}, "", false
}

// follow goes from alias to alias to the name that has a file; an instance stays an
// instance. It is false when the way is a loop or ends at a name without a file.
func (x *index) follow(name unit.Name) (unit.Name, bool) {
	instance := name.Instance()
	for range linksMax {
		e, _, ok := x.find(name)
		if !ok {
			return name, false
		}
		if !e.isAlias() {
			return name, true
		}
		name = e.alias
		if instance != "" && name.IsTemplate() {
			name = name.WithInstance(instance)
		}
	}
	return name, false
}

// loops tells a loop of aliases from one that ends nowhere.
func (x *index) loops(name unit.Name) bool {
	end, ok := x.follow(name)
	if ok {
		return false
	}
	_, _, found := x.find(end)
	return found
}

// namesOf lists the other names of the canonical name, sorted.
func (x *index) namesOf(name unit.Name) []unit.Name {
	names := slices.Clone(x.aliases[name])
	if t := name.Template(); t != name {
		for _, a := range x.aliases[t] {
			inst := a.WithInstance(name.Instance())
			// An instance of an alias may have been pointed elsewhere by a link of its own.
			if to, ok := x.follow(inst); ok && to == name && !slices.Contains(names, inst) {
				names = append(names, inst)
			}
		}
	}
	slices.Sort(names)
	return names
}

// list is the content of a sub-directory "x.d" and the like of search directory i.
func (x *index) list(i int, base string) []fs.DirEntry {
	dir := path.Join(x.dirs[i], base)
	if x.sub == nil { // not known
		if _, err := x.tree.lstat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	} else if _, ok := x.sub[i][base]; !ok {
		return nil
	}
	if l, ok := x.lists[dir]; ok {
		return l
	}
	var entries []fs.DirEntry
	real, err := x.tree.resolve(dir)
	if err == nil {
		entries, err = x.tree.list(real)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		x.trouble = append(x.trouble, unit.Diagnostic{Pos: unit.Pos{File: dir}, Text: "cannot read the directory: " + err.Error()})
	}
	x.lists[dir] = entries
	return entries
}

func sortEntries(l []fs.DirEntry) {
	slices.SortFunc(l, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
}

func (x *index) names() []unit.Name {
	out := make([]unit.Name, 0, len(x.entries))
	for n := range x.entries {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
