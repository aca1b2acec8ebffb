package core

import (
	"math"

	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

// specVersion is the version of a stored Spec.
const specVersion = 1

// encodeSpec is the stored form of a specification. Files are numbered, because nearly all
// settings of a unit come from one or two.
func encodeSpec(s *unit.Spec) []byte {
	var e record.Encoder
	files := newFileTable(&e)
	e.String(1, string(s.Name))
	for _, a := range s.Aliases {
		e.String(2, string(a))
	}
	e.String(3, string(s.Load))
	e.OptString(4, s.LoadError)
	e.OptString(5, s.FragmentPath)
	e.Strings(6, s.DropIns)
	e.OptUint(11, s.Files)
	for i := range s.Settings {
		st := &s.Settings[i]
		n := files.number(st.Pos.File)
		e.Message(8, func(e *record.Encoder) {
			e.String(1, st.Section)
			e.String(2, st.Key)
			e.String(3, st.Value)
			e.OptUint(4, n)
			e.OptInt(5, int64(st.Pos.Line))
		})
	}
	for i := range s.Deps {
		d := &s.Deps[i]
		n := files.number(d.Pos.File)
		e.Message(9, func(e *record.Encoder) {
			e.Uint(1, uint64(d.Rel))
			e.OptString(2, string(d.Unit))
			e.OptString(3, d.Path)
			e.OptUint(4, uint64(d.Origin))
			e.OptUint(5, n)
			e.OptInt(6, int64(d.Pos.Line))
		})
	}
	for i := range s.Diags {
		d := &s.Diags[i]
		n := files.number(d.Pos.File)
		e.Message(10, func(e *record.Encoder) {
			e.OptUint(1, uint64(d.Severity))
			e.OptString(2, d.Key)
			e.OptString(3, d.Text)
			e.OptUint(4, n)
			e.OptInt(5, int64(d.Pos.Line))
		})
	}
	return e.Clone()
}

// fileTable writes each file name once, as field 7, before its first use.
type fileTable struct {
	e    *record.Encoder
	seen map[string]uint64
}

func newFileTable(e *record.Encoder) *fileTable {
	return &fileTable{e, make(map[string]uint64)}
}

// number is the place of a file in the table, from 1; 0 for no file.
func (t *fileTable) number(file string) uint64 {
	if file == "" {
		return 0
	}
	if n := t.seen[file]; n != 0 {
		return n
	}
	t.e.String(7, file)
	n := uint64(len(t.seen) + 1)
	t.seen[file] = n
	return n
}

// decodeSpec reads what encodeSpec wrote.
func decodeSpec(data []byte) (*unit.Spec, error) { return new(specDecoder).decode(string(data)) }

// specDecoder reads one specification after the other. The lists are collected in its own, so that each specification's
// have their right size.
type specDecoder struct {
	spec     *unit.Spec
	settings []unit.Setting
	deps     []unit.Dep
	files    []string
}

// decode reads a specification. All its strings are parts of one.
func (d *specDecoder) decode(data string) (*unit.Spec, error) {
	d.spec = new(unit.Spec)
	d.settings, d.deps, d.files = d.settings[:0], d.deps[:0], d.files[:0]
	r := record.NewReader(data)
	for r.Next() {
		d.field(&r)
	}
	d.spec.Settings = append(d.spec.Settings, d.settings...)
	d.spec.Deps = append(d.spec.Deps, d.deps...)
	return d.spec, r.Err()
}

func (d *specDecoder) field(r *record.Reader) {
	s := d.spec
	switch r.Tag() {
	case 1:
		s.Name = unit.Name(r.String())
	case 2:
		s.Aliases = append(s.Aliases, unit.Name(r.String()))
	case 3:
		s.Load = unit.LoadState(r.String())
	case 4:
		s.LoadError = r.String()
	case 5:
		s.FragmentPath = r.String()
	case 6:
		s.DropIns = append(s.DropIns, r.String())
	case 7:
		d.files = append(d.files, r.String())
	case 11:
		s.Files = r.Uint(math.MaxUint64)
	case 8, 9, 10:
		m := r.Message()
		switch r.Tag() {
		case 8:
			d.setting(&m)
		case 9:
			d.dep(&m)
		case 10:
			d.diag(&m)
		}
		r.Fail(m.Err())
	}
}

// pos takes the two tags that say where something stands, of which fileTag is the first.
func (d *specDecoder) pos(r *record.Reader, p *unit.Pos, fileTag uint32) {
	switch r.Tag() {
	case fileTag:
		if n := r.Uint(math.MaxInt32); n >= 1 && n <= uint64(len(d.files)) {
			p.File = d.files[n-1]
		}
	case fileTag + 1:
		p.Line = int(r.Int())
	}
}

func (d *specDecoder) setting(r *record.Reader) {
	var st unit.Setting
	for r.Next() {
		switch r.Tag() {
		case 1:
			st.Section = r.String()
		case 2:
			st.Key = r.String()
		case 3:
			st.Value = r.String()
		default:
			d.pos(r, &st.Pos, 4)
		}
	}
	d.settings = append(d.settings, st)
}

func (d *specDecoder) dep(r *record.Reader) {
	var dep unit.Dep
	for r.Next() {
		switch r.Tag() {
		case 1:
			dep.Rel = unit.Relation(r.Uint(math.MaxUint8))
		case 2:
			dep.Unit = unit.Name(r.String())
		case 3:
			dep.Path = r.String()
		case 4:
			dep.Origin = unit.Origin(r.Uint(math.MaxUint8))
		default:
			d.pos(r, &dep.Pos, 5)
		}
	}
	if dep.Rel < unit.NumRelations { // a relation of a newer version means nothing here
		d.deps = append(d.deps, dep)
	}
}

func (d *specDecoder) diag(r *record.Reader) {
	var g unit.Diagnostic
	for r.Next() {
		switch r.Tag() {
		case 1:
			g.Severity = unit.Severity(r.Uint(math.MaxUint8))
		case 2:
			g.Key = r.String()
		case 3:
			g.Text = r.String()
		default:
			d.pos(r, &g.Pos, 4)
		}
	}
	d.spec.Diags = append(d.spec.Diags, g)
}
