package unitfile

import (
	"encoding/binary"
	"hash"
	"hash/fnv"
	"io/fs"

	"github.com/sysmaster-go/sysmaster/unit"
)

// looks makes one number of what files look like from outside: names, sizes, times of the last change.
type looks struct{ sum hash.Hash64 }

func newLooks() looks { return looks{fnv.New64a()} }

// look is the state of one file; it is asked for before the file is read, so that a change meanwhile is one since.
func (t *tree) look(path string) (b [17]byte) {
	if path == "" {
		return b
	}
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

func (l looks) add(path string, file [17]byte) {
	l.sum.Write([]byte(path)) // a hash takes everything
	l.sum.Write(file[:])
}

// number is never 0.
func (l looks) number() uint64 { return max(l.sum.Sum64(), 1) }

// Stale reports whether the files that s was made of have been changed, replaced or removed since. Files that were added are not looked
// for. It costs a few calls of lstat for each file, and is never true of a specification that was not made of files.
func Stale(fsys fs.FS, s *unit.Spec) bool {
	if s == nil || s.Files == 0 {
		return false
	}
	l, t := newLooks(), tree{fsys}
	if s.FragmentPath != "" {
		l.add(s.FragmentPath, t.look(s.FragmentPath))
	}
	for _, p := range s.DropIns {
		l.add(p, t.look(p))
	}
	return l.number() != s.Files
}
