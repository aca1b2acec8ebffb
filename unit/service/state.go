package service

import "github.com/sysmaster-go/sysmaster/unit"

// phase is where the machine stands; its words are systemd's sub states.
type phase uint8

const (
	dead phase = iota
	condition
	startPre
	start
	startPost
	running
	exited
	reload
	stop
	stopWatchdog
	stopSigterm
	stopSigkill
	stopPost
	finalWatchdog
	finalSigterm
	finalSigkill
	failed
	autoRestart
	numPhases
)

var phases = [numPhases]struct {
	word   string
	active unit.ActiveState
}{
	dead:          {"dead", unit.Inactive},
	condition:     {"condition", unit.Activating},
	startPre:      {"start-pre", unit.Activating},
	start:         {"start", unit.Activating},
	startPost:     {"start-post", unit.Activating},
	running:       {"running", unit.Active},
	exited:        {"exited", unit.Active},
	reload:        {"reload", unit.Reloading},
	stop:          {"stop", unit.Deactivating},
	stopWatchdog:  {"stop-watchdog", unit.Deactivating},
	stopSigterm:   {"stop-sigterm", unit.Deactivating},
	stopSigkill:   {"stop-sigkill", unit.Deactivating},
	stopPost:      {"stop-post", unit.Deactivating},
	finalWatchdog: {"final-watchdog", unit.Deactivating},
	finalSigterm:  {"final-sigterm", unit.Deactivating},
	finalSigkill:  {"final-sigkill", unit.Deactivating},
	failed:        {"failed", unit.Failed},
	autoRestart:   {"auto-restart", unit.Activating},
}

func (p phase) String() string { return phases[p].word }

func (p phase) in(list ...phase) bool {
	for _, q := range list {
		if p == q {
			return true
		}
	}
	return false
}

// starting, up and stopping are the three groups that most decisions need.
func (p phase) starting() bool { return p >= condition && p <= startPost }
func (p phase) up() bool       { return p >= running && p <= reload }
func (p phase) stopping() bool { return p >= stop && p <= finalSigkill }
func (p phase) down() bool     { return p == dead || p == failed }

// result says why the service went down; its words are systemd's.
type result uint8

const (
	success result = iota
	resources
	protocol
	timeout
	exitCode
	signal
	coreDump
	watchdog
	startLimitHit
	oomKill
	execCondition
	numResults
)

var resultWords = [numResults]string{"success", "resources", "protocol", "timeout", "exit-code", "signal", "core-dump",
	"watchdog", "start-limit-hit", "oom-kill", "exec-condition"}

func (r result) String() string { return resultWords[r] }

// notice is what the service last said about itself with sd_notify(3).
type notice uint8

const (
	noticeNone notice = iota
	noticeReady
	noticeReloading
	noticeStopping
)
