package execspec

import (
	"slices"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Settings are all that a kind with processes shares with the others.
type Settings struct {
	Exec   Context
	Kill   KillContext
	CGroup CGroupContext
}

// NewSettings gives the defaults.
func NewSettings() Settings {
	return Settings{Exec: NewContext(), Kill: NewKillContext(), CGroup: NewCGroupContext()}
}

// SettingsKeys are Keys, KillKeys and CGroupKeys of section, bound to *Settings.
func SettingsKeys(section string) []unit.Key {
	return slices.Concat(
		unit.Lift(Keys(section), func(s *Settings) *Context { return &s.Exec }),
		unit.Lift(KillKeys(section), func(s *Settings) *KillContext { return &s.Kill }),
		unit.Lift(CGroupKeys(section), func(s *Settings) *CGroupContext { return &s.CGroup }))
}

// Refused are the protective settings that are set and not implemented, as in a unit file.
func (s *Settings) Refused() []string {
	var out []string
	for _, r := range s.Exec.Refused {
		out = append(out, r.String())
	}
	for _, r := range s.CGroup.Refused {
		out = append(out, r.String())
	}
	return out
}

// sections says in which section each kind has its settings; those without processes have
// control group settings only.
var sections = map[unit.Kind]string{
	unit.KindService: "Service", unit.KindSocket: "Socket", unit.KindMount: "Mount", unit.KindSwap: "Swap",
	unit.KindSlice: "Slice", unit.KindScope: "Scope",
}

// Decoder decodes Specs. Make it once: it holds the keys of every section. Safe for
// concurrent use.
type Decoder struct{ sets map[unit.Kind]*unit.KeySet }

// NewDecoder prepares the keys of all kinds.
func NewDecoder() *Decoder {
	d := &Decoder{sets: make(map[unit.Kind]*unit.KeySet, len(sections))}
	for kind, section := range sections {
		d.sets[kind] = unit.NewKeySet(SettingsKeys(section))
	}
	return d
}

// Decode gives the settings of spec by its kind; kinds without any get the defaults.
func (d *Decoder) Decode(spec *unit.Spec) (*Settings, error) {
	s := NewSettings()
	set := d.sets[spec.Name.Kind()]
	if set == nil {
		return &s, nil
	}
	if err := unit.Decode(spec, set, &s); err != nil {
		return nil, err
	}
	return &s, nil
}
