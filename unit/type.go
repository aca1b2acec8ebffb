package unit

// Type describes one kind of unit as a value. A nil function means "not supported".
type Type struct {
	Kind    Kind
	Version uint32  // of Snapshot's data
	Keys    *KeySet // all sections that files of this kind may have, [Unit] and [Install] included
	// NoFile: units of this kind exist without a file (slices).
	NoFile bool
	// StartLimit: StartLimitBurst= applies (man systemd.unit(5)).
	StartLimit bool
	// IgnoreOnIsolate is the default of the setting of that name.
	IgnoreOnIsolate bool
	// AfterMembers: the unit is ordered after all units it pulls in, unless one of the two
	// has DefaultDependencies=no (targets).
	AfterMembers bool
	// NewConfig makes the configuration that all of Keys' setters accept, with its defaults;
	// the loader replays assignments into it to validate them. Nil: values are not checked.
	NewConfig func() any
	// New makes a unit in its initial state. An error is a bad setting: the unit's load state says so.
	New func(*Spec) (Unit, error)
	// Restore makes a unit in the state that Snapshot wrote with the given version: at
	// recovery, and at daemon-reload with a new Spec.
	Restore func(spec *Spec, version uint32, snapshot []byte) (Unit, error)
	// Implied lists the dependencies that follow from the kind and the settings: implicit
	// ones always, default ones unless DefaultDependencies=no.
	Implied func(*Spec) []Dep
}

// Unit is the state machine of one unit.
type Unit interface {
	// Handle takes one event. It is pure: what it may use is in tx, what it wants is emitted
	// into tx. A failure is a state, not an error; a panic discards tx and fails the unit.
	Handle(tx *Tx, ev Event)
	// State is the unit's present state; cheap.
	State() State
	// Snapshot appends all that Restore needs to buf and returns it.
	Snapshot(buf []byte) []byte
	// Props are the kind's own properties for clients; may allocate, is not on the hot path.
	Props() []Value
}

// Refuser is a Unit that may have settings which are not implemented and must not be left out.
type Refuser interface {
	// Refusals are these settings as in a unit file, "ProtectSystem=strict". While there is one every start is refused, unless the
	// kind was told to do without.
	Refusals() []string
}

// FDHolder is a Unit that offers descriptors to the units it triggers.
type FDHolder interface {
	FDs() []FDRef
}

// ProcHolder is a Unit that has processes of its own.
type ProcHolder interface {
	// Procs calls f for each live process with its role ("main", "control").
	Procs(f func(role string, p Proc))
}

// Decoded is a Unit that has decoded its Spec, so that nobody need do so again. What it gives follows from the Spec alone.
type Decoded interface {
	// Common are the settings of [Unit], with the type's defaults. They are shared: read only, for ever.
	Common() *Common
	// Implied is what Type.Implied gives for the Spec.
	Implied() []Dep
}

// Value is one property as a D-Bus client sees it.
type Value struct {
	Name      string
	Signature string // D-Bus signature of V: "s", "t", "as", "a(sasbttttuii)"
	V         any    // a Go value that godbus can encode under Signature
}
