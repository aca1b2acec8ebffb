package shim

// Exit statuses of a set-up that failed (man systemd.exec(5), "Process Exit Codes").
const (
	ExitChdir        = 200
	ExitNice         = 201
	ExitFDs          = 202
	ExitExec         = 203
	ExitMemory       = 204
	ExitLimits       = 205
	ExitOOMAdjust    = 206
	ExitSignalMask   = 207
	ExitStdin        = 208
	ExitStdout       = 209
	ExitChroot       = 210
	ExitIOPrio       = 211
	ExitTimerSlack   = 212
	ExitSecureBits   = 213
	ExitSetScheduler = 214
	ExitCPUAffinity  = 215
	ExitGroup        = 216
	ExitUser         = 217
	ExitCapabilities = 218
	ExitCgroup       = 219
	ExitSetsid       = 220
	ExitStderr       = 222
	ExitNoNewPrivs   = 227
	ExitKeyring      = 237
)

// Report is what the shim writes to the status pipe. The pipe's life tells the rest:
//
//	"+" then end          the program was executed
//	Report then end       a step failed; the process ends with Status
//	"+", Report then end  execve failed
//	end                   the shim was killed, or crashed, before it came to the exec
type Report struct {
	Status int    // exit status
	Step   string // the setting or call at fault: "User", "execve"
	Msg    string // the error, with the object it is about
}

// MaxReport is how many bytes a reader of the status pipe keeps (less than PIPE_BUF, so that
// the shim never waits for it).
const MaxReport = 1024

// ready precedes the execve.
const ready = '+'

// encode cuts what is too long, so that the whole fits into MaxReport.
func (r *Report) encode() []byte {
	b := append(make([]byte, 0, MaxReport), '-', byte(r.Status))
	step, msg := r.Step, r.Msg
	if len(step) > 200 {
		step = step[:200]
	}
	b = append(append(b, step...), 0)
	if room := MaxReport - len(b) - 2; len(msg) > room {
		msg = msg[:room]
	}
	return append(b, msg...)
}

// ParseReport reads what came out of the status pipe until its end. It returns nil when the
// program was executed.
func ParseReport(b []byte) *Report {
	if len(b) == 1 && b[0] == ready {
		return nil
	}
	if len(b) > 0 && b[0] == ready {
		b = b[1:]
	}
	if len(b) > MaxReport {
		b = b[:MaxReport]
	}
	if len(b) < 3 || b[0] != '-' {
		return &Report{Status: ExitExec, Step: "shim", Msg: "ended before it executed the program"}
	}
	r := &Report{Status: int(b[1])}
	for i, c := range b[2:] {
		if c == 0 {
			r.Step, r.Msg = string(b[2:2+i]), string(b[3+i:])
			return r
		}
	}
	r.Step = string(b[2:])
	return r
}
