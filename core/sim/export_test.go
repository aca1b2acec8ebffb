package sim

import "github.com/sysmaster-go/sysmaster/core"

// WithBug breaks every machine of h, for the tests that show that a rule can fail.
func WithBug(h Host, bug string) Host {
	h.bug = plantedBug(bug)
	return h
}

// The bugs that can be planted.
const (
	BugLoseExit  = string(bugLoseExit)
	BugDropKill  = string(bugDropKill)
	BugDropSpawn = string(bugDropSpawn)
	BugTwice     = string(bugTwice)
	BugDropAck   = string(bugDropAck)
	BugDropReady = string(bugDropReady)
	BugLoseJob   = string(bugLoseJob)
	BugPanic     = string(bugPanic)
)

// CheckJobs judges a turn that led from one picture to another, in which these jobs ended.
func CheckJobs(before, now *core.View, removed ...core.JobView) *Violation {
	m := &Machine{check: newChecker(), store: &store{}, cfg: Config{Limits: Limits{}.orDefaults()}}
	m.check.remember(m, before.Jobs())
	m.check.removed = removed
	return m.checkJobs(now)
}
