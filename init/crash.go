package pid1

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/event"
	"github.com/sysmaster-go/sysmaster/init/keep"
	"github.com/sysmaster-go/sysmaster/init/policy"
	"github.com/sysmaster-go/sysmaster/init/proc"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

const (
	shownLines = 10       // of a core's last words, on the console
	shownBytes = 16 << 10 // ... looked for in the first of them

	sayingCheck = 100 * time.Millisecond // how often a dump under way is looked at
)

// saidAll reports that an aborted core has filled the room for its last words. It would go on in
// vain: ten thousand goroutines take it five seconds.
func (k *keeper) saidAll() bool {
	var last [1]byte
	if k.core.words > 0 {
		_, _ = unix.Pread(k.core.words, last[:], fdstore.CrashSize-1) // memory: it can be read
	}
	return last[0] != 0
}

// causeOf is policy.CauseOf with what only the machine knows: whether init itself ended the
// core, and whether the kernel did because memory had run out.
func (k *keeper) causeOf(e fdstore.Exit) fdstore.Cause {
	c := &k.core
	if !c.killAt.IsZero() {
		return fdstore.CauseHang
	}
	cause := policy.CauseOf(e.Code, e.Status)
	if cause == fdstore.CauseKill && e.Status == int32(unix.SIGKILL) && c.oomKnown {
		if n, known := k.oomKills(); known && n > c.oomKills {
			return fdstore.CauseOOM
		}
	}
	return cause
}

// oomKills counts what the kernel has killed for memory in the core's own control group, which it
// shares with init alone; also after its death, until it is reaped. Without a memory controller
// there is no such file, and the machine's count (/proc/vmstat) would blame the core for others: it
// then counts as killed by somebody else, and keeps its budget.
func (k *keeper) oomKills() (uint64, bool) {
	b, err := proc.Read(proc.Path(k.core.PID, "cgroup"), k.buf)
	if err != nil {
		return 0, false
	}
	path := string(proc.ParseCgroup(b))
	if b, err = proc.Read(k.cfg.CgroupRoot+path+"/memory.events.local", k.buf); err != nil {
		return 0, false
	}
	return proc.ParseOOMKills(b)
}

// lastWords shows the first of what the core wrote when it died, and keeps it for the next one.
func (k *keeper) lastWords(now time.Time, e fdstore.Exit, cause fdstore.Cause) {
	fd := k.core.words
	if fd <= 0 {
		return
	}
	b := make([]byte, shownBytes)
	n, _ := unix.Pread(fd, b, 0) // memory: what cannot be read was not written
	words := fdstore.LastWords(b[:max(n, 0)])
	if len(words) == 0 && !cause.SelfInflicted() { // nothing to see
		keep.Release(fd)
		return
	}
	for _, line := range fdstore.Summary(words, shownLines) {
		k.tell(event.Event{Kind: event.LastWords, PID: e.PID, Text: line})
	}
	if len(words) == 0 {
		k.tell(event.Event{Kind: event.LastWords, PID: e.PID, Text: "nothing; who is killed leaves no dump"})
	}
	crash := fdstore.Crash{
		Generation: k.Generation, Time: now.Unix(), Cause: cause, Code: e.Code, Status: e.Status, PID: int32(e.PID),
	}
	if errno := k.store.KeepCrash(crash, fd); errno != 0 {
		k.tell(event.Event{Kind: event.Store, Text: "cannot keep " + crash.Key(), Err: errno})
	}
}
