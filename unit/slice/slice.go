package slice

import (
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// Version of the snapshots that this package writes.
const Version = 1

const (
	tagActive = 1
	tagAsked  = 2
)

// config is what a slice's files say.
type config struct {
	common unit.Common
	cgroup execspec.CGroupContext
}

func newConfig() *config {
	return &config{common: unit.NewCommon(), cgroup: execspec.NewCGroupContext()}
}

// Type describes slices.
func Type() unit.Type {
	keys := unit.NewKeySet(
		unit.Lift(unit.CommonKeys(), func(c *config) *unit.Common { return &c.common }),
		unit.InstallKeys(),
		unit.Lift(execspec.CGroupKeys("Slice"), func(c *config) *execspec.CGroupContext { return &c.cgroup }),
	)
	return unit.Type{
		Kind: unit.KindSlice, Version: Version, Keys: keys, NoFile: true, IgnoreOnIsolate: true,
		NewConfig: func() any { return newConfig() },
		New:       func(spec *unit.Spec) (unit.Unit, error) { return &slice{name: spec.Name}, nil },
		Restore: func(spec *unit.Spec, _ uint32, snapshot []byte) (unit.Unit, error) {
			return restore(spec.Name, snapshot)
		},
		Implied: func(spec *unit.Spec) []unit.Dep { return implied(spec, keys) },
	}
}

func implied(spec *unit.Spec, keys *unit.KeySet) []unit.Dep {
	var deps []unit.Dep
	if p := spec.Name.SliceParent(); p != "" {
		deps = append(deps,
			unit.Dep{Rel: unit.InSlice, Unit: p, Origin: unit.OriginImplicit},
			unit.Dep{Rel: unit.Requires, Unit: p, Origin: unit.OriginImplicit},
			unit.Dep{Rel: unit.After, Unit: p, Origin: unit.OriginImplicit})
	}
	c := newConfig()
	if err := unit.Decode(spec, keys, c); err != nil || !c.common.DefaultDependencies || perpetual(spec.Name) {
		return deps // the engine reports what does not decode
	}
	return append(deps,
		unit.Dep{Rel: unit.Conflicts, Unit: "shutdown.target", Origin: unit.OriginDefault},
		unit.Dep{Rel: unit.Before, Unit: "shutdown.target", Origin: unit.OriginDefault})
}

func restore(name unit.Name, snapshot []byte) (unit.Unit, error) {
	s := &slice{name: name}
	d := unit.NewDecoder(snapshot)
	for d.Next() {
		switch d.Tag() {
		case tagActive:
			s.active = d.Bool()
		case tagAsked:
			s.asked = d.Uint()
		}
	}
	return s, d.Err()
}

type slice struct {
	name   unit.Name
	active bool
	asked  uint64 // the effect whose answer is awaited
}

// Handle realizes and removes the control group; the state does not wait for it.
func (s *slice) Handle(tx *unit.Tx, ev unit.Event) {
	switch ev := ev.(type) {
	case unit.Start:
		s.asked = tx.Emit(unit.Realize{})
		s.active = true
	case unit.Stop:
		if s.Perpetual() {
			tx.Refuse("this slice is always there")
			return
		}
		s.asked = tx.Emit(unit.RemoveCgroup{})
		s.active = false
	case unit.Done:
		if ev.Seq == s.asked && ev.Err != "" {
			tx.Emit(unit.Say{Level: unit.LevelWarning, Text: ev.Err})
		}
	}
}

// State is active/active or inactive/dead.
func (s *slice) State() unit.State {
	if s.active {
		return unit.State{Active: unit.Active, Sub: "active", Result: "success"}
	}
	return unit.State{Active: unit.Inactive, Sub: "dead", Result: "success"}
}

// Perpetual: the root slice and system.slice exist as long as the manager does (man
// systemd.special(7)); they take no part in the shutdown, which runs inside them.
func (s *slice) Perpetual() bool { return perpetual(s.name) }

func perpetual(n unit.Name) bool { return n == "-.slice" || n == "system.slice" }

// CanReload is false: there is nothing to reload.
func (s *slice) CanReload() bool { return false }

// Snapshot appends the state.
func (s *slice) Snapshot(buf []byte) []byte {
	e := unit.NewEncoder(buf)
	e.Bool(tagActive, s.active)
	e.Uint(tagAsked, s.asked)
	return e.Data()
}

// Props are none beyond those of the control group.
func (s *slice) Props() []unit.Value { return nil }
