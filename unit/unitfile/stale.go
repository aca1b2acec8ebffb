package unitfile

import (
	"encoding/binary"
	"hash/fnv"
	"io/fs"
	"slices"

	"github.com/sysmaster-go/sysmaster/unit"
)

// looks makes one number of what a unit's files look like from outside: names, sizes, times of the last change. The fragment
// may be empty. It is never 0.
func (t *tree) looks(fragment string, dropIns []found) uint64 {
	sum := fnv.New64a() // a hash takes everything
	add := func(path string) {
		file := t.look(path)
		sum.Write([]byte(path))
		sum.Write(file[:])
	}
	if fragment != "" {
		add(fragment)
	}
	for _, f := range dropIns {
		add(f.path)
	}
	return max(sum.Sum64(), 1)
}

// look is the state of one file.
func (t *tree) look(path string) (b [17]byte) {
	real, err := t.resolve(path)
	if err != nil { // it is as if it were not there
		return b
	}
	if info, err := t.lstat(real); err == nil {
		b[0] = 1
		binary.LittleEndian.PutUint64(b[1:], uint64(info.Size()))
		binary.LittleEndian.PutUint64(b[9:], uint64(info.ModTime().UnixNano()))
	}
	return b
}

// Stale reports whether the files that s was made of have been changed, replaced or removed since, or drop-ins were added. dirs
// are the search directories (nil: DefaultDirs). It costs a call of lstat for each place of a drop-in, some dozens, and a few for
// each file. It is never true of a specification that was not made of files.
func Stale(fsys fs.FS, dirs []string, s *unit.Spec) bool {
	if s == nil || s.Files == 0 {
		return false
	}
	if dirs == nil {
		dirs = DefaultDirs()
	}
	x := &index{tree: tree{fsys}, lists: map[string][]fs.DirEntry{}}
	for _, dir := range dirs {
		if p, err := x.tree.resolve(dir); err == nil && !slices.Contains(x.dirs, p) {
			x.dirs = append(x.dirs, p)
		}
	}
	names := append([]unit.Name{s.Name}, s.Aliases...)
	return x.tree.looks(s.FragmentPath, x.collect(names, ".d", isDropIn)) != s.Files
}
