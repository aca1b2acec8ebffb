package core

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Formats of stored records.
//
// A record's version rises only when a program that does not know the new one would misread it; fields that it
// does not know it keeps. The store says which versions are in it. A program that finds a version that it cannot
// read does not begin. One that may have to make room again for the program before (Config.Hold) writes what that
// one can read, or does not begin either: whoever raises a version goes on writing the old one until Release.

// format is a kind of record, and which versions of it this program can write. It reads all up to the newest.
type format struct {
	name           string
	oldest, newest uint32
}

// firstVersion is that of all records of a store that says nothing.
const firstVersion = 1

// FormatError says that a program cannot go on with a store: it has records that are newer than what it reads, or
// it would write records that the program before cannot read.
type FormatError struct {
	Name           string // of the kind of record
	Stored         uint32
	Oldest, Newest uint32 // that this program writes
}

// Error tells both sides.
func (e *FormatError) Error() string {
	if e.Stored > e.Newest {
		return fmt.Sprintf("the state has %s records of version %d, and this program reads up to %d", e.Name, e.Stored, e.Newest)
	}
	return fmt.Sprintf("the state has %s records of version %d, and this program can write %d only, which the one before could not read", e.Name, e.Stored, e.Oldest)
}

// formats are those of this program, and of the store.
type formats struct {
	own    []format
	stored map[string]uint32
	held   bool
}

// ownFormats are the versions of today. A kind's is that of its snapshots.
func ownFormats(types map[unit.Kind]*unit.Type) []format {
	list := []format{
		{"unit", unitVersion, unitVersion}, {"spec", specVersion, specVersion}, {"engine", metaVersion, metaVersion},
		{"request", repeatVersion, repeatVersion}, {"quarantine", quarantineVersion, quarantineVersion},
	}
	for _, k := range slices.Sorted(maps.Keys(types)) {
		list = append(list, format{"kind " + string(k), types[k].Version, types[k].Version})
	}
	return list
}

func (f *formats) in(name string) uint32 {
	if v := f.stored[name]; v != 0 {
		return v
	}
	return firstVersion
}

// check compares the program with a store that has records.
func (f *formats) check() error {
	for _, o := range f.own {
		if v := f.in(o.name); v > o.newest || f.held && v < o.oldest {
			return &FormatError{o.name, v, o.oldest, o.newest}
		}
	}
	return nil
}

// version is which version of a record is to be written.
func (f *formats) version(name string) uint32 {
	for _, o := range f.own {
		if o.name == name {
			if f.held {
				return min(o.newest, f.in(name))
			}
			return o.newest
		}
	}
	return firstVersion
}

// encode writes the versions that are not the first. Records of kinds that this program does not know are in the store
// still.
func (f *formats) encode(enc *record.Encoder, tag uint32) {
	write := func(name string, v uint32) {
		if v != firstVersion {
			enc.Message(tag, func(enc *record.Encoder) {
				enc.String(1, name)
				enc.Uint(2, uint64(v))
			})
		}
	}
	for _, o := range f.own {
		write(o.name, f.version(o.name))
	}
	for _, name := range slices.Sorted(maps.Keys(f.stored)) {
		if !slices.ContainsFunc(f.own, func(o format) bool { return o.name == name }) {
			write(name, f.stored[name])
		}
	}
}

func (f *formats) decode(field record.Field) error {
	var name string
	var v uint32
	err := field.Message(func(g record.Field) error {
		switch g.Tag {
		case 1:
			return record.String(g, &name)
		case 2:
			return record.Uint(g, &v)
		}
		return nil
	})
	if err == nil {
		f.stored[name] = v
	}
	return err
}

// Release says that this program need not make room for the one before any more: from now on it writes the newest
// versions. It belongs to the engine's goroutine.
func (e *Engine) Release() {
	if e.formats.held {
		e.formats.held = false
		e.metaDirty = true
	}
}
