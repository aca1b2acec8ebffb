package unit

// ActiveState is the coarse state that every kind shares (man systemctl(1), "is-active").
type ActiveState uint8

const (
	Inactive ActiveState = iota
	Activating
	Active
	Reloading
	Deactivating
	Failed
)

// String is systemd's word for s.
func (s ActiveState) String() string {
	switch s {
	case Inactive:
		return "inactive"
	case Activating:
		return "activating"
	case Active:
		return "active"
	case Reloading:
		return "reloading"
	case Deactivating:
		return "deactivating"
	case Failed:
		return "failed"
	}
	return "unknown"
}

// IsUp reports whether dependants of a unit in s may consider it started.
func (s ActiveState) IsUp() bool { return s == Active || s == Reloading }

// IsDown reports whether nothing of the unit is left.
func (s ActiveState) IsDown() bool { return s == Inactive || s == Failed }

// State is what a unit shows to the engine and to clients.
type State struct {
	Active ActiveState
	Sub    string // the kind's own word: "running", "start-pre", "listening"
	Result string // why the unit last went down, "success" or systemd's word ("exit-code", "timeout", "start-limit-hit")
}

// LoadState says what came of loading a unit's files (man systemctl(1), LOAD).
type LoadState string

const (
	LoadLoaded     LoadState = "loaded"
	LoadNotFound   LoadState = "not-found"
	LoadBadSetting LoadState = "bad-setting"
	LoadError      LoadState = "error"
	LoadMasked     LoadState = "masked"
)
