package unit

// JobType is what a job wants of its unit (man systemctl(1), "list-jobs").
type JobType uint8

const (
	JobStart JobType = iota + 1
	JobVerifyActive
	JobStop
	JobReload
	JobRestart
	// The next three are only asked for; the planner turns them into one of the above.
	JobReloadOrStart // reload if up, else start
	JobTryRestart    // restart if up, else nothing
	JobTryReload     // reload if up, else nothing
)

func (t JobType) String() string {
	switch t {
	case JobStart:
		return "start"
	case JobVerifyActive:
		return "verify-active"
	case JobStop:
		return "stop"
	case JobReload:
		return "reload"
	case JobRestart:
		return "restart"
	case JobReloadOrStart:
		return "reload-or-start"
	case JobTryRestart:
		return "try-restart"
	case JobTryReload:
		return "try-reload"
	}
	return "none"
}

// JobMode says how a new transaction meets the jobs that are queued (man systemctl(1), --job-mode=).
type JobMode uint8

const (
	ModeReplace JobMode = iota + 1
	ModeFail
	ModeIsolate
	ModeReplaceIrreversibly
	ModeFlush
	ModeIgnoreDependencies
	ModeIgnoreRequirements
)

var jobModeNames = [...]string{"", "replace", "fail", "isolate", "replace-irreversibly", "flush", "ignore-dependencies", "ignore-requirements"}

func (m JobMode) String() string {
	if int(m) < len(jobModeNames) {
		return jobModeNames[m]
	}
	return ""
}

// ParseJobMode finds the mode that s names; false when there is none.
func ParseJobMode(s string) (JobMode, bool) {
	for i, n := range jobModeNames {
		if n != "" && n == s {
			return JobMode(i), true
		}
	}
	return 0, false
}

// JobResult says how a job ended.
type JobResult uint8

const (
	JobDone       JobResult = iota + 1
	JobCanceled             // replaced or cancelled
	JobTimeout              // JobTimeoutSec ran out
	JobFailed               // the unit failed
	JobDependency           // a required unit's job failed
	JobSkipped              // the operation does not apply in the unit's state
	JobInvalid              // reload of a unit that is not active
	JobAssert               // an assertion failed
	JobUnsupported
	JobOnce // the unit runs only once per boot
)

var jobResultNames = [...]string{"", "done", "canceled", "timeout", "failed", "dependency", "skipped", "invalid", "assert", "unsupported", "once"}

func (r JobResult) String() string {
	if int(r) < len(jobResultNames) {
		return jobResultNames[r]
	}
	return ""
}
