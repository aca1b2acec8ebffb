package unit

import (
	"errors"
	"fmt"
)

// Form says how the loader treats a value before the key's setter sees it.
type Form uint8

const (
	// FormRaw is taken as written; "%" means itself.
	FormRaw Form = iota
	// FormText has its specifiers expanded in place.
	FormText
	// FormWords is a list of words with quotes and escapes; specifiers are expanded
	// inside words, and what they expand to is escaped, so that it never splits.
	FormWords
	// FormDeps is a blank-separated list of unit names, each expanded by itself; the
	// loader turns it into Deps and never calls a setter.
	FormDeps
	// FormPaths is a blank-separated list of paths that becomes RequiresMountsFor Deps.
	FormPaths
)

// Support says what this implementation does with a key.
type Support uint8

const (
	// Acts: the key does what systemd's manual says.
	Acts Support = iota
	// Protective: the key asks for protection that is not implemented. A unit that
	// sets it to anything but its default refuses to start, unless the administrator
	// allowed degraded starts.
	Protective
	// Inert: accepted and checked, without effect; Doc says why that is harmless.
	Inert
)

// Key describes one setting. The loader, linter, converter, generated
// reference and D-Bus export all read it; there is no second list.
type Key struct {
	Section, Name string
	Form          Form
	Rel           Relation // for FormDeps
	Syntax        string   // "boolean", "time span in seconds", "yes|no|auto": what a message calls valid
	Default       string
	Doc           string // one line for the generated reference
	Support       Support
	OnError       Severity // Error: a bad value costs the unit, Warning: only the assignment
	set           func(cfg any, value string) error
}

// Partial is what a setter returns when it applied the valid part of an assignment, as lists
// do whose invalid entries are ignored one by one: the assignment is accepted, Text becomes a warning.
type Partial struct{ Text string }

func (e *Partial) Error() string { return e.Text }

func isPartial(err error) bool {
	var p *Partial
	return errors.As(err, &p)
}

// Bind attaches the setter: set parses value into the configuration T. It is called
// once per assignment, in order; an empty value means "reset" where the manual says so.
// A setter must leave cfg unchanged when it returns an error other than *Partial.
func Bind[T any](k Key, set func(cfg *T, value string) error) Key {
	k.set = func(cfg any, value string) error { return set(cfg.(*T), value) }
	return k
}

// Lift makes keys that were bound to Inner usable with an Outer that contains it.
func Lift[Outer, Inner any](keys []Key, inner func(*Outer) *Inner) []Key {
	out := make([]Key, len(keys))
	for i, k := range keys {
		if set := k.set; set != nil {
			k.set = func(cfg any, value string) error { return set(inner(cfg.(*Outer)), value) }
		}
		out[i] = k
	}
	return out
}

// Apply parses value into cfg, which must be the type the key was bound to. Keys
// without a setter accept everything.
func (k *Key) Apply(cfg any, value string) error {
	if k.set == nil {
		return nil
	}
	return k.set(cfg, value)
}

// KeySet finds keys by section and name. Safe for concurrent use after NewKeySet.
type KeySet struct {
	sections map[string]map[string]*Key // by section, then name
	list     []Key
}

// NewKeySet indexes keys; a key given twice is a bug of the caller and panics.
func NewKeySet(groups ...[]Key) *KeySet {
	s := &KeySet{sections: make(map[string]map[string]*Key)}
	for _, g := range groups {
		s.list = append(s.list, g...)
	}
	for i := range s.list {
		k := &s.list[i]
		names := s.sections[k.Section]
		if names == nil {
			names = make(map[string]*Key)
			s.sections[k.Section] = names
		}
		if names[k.Name] != nil {
			panic(fmt.Sprintf("unit: key %s.%s is defined twice", k.Section, k.Name))
		}
		names[k.Name] = k
	}
	return s
}

// Lookup finds a key; nil when there is none.
func (s *KeySet) Lookup(section, name string) *Key { return s.sections[section][name] }

// Keys are all keys, in the order in which they were given. The slice is shared: read only.
func (s *KeySet) Keys() []Key { return s.list }

// HasSection reports whether any key belongs to section.
func (s *KeySet) HasSection(section string) bool { return s.sections[section] != nil }

// Decode replays the settings of spec that keys know into cfg. The loader has already
// accepted them, so an error means that spec came from another version; it names the setting.
func Decode(spec *Spec, keys *KeySet, cfg any) error {
	section, names := "", keys.sections[""] // of the setting before: they come together
	for i := range spec.Settings {
		st := &spec.Settings[i]
		if st.Section != section {
			section, names = st.Section, keys.sections[st.Section]
		}
		k := names[st.Key]
		if k == nil {
			continue
		}
		if err := k.Apply(cfg, st.Value); err != nil && !isPartial(err) {
			return fmt.Errorf("cannot apply %s=%s: %s: %w", st.Key, st.Value, st.Pos, err)
		}
	}
	return nil
}
