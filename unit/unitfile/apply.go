package unitfile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

const (
	diagsMax    = 100     // per unit; how many more there are is told
	diagTextMax = 400     // bytes
	depsMax     = 16384   // per unit
	settingsMax = 65536   // per unit
	bytesMax    = 4 << 20 // of all values of a unit
)

type depID struct {
	rel unit.Relation
	to  string
}

// apply reads one file into the Spec. A fragment that cannot be read to its end, or has a
// bad value where that matters, costs the unit (false); a drop-in costs itself from there on,
// as in systemd.
func (ld *load) apply(file, text string, dropIn bool) bool {
	known := false // the section is one of this kind
	for a, err := range Parse(file, text) {
		pos := unit.Pos{File: file, Line: a.Line}
		switch {
		case err != nil:
			if !ld.syntax(err, dropIn) {
				return false
			}
		case a.Key == "":
			known = ld.section(a.Section, pos)
		case known:
			if !ld.assign(a, pos, dropIn) {
				return false
			}
		}
	}
	return true
}

// syntax reports a line that makes no sense; false ends the file.
func (ld *load) syntax(err *SyntaxError, dropIn bool) bool {
	pos := unit.Pos{File: err.File, Line: err.Line}
	switch {
	case !err.Fatal:
		ld.warn(pos, "", err.Text)
	case dropIn:
		ld.warn(pos, err.Key, err.Text+"; the rest of the drop-in is ignored")
	default:
		ld.fail(unit.LoadError, pos, err.Text)
	}
	return !err.Fatal
}

// section reports whether assignments of the section count.
func (ld *load) section(name string, pos unit.Pos) bool {
	if ld.typ.Keys.HasSection(name) {
		return true
	}
	switch {
	case strings.HasPrefix(name, "X-"):
	case len(ld.spec.Diags) >= diagsMax: // comparing costs more than counting
		ld.more++
	default:
		ld.warn(pos, "", fmt.Sprintf("unknown section [%s] is ignored (%s)", clip(name), ld.nearestSection(name)))
	}
	return false
}

// assign handles one assignment; false ends the file.
func (ld *load) assign(a Assignment, pos unit.Pos, dropIn bool) bool {
	k := ld.typ.Keys.Lookup(a.Section, a.Key)
	if k == nil {
		if !strings.HasPrefix(a.Key, "X-") {
			ld.unknownKey(a, pos)
		}
		return true
	}
	err := ld.take(k, a.Value, pos)
	if err == nil {
		return true
	}
	id := k.Section + "." + k.Name
	text := err.Error()
	var partial *unit.Partial
	switch {
	case errors.As(err, &partial):
		ld.warn(pos, id, text)
		return true
	case k.OnError != unit.Error || tolerated(a.Value):
		ld.warn(pos, id, text+"; the line is ignored")
		return true
	case dropIn:
		ld.warn(pos, id, text+"; the rest of the drop-in is ignored")
		return false
	}
	ld.fail(unit.LoadBadSetting, pos, text)
	ld.spec.Diags[len(ld.spec.Diags)-1].Key = id
	return false
}

// tolerated tells a value that begins with "-", perhaps among other marks of an Exec line:
// in such a one systemd forgives what otherwise costs the unit.
func tolerated(value string) bool {
	marks := len(value) - len(strings.TrimLeft(value, "-@:+!"))
	return strings.IndexByte(value[:marks], '-') >= 0
}

// take expands a value as its key's form asks for, checks it and keeps it.
func (ld *load) take(k *unit.Key, value string, pos unit.Pos) (err error) {
	switch k.Form {
	case unit.FormDeps:
		for word := range strings.FieldsFuncSeq(value, isBlank) {
			ld.addExpanded(k, word, pos)
		}
		return nil
	case unit.FormPaths:
		return ld.addPaths(k, value, pos)
	case unit.FormText:
		value, err = ld.scope.expand(value)
	case unit.FormWords:
		// "\;" is no escape but an argument that is not the separator.
		if e := unit.UnknownEscape(strings.ReplaceAll(value, `\;`, "")); e != "" {
			ld.warn(pos, k.Section+"."+k.Name, "unknown escape "+e+` is kept as it is (valid: systemd.syntax(7), QUOTING; \\ for a backslash)`)
		}
		value, err = ld.scope.expandWords(value)
	}
	if err != nil {
		return err
	}
	if len(ld.spec.Settings) >= settingsMax || ld.size+len(value) > bytesMax {
		return errors.New("the unit has too many settings")
	}
	if ld.scratch != nil {
		err = k.Apply(ld.scratch, value)
		var partial *unit.Partial
		if err != nil && !errors.As(err, &partial) {
			return err
		}
	}
	if k.Name == "Slice" {
		ld.scope.slice = value
	}
	ld.size += len(value)
	// Section and Key are the table's strings, and the value is a copy: a Spec must not
	// keep the text of whole files alive.
	ld.spec.Settings = append(ld.spec.Settings, unit.Setting{Section: k.Section, Key: k.Name, Value: strings.Clone(value), Pos: pos})
	return err
}

func isBlank(r rune) bool { return r < 0x80 && strings.IndexByte(blanks, byte(r)) >= 0 }

func (ld *load) addExpanded(k *unit.Key, word string, pos unit.Pos) {
	id := k.Section + "." + k.Name
	v, err := ld.scope.expand(word)
	if err != nil {
		ld.warn(pos, id, clip(word)+" is ignored: "+err.Error())
		return
	}
	ld.addUnit(k.Rel, v, pos, id)
}

// addUnit adds a dependency on a unit. A template stands for its instance of the same name
// as this unit's instance, or prefix.
func (ld *load) addUnit(rel unit.Relation, word string, pos unit.Pos, key string) {
	name, err := unit.ParseName(word)
	if err == nil && name.IsTemplate() {
		instance := ld.spec.Name.Instance()
		if instance == "" {
			instance = ld.spec.Name.Prefix()
		}
		name, err = unit.ParseName(string(name.WithInstance(instance)))
	}
	switch {
	case err != nil:
		ld.warn(pos, key, fmt.Sprintf("%q is not a unit name and is ignored (valid: such as ssh.service)", clip(word)))
		return
	case name == ld.spec.Name:
		ld.warn(pos, key, "a unit cannot depend on itself; the name is ignored")
		return
	}
	ld.addDep(unit.Dep{Rel: rel, Unit: name, Origin: unit.OriginFile, Pos: pos}, string(name), key)
}

func (ld *load) addPaths(k *unit.Key, value string, pos unit.Pos) error {
	value, err := ld.scope.expandWords(value)
	if err != nil {
		return err
	}
	words, err := unit.SplitWords(value)
	if err != nil {
		return err
	}
	id := k.Section + "." + k.Name
	for _, w := range words {
		p, err := unit.ParsePath(w)
		if err != nil {
			ld.warn(pos, id, err.Error()+" and is ignored")
			continue
		}
		ld.addDep(unit.Dep{Rel: unit.RequiresMountsFor, Path: p, Origin: unit.OriginFile, Pos: pos}, p, id)
	}
	return nil
}

// addDep adds a dependency unless it is there.
func (ld *load) addDep(d unit.Dep, to, key string) {
	id := depID{d.Rel, to}
	if _, dup := ld.deps[id]; dup {
		return
	}
	if len(ld.deps) >= depsMax {
		ld.warn(d.Pos, key, "the unit has too many dependencies; the name is ignored")
		return
	}
	d.Unit, d.Path = unit.Name(strings.Clone(string(d.Unit))), strings.Clone(d.Path)
	ld.deps[depID{d.Rel, string(d.Unit) + d.Path}] = struct{}{}
	ld.spec.Deps = append(ld.spec.Deps, d)
}

func (ld *load) warn(pos unit.Pos, key, text string) { ld.diag(unit.Warning, pos, key, text) }

// diag keeps a diagnostic while there is room; an error always finds some.
func (ld *load) diag(sev unit.Severity, pos unit.Pos, key, text string) {
	if len(ld.spec.Diags) >= diagsMax && sev != unit.Error {
		ld.more++
		return
	}
	if len(text) > diagTextMax {
		text = strings.ToValidUTF8(text[:diagTextMax], "") + "..."
	}
	ld.spec.Diags = append(ld.spec.Diags, unit.Diagnostic{Severity: sev, Pos: pos, Key: key, Text: strings.Clone(text)})
}

func (ld *load) closeDiags() {
	if ld.more > 0 {
		ld.spec.Diags = append(ld.spec.Diags, unit.Diagnostic{
			Pos: unit.Pos{File: ld.spec.FragmentPath}, Text: fmt.Sprintf("%d more complaints are left out", ld.more)})
	}
}
