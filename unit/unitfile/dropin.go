package unitfile

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// found is a file of a sub-directory of a search directory.
type found struct {
	base  string
	path  string
	entry fs.DirEntry
}

// collect finds the files of all sub-directories with the suffix (".d", ".wants",
// ".requires") that belong to the unit. Of files with the same base name only the first
// counts; the order in which directories are looked at is (measured on systemd 252):
//
//	for the unit's own name, then for each other name, sorted:
//	    for each search directory:
//	        the levels of the name, the most specific first
//	for each search directory:
//	    the level of the kind: "service.d"
//
// The result is sorted by base name, which is the order in which drop-ins are applied.
func (x *index) collect(names []unit.Name, suffix string, keep func(base string) bool) []found {
	var out []found
	seen := map[string]struct{}{}
	take := func(dir int, stem string) {
		sub := stem + suffix
		for _, e := range x.list(dir, sub) {
			base := e.Name()
			if _, dup := seen[base]; dup || !keep(base) {
				continue
			}
			seen[base] = struct{}{}
			out = append(out, found{base, path.Join(x.dirs[dir], sub, base), e})
		}
	}
	for _, n := range names {
		stems := levels(n)
		for dir := range x.dirs {
			for _, stem := range stems {
				take(dir, stem)
			}
		}
	}
	for dir := range x.dirs {
		take(dir, string(names[0].Kind()))
	}
	slices.SortFunc(out, func(a, b found) int { return strings.Compare(a.base, b.base) })
	return out
}

// levels are the names whose drop-ins a unit takes, the most specific first: itself, its
// template with the template's prefixes, then its own prefixes. A prefix is what remains
// when the name is cut after a dash: "a-b-c.service" has "a-b-.service" and "a-.service".
func levels(n unit.Name) []string {
	var out []string
	var walk func(unit.Name)
	walk = func(n unit.Name) {
		if slices.Contains(out, string(n)) {
			return
		}
		out = append(out, string(n))
		if t := n.Template(); t != n {
			walk(t)
		}
		prefix := n.Prefix()
		if prefix == "" {
			return
		}
		cut := strings.LastIndexByte(prefix[:len(prefix)-1], '-')
		if cut <= 0 {
			return
		}
		stem := prefix[:cut+1]
		if n.IsInstance() {
			stem += "@" + n.Instance()
		}
		walk(unit.Name(stem + "." + string(n.Kind())))
	}
	walk(n)
	return out
}

func isDropIn(base string) bool { return base[0] != '.' && strings.HasSuffix(base, ".conf") }

// isLink leaves out what editors and package tools leave behind.
func isLink(base string) bool {
	if base[0] == '.' {
		return false
	}
	for _, s := range [...]string{"~", ".rpmnew", ".rpmsave", ".rpmorig", ".dpkg-old", ".dpkg-new", ".dpkg-tmp", ".dpkg-dist", ".bak", ".swp"} {
		if strings.HasSuffix(base, s) {
			return false
		}
	}
	return true
}

// addLinks turns .wants/ and .requires/ entries into dependencies. Only the entry's name
// counts, wherever it points; one that leads to /dev/null or is an empty file masks that name.
func (l *load) addLinks(list []found, rel unit.Relation) {
	for _, f := range list {
		pos := unit.Pos{File: f.path}
		real, err := l.index.tree.resolve(f.path)
		if (err == nil || real == devNull) && l.index.tree.masks(real) {
			continue
		}
		if f.entry.Type()&fs.ModeSymlink == 0 {
			l.warn(pos, "", "it is not a symbolic link and is ignored")
			continue
		}
		l.addUnit(rel, f.base, pos, "")
	}
}
