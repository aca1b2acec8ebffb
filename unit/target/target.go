package target

import "github.com/sysmaster-go/sysmaster/unit"

// Version of the snapshots that this package writes.
const Version = 1

const tagActive = 1

// Type describes targets.
func Type() unit.Type {
	keys := unit.NewKeySet(unit.CommonKeys(), unit.InstallKeys())
	return unit.Type{
		Kind: unit.KindTarget, Version: Version, Keys: keys, AfterMembers: true,
		NewConfig: func() any { c := unit.NewCommon(); return &c },
		New:       func(*unit.Spec) (unit.Unit, error) { return new(target), nil },
		Restore:   restore,
		Implied: func(spec *unit.Spec) []unit.Dep {
			c := unit.NewCommon()
			if err := unit.Decode(spec, keys, &c); err != nil || !c.DefaultDependencies {
				return nil // the engine reports what does not decode
			}
			return []unit.Dep{
				{Rel: unit.Conflicts, Unit: "shutdown.target", Origin: unit.OriginDefault},
				{Rel: unit.Before, Unit: "shutdown.target", Origin: unit.OriginDefault},
			}
		},
	}
}

func restore(_ *unit.Spec, _ uint32, snapshot []byte) (unit.Unit, error) {
	t := new(target)
	d := unit.NewDecoder(snapshot)
	for d.Next() {
		if d.Tag() == tagActive {
			t.active = d.Bool()
		}
	}
	return t, d.Err()
}

type target struct{ active bool }

// Handle starts and stops at once: a target is nothing but its dependencies.
func (t *target) Handle(_ *unit.Tx, ev unit.Event) {
	switch ev.(type) {
	case unit.Start:
		t.active = true
	case unit.Stop:
		t.active = false
	}
}

// State is active/active or inactive/dead.
func (t *target) State() unit.State {
	if t.active {
		return unit.State{Active: unit.Active, Sub: "active", Result: "success"}
	}
	return unit.State{Active: unit.Inactive, Sub: "dead", Result: "success"}
}

// CanReload is false: there is nothing to reload.
func (t *target) CanReload() bool { return false }

// Snapshot appends the state.
func (t *target) Snapshot(buf []byte) []byte {
	e := unit.NewEncoder(buf)
	e.Bool(tagActive, t.active)
	return e.Data()
}

// Props are none: targets have no properties of their own.
func (t *target) Props() []unit.Value { return nil }
