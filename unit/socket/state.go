package socket

import "github.com/sysmaster-go/sysmaster/unit"

// phase is where the machine stands; its words are systemd's sub states.
type phase uint8

const (
	dead phase = iota
	startPre
	startChown // the sockets are being made
	startPost
	listening
	running
	stopPre
	stopPreSigterm
	stopPreSigkill
	stopPost
	finalSigterm
	finalSigkill
	failed
	numPhases
)

var phases = [numPhases]struct {
	word   string
	active unit.ActiveState
}{
	dead:           {"dead", unit.Inactive},
	startPre:       {"start-pre", unit.Activating},
	startChown:     {"start-chown", unit.Activating},
	startPost:      {"start-post", unit.Activating},
	listening:      {"listening", unit.Active},
	running:        {"running", unit.Active},
	stopPre:        {"stop-pre", unit.Deactivating},
	stopPreSigterm: {"stop-pre-sigterm", unit.Deactivating},
	stopPreSigkill: {"stop-pre-sigkill", unit.Deactivating},
	stopPost:       {"stop-post", unit.Deactivating},
	finalSigterm:   {"final-sigterm", unit.Deactivating},
	finalSigkill:   {"final-sigkill", unit.Deactivating},
	failed:         {"failed", unit.Failed},
}

func (p phase) String() string { return phases[p].word }

func (p phase) starting() bool { return p >= startPre && p <= startPost }
func (p phase) up() bool       { return p == listening || p == running }
func (p phase) stopping() bool { return p >= stopPre && p <= finalSigkill }
func (p phase) down() bool     { return p == dead || p == failed }

// open reports whether sockets exist in p, or may.
func (p phase) open() bool { return p >= startChown && p <= stopPreSigkill }

// result says why the socket went down; its words are systemd's.
type result uint8

const (
	success result = iota
	resources
	timeout
	exitCode
	signal
	coreDump
	startLimitHit
	triggerLimitHit
	serviceStartLimitHit
	numResults
)

var resultWords = [numResults]string{"success", "resources", "timeout", "exit-code", "signal", "core-dump",
	"start-limit-hit", "trigger-limit-hit", "service-start-limit-hit"}

func (r result) String() string { return resultWords[r] }
