package core

import (
	"fmt"

	"github.com/sysmaster-go/sysmaster/unit"
)

// JobID numbers jobs; it is never reused while the machine is up.
type JobID uint32

// JobView is an immutable picture of one job.
type JobView struct {
	ID        JobID
	Unit      unit.Name
	Type      unit.JobType
	Running   bool // false: waiting
	Unordered bool // it waits for nobody, and nobody for it
	Result    unit.JobResult
}

// Times are the time stamps of a unit's state changes; zero means "never".
type Times struct {
	StateChange   unit.Stamp
	InactiveExit  unit.Stamp
	ActiveEnter   unit.Stamp
	ActiveExit    unit.Stamp
	InactiveEnter unit.Stamp
	Condition     unit.Stamp
	Assert        unit.Stamp
}

// UnitView is an immutable picture of one unit, taken after a commit. It may be kept
// and read from any goroutine.
type UnitView struct {
	Name       unit.Name
	Spec       *unit.Spec
	Type       *unit.Type // nil when the kind is not supported or the unit is not loaded
	Common     *unit.Common
	Load       unit.LoadState
	LoadError  string
	State      unit.State
	CGroup     string // relative to the managed root, empty for none
	Invocation [16]byte
	Job        *JobView // the unit's job, nil for none
	Times      Times
	Procs      []ProcView

	Quarantine *Quarantine // nil: it is not quarantined
	// Changes are the unit's last ones, oldest first: see Change. Read only.
	Changes []Change

	ConditionResult bool
	AssertResult    bool

	// Relations computes the names of related units by relation, each sorted. It costs one
	// pass over all units the first time after a load, so ask only when it is needed.
	Relations func() *[unit.NumRelations][]unit.Name

	snapshot []byte
	version  uint32
}

// ProcView is one process that a unit holds.
type ProcView struct {
	Role string
	Proc unit.Proc
}

// Props are the kind's own properties. They are computed here, in the caller's goroutine,
// from the immutable snapshot.
func (u *UnitView) Props() ([]unit.Value, error) {
	if u.Quarantine != nil {
		return []unit.Value{
			{Name: "Result", Signature: "s", V: u.State.Result},
			{Name: "StatusText", Signature: "s", V: u.Quarantine.String()},
		}, nil
	}
	if u.Type == nil || u.Type.Restore == nil || u.Load != unit.LoadLoaded {
		return nil, nil
	}
	x, err := u.Type.Restore(u.Spec, u.version, u.snapshot)
	if err != nil {
		return nil, fmt.Errorf("cannot read the state of %s: %w", u.Name, err)
	}
	return x.Props(), nil
}

// View is an immutable picture of all units and jobs after one commit. The one that Config.Readable got lacks what
// recovery had not found out by then: Units, Len, Unit of a name that nobody stored, and UnitView.Relations wait for it, and tell what
// the newest View tells.
type View struct {
	Turn  uint64
	names map[unit.Name]int // shared between views, only replaced as a whole
	units []*chunk
	count int
	jobs  []*JobView // sorted by ID
	state string     // "starting", "running", "degraded", "stopping"

	troubles []string
	early    *early // nil: it tells everything
}

// chunkSize balances what is copied per commit against the number of chunks.
const chunkSize = 64

type chunk [chunkSize]*UnitView

// Unit finds a unit by any of its names; nil when it is not loaded.
func (v *View) Unit(name unit.Name) *UnitView {
	i, ok := v.names[name]
	if !ok {
		if w := v.wait(); w != v {
			return w.Unit(name)
		}
		return nil
	}
	return v.units[i/chunkSize][i%chunkSize]
}

// Units calls yield for each unit in the order in which they were loaded, until it returns false.
func (v *View) Units(yield func(*UnitView) bool) {
	for _, c := range v.wait().units {
		for _, u := range c {
			if u != nil && !yield(u) {
				return
			}
		}
	}
}

// Len is the number of units.
func (v *View) Len() int { return v.wait().count }

// Jobs are all jobs sorted by ID. The slice is shared: read only.
func (v *View) Jobs() []*JobView { return v.jobs }

// SystemState is systemd's word for the whole ("running", "degraded", "starting", "stopping").
func (v *View) SystemState() string { return v.state }

// Troubles says in a line each what is wrong with the manager itself: that it is a rescue, what its last recovery
// found damaged or lost, why it records nothing at present. The slice is shared: read only.
func (v *View) Troubles() []string { return v.troubles }
