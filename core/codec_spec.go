package core

import (
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
func decodeSpec(data []byte) (*unit.Spec, error) {
	s := new(unit.Spec)
	var files []string
	err := record.Decode(data, func(f record.Field) error {
		switch f.Tag {
		case 1:
			return record.String(f, &s.Name)
		case 2:
			return record.Append(f, &s.Aliases)
		case 3:
			return record.String(f, &s.Load)
		case 4:
			return record.String(f, &s.LoadError)
		case 5:
			return record.String(f, &s.FragmentPath)
		case 6:
			return record.Append(f, &s.DropIns)
		case 7:
			return record.Append(f, &files)
		case 8:
			return decodeSetting(f, s, files)
		case 9:
			return decodeDep(f, s, files)
		case 10:
			return decodeDiag(f, s, files)
		}
		return nil
	})
	return s, err
}

// decodePos takes the two tags that say where something stands.
func decodePos(f record.Field, p *unit.Pos, files []string, fileTag uint32) error {
	if f.Tag != fileTag {
		return record.Int(f, &p.Line)
	}
	var n int
	if err := record.Count(f, &n); err != nil {
		return err
	}
	if n >= 1 && n <= len(files) {
		p.File = files[n-1]
	}
	return nil
}

func decodeSetting(f record.Field, s *unit.Spec, files []string) error {
	var st unit.Setting
	err := f.Message(func(f record.Field) error {
		switch f.Tag {
		case 1:
			return record.String(f, &st.Section)
		case 2:
			return record.String(f, &st.Key)
		case 3:
			return record.String(f, &st.Value)
		case 4, 5:
			return decodePos(f, &st.Pos, files, 4)
		}
		return nil
	})
	s.Settings = append(s.Settings, st)
	return err
}

func decodeDep(f record.Field, s *unit.Spec, files []string) error {
	var d unit.Dep
	err := f.Message(func(f record.Field) error {
		switch f.Tag {
		case 1:
			return record.Uint(f, &d.Rel)
		case 2:
			return record.String(f, &d.Unit)
		case 3:
			return record.String(f, &d.Path)
		case 4:
			return record.Uint(f, &d.Origin)
		case 5, 6:
			return decodePos(f, &d.Pos, files, 5)
		}
		return nil
	})
	if d.Rel < unit.NumRelations { // a relation of a newer version means nothing here
		s.Deps = append(s.Deps, d)
	}
	return err
}

func decodeDiag(f record.Field, s *unit.Spec, files []string) error {
	var d unit.Diagnostic
	err := f.Message(func(f record.Field) error {
		switch f.Tag {
		case 1:
			return record.Uint(f, &d.Severity)
		case 2:
			return record.String(f, &d.Key)
		case 3:
			return record.String(f, &d.Text)
		case 4, 5:
			return decodePos(f, &d.Pos, files, 4)
		}
		return nil
	})
	s.Diags = append(s.Diags, d)
	return err
}
