package unitfile

import (
	"encoding/binary"
	"hash/maphash"
	"syscall"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// memory has the Specs of earlier loads with what they were made of, so that only those are made again whose files, links
// or names changed.
type memory struct {
	seed  maphash.Seed
	specs map[unit.Name]remembered
}

type remembered struct {
	spec *unit.Spec
	sum  uint64
}

// settled is how long ago a file must have been changed for its times to tell the next change: file systems count them in
// steps of up to 2 s.
const settled = 2500 * time.Millisecond

// sources sums up all that a Spec is made of beside facts and types: names, files with their identity, links. It is false
// for what cannot be told apart from a later state.
type sources struct {
	hash  maphash.Hash
	tree  *tree
	young time.Time // what changed since may change again unnoticed
	ok    bool
}

func (s *sources) text(t string) {
	_, _ = s.hash.WriteString(t)
	_ = s.hash.WriteByte(0)
}

func (s *sources) numbers(list ...uint64) {
	var b [8]byte
	for _, n := range list {
		binary.LittleEndian.PutUint64(b[:], n)
		_, _ = s.hash.Write(b[:])
	}
}

// file adds a file, with what it leads to. It gives the path of that.
func (s *sources) file(path string) string {
	s.text(path)
	real, err := s.tree.resolve(path)
	s.text(real)
	if err == nil {
		s.look(real)
	} else {
		s.text(err.Error())
	}
	return real
}

func (s *sources) look(path string) {
	info, err := s.tree.lstat(path)
	if err != nil {
		s.ok = false
		return
	}
	changed := info.ModTime()
	if st, ok := info.Sys().(*syscall.Stat_t); ok { // also of who sets the time back
		change := time.Unix(st.Ctim.Unix())
		s.numbers(uint64(st.Dev), st.Ino, uint64(change.UnixNano()))
		if change.After(changed) {
			changed = change
		}
	}
	s.numbers(uint64(info.Size()), uint64(info.ModTime().UnixNano()), uint64(info.Mode()))
	s.ok = s.ok && changed.Before(s.young)
}

// link adds an entry of .wants/ or .requires/. Of what it leads to only counts whether that masks the name.
func (s *sources) link(f *found) {
	s.text(f.path)
	real, err := s.tree.resolve(f.path)
	masks := uint64(0)
	if (err == nil || real == devNull) && s.tree.masks(real) {
		masks = 1
	}
	s.numbers(masks, uint64(f.entry.Type()))
}

// sourcesOf sums up what the Spec of canonical is made of.
func (l *Loader) sourcesOf(canonical unit.Name, names []unit.Name, e entry, dropIns, wants, requires []found, diags []unit.Diagnostic) (sum uint64, ok bool) {
	s := sources{tree: &l.index.tree, young: l.cfg.Now().Add(-settled), ok: true}
	s.hash.SetSeed(l.memory.seed)
	s.text(string(canonical))
	for _, n := range names {
		s.text(string(n))
	}
	s.text(string(e.alias))
	s.text(string(e.bad))
	s.text(e.text)
	switch {
	case e.path == "" || e.isAlias():
	case e.path == e.real: // what is read then, too
		s.text(e.real)
		s.look(e.real)
	default:
		real := s.file(e.path)
		s.ok = s.ok && real == e.real // else a link changed since the index was made, and what is read now is not what it leads to
	}
	s.numbers(uint64(len(dropIns)))
	for i := range dropIns {
		s.file(dropIns[i].path)
	}
	for _, list := range [...][]found{wants, requires} {
		s.numbers(uint64(len(list)))
		for i := range list {
			s.link(&list[i])
		}
	}
	for _, d := range diags {
		s.text(d.String())
	}
	return s.hash.Sum64(), s.ok
}

// recall gives the Spec that was made of the same, or nil.
func (l *Loader) recall(name unit.Name, sum uint64) *unit.Spec {
	if r, ok := l.memory.specs[name]; ok && r.sum == sum {
		return r.spec
	}
	return nil
}

// remember keeps a Spec, for loads after the next Reload.
func (l *Loader) remember(spec *unit.Spec, sum uint64) {
	l.memory.specs[spec.Name] = remembered{spec, sum}
}

// forget drops Specs of units that are gone.
func (m *memory) forget(x *index) {
	for name := range m.specs {
		if _, _, ok := x.find(name); !ok {
			delete(m.specs, name)
		}
	}
}
