package unit

import "time"

// Common are the settings of [Unit] that the engine acts on, whatever the kind
// (man systemd.unit(5), [UNIT] SECTION OPTIONS). Relations are not here but in Spec.Deps.
type Common struct {
	Description             string
	Documentation           []string
	DefaultDependencies     bool
	RefuseManualStart       bool
	RefuseManualStop        bool
	AllowIsolate            bool
	IgnoreOnIsolate         bool
	StopWhenUnneeded        bool
	SurviveFinalKill        bool
	CollectInactiveOrFailed bool // CollectMode=inactive-or-failed

	OnFailureJobMode JobMode
	OnSuccessJobMode JobMode

	JobTimeout        time.Duration // Infinity: none
	JobRunningTimeout time.Duration
	JobTimeoutAction  string

	StartLimitInterval time.Duration
	StartLimitBurst    int
	StartLimitAction   string

	SuccessAction, FailureAction         string
	SuccessActionExit, FailureActionExit int    // -1: not set
	RebootArgument                       string // for reboot(2), with the actions that reboot
	JobTimeoutRebootArgument             string
	SourcePath                           string // what the unit was generated from

	Conditions []Condition // in file order; Assert ones included

	jobRunningTimeoutSet bool // JobTimeoutSec= no longer changes JobRunningTimeout
}

// NewCommon gives the defaults of systemd 252.
func NewCommon() Common {
	return Common{
		DefaultDependencies: true,
		OnFailureJobMode:    ModeReplace, OnSuccessJobMode: ModeFail,
		JobTimeout: Infinity, JobRunningTimeout: Infinity, JobTimeoutAction: "none",
		StartLimitInterval: 10 * time.Second, StartLimitBurst: 5, StartLimitAction: "none",
		SuccessAction: "none", FailureAction: "none",
		SuccessActionExit: -1, FailureActionExit: -1,
	}
}

// Condition is one Condition...= or Assert...= line.
type Condition struct {
	Type    string // "PathExists", without Condition or Assert
	Param   string
	Trigger bool // "|": one of all triggering ones suffices
	Negate  bool // "!"
	Assert  bool
}
