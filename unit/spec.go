package unit

import "strconv"

// Spec is the effective specification of one unit: what its files, drop-ins,
// links and defaults amount to. It is immutable after loading, and it is state:
// the engine stores it, so that recovery never reads a unit file.
type Spec struct {
	Name      Name
	Aliases   []Name // other names under which the unit was loaded, sorted
	Load      LoadState
	LoadError string // for clients, when Load is not LoadLoaded

	FragmentPath string   // absolute path of the unit's file; empty when there is none
	DropIns      []string // absolute paths, in the order in which they were applied
	// Files is what these files looked like when they were read, in one number that only their reader understands; 0 if it is
	// not known.
	Files uint64

	// Settings are the accepted assignments of all files in order, specifiers expanded,
	// relations left out (they are in Deps). A type's configuration is made by replaying them (Decode).
	Settings []Setting
	Deps     []Dep // from files and links; what the type implies is added by the engine
	Diags    []Diagnostic
}

// Setting is one accepted assignment.
type Setting struct {
	Section, Key, Value string
	Pos                 Pos
}

// Pos is a place in a file, for messages. The zero Pos means "from no file".
type Pos struct {
	File string
	Line int // from 1; 0 when the whole file (or a link) is meant
}

func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// Relation is one direction of a dependency between two units (man systemd.unit(5)).
type Relation uint8

// Each relation is followed by its inverse, so that r^1 is the inverse of r.
const (
	Requires Relation = iota
	RequiredBy
	Requisite
	RequisiteOf
	Wants
	WantedBy
	BindsTo
	BoundBy
	PartOf
	ConsistsOf
	Upholds
	UpheldBy
	Conflicts
	ConflictedBy
	Before
	After
	OnFailure
	OnFailureOf
	OnSuccess
	OnSuccessOf
	Triggers
	TriggeredBy
	PropagatesReloadTo
	ReloadPropagatedFrom
	PropagatesStopTo
	StopPropagatedFrom
	JoinsNamespaceOf
	NamespaceJoinedBy
	RequiresMountsFor // Dep.Path, not Dep.Unit; resolved by the engine to mount units
	MountsRequiredBy
	InSlice
	SliceOf
	NumRelations
)

// Inverse is the relation seen from the other unit.
func (r Relation) Inverse() Relation { return r ^ 1 }

// String is systemd's property name.
func (r Relation) String() string {
	if int(r) < len(relationNames) {
		return relationNames[r]
	}
	return "Relation(" + strconv.Itoa(int(r)) + ")"
}

var relationNames = [NumRelations]string{
	"Requires", "RequiredBy", "Requisite", "RequisiteOf", "Wants", "WantedBy",
	"BindsTo", "BoundBy", "PartOf", "ConsistsOf", "Upholds", "UpheldBy",
	"Conflicts", "ConflictedBy", "Before", "After", "OnFailure", "OnFailureOf",
	"OnSuccess", "OnSuccessOf", "Triggers", "TriggeredBy",
	"PropagatesReloadTo", "ReloadPropagatedFrom", "PropagatesStopTo", "StopPropagatedFrom",
	"JoinsNamespaceOf", "NamespaceJoinedBy", "RequiresMountsFor", "MountsRequiredBy",
	"Slice", "SliceOf",
}

// Origin says who asked for a dependency, so that one source can withdraw its own.
type Origin uint8

const (
	OriginFile     Origin = iota // a setting or a .wants/.requires link
	OriginImplicit               // follows from the unit's kind or other settings
	OriginDefault                // DefaultDependencies=yes
	OriginUdev
	OriginKernel
	OriginRuntime
)

// Dep is one dependency of the unit whose Spec holds it.
type Dep struct {
	Rel    Relation
	Unit   Name
	Path   string // RequiresMountsFor only
	Origin Origin
	Pos    Pos
}

// Severity of a Diagnostic.
type Severity uint8

const (
	Warning Severity = iota // the assignment is ignored, the unit loads
	Error                   // the unit does not load
)

// Diagnostic is one complaint about a unit's files: where, what, and what would be right.
type Diagnostic struct {
	Severity Severity
	Pos      Pos
	Key      string // "Section.Key", empty when it is not about a key
	Text     string // what is wrong and what is valid
}

func (d Diagnostic) String() string {
	s := d.Pos.String()
	if d.Key != "" {
		s += ": " + d.Key
	}
	return s + ": " + d.Text
}
