package pid1

import (
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/policy"
	"github.com/sysmaster-go/sysmaster/init/process"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// setClock gives the reading t of time.Now as it would be had somebody set the clock: another
// time of day, the same monotonic time (package time keeps both in one value: seconds
// since 1885 from bit 30 on).
func setClock(t *testing.T, now time.Time, seconds int64) time.Time {
	t.Helper()
	set := now
	*(*uint64)(unsafe.Pointer(&set)) += uint64(seconds) << 30
	if set.Unix() != now.Unix()+seconds || set.Sub(now) != 0 {
		t.Fatalf("cannot set the clock of %v: got %v; package time has changed", now, set)
	}
	return set
}

// Whoever sets the clock by decades, forwards or back, neither hurries nor delays init.
func TestClockThatIsSet(t *testing.T) {
	const decades = 30 * 365 * 24 * 3600
	for _, jump := range []int64{decades, -decades} {
		start := time.Now()
		at := func(d time.Duration) time.Time { return setClock(t, start.Add(d), jump) }
		k := newKeeper(Config{Subreaper: true, Signals: &process.Signals{}, Console: devNull{}}.withDefaults())
		k.signalled(start, policy.RTMin+5)
		k.overdue(at(time.Second))
		if k.end.Verb != fdstore.VerbNone {
			t.Errorf("clock set by %d s: the core got no time to take a request", jump)
		}
		if d := k.timeout(at(time.Second)); d > 11*time.Second {
			t.Errorf("clock set by %d s: the next look is in %v", jump, d)
		}
		k.overdue(at(11 * time.Second))
		if k.end.Verb != fdstore.VerbReboot {
			t.Errorf("clock set by %d s: an overdue request is not carried out", jump)
		}
		for i := range burstCount {
			if now := k.burst(at(time.Duration(i) * time.Millisecond)); now != (i == burstCount-1) {
				t.Errorf("clock set by %d s: ctrl-alt-del %d of %d counts: %v", jump, i+1, burstCount, now)
			}
		}
		k.cfg.CrashReboot = time.Minute
		k.rescue = rescueState{stage: policy.Shell, started: start, since: start, used: consoleUsed()}
		if k.stillUsed(at(time.Minute)) || !k.waited().Equal(start.Add(time.Minute)) {
			t.Errorf("clock set by %d s: an unused shell gets more time, until %v", jump, k.waited())
		}
		k.rescue.used.Sec-- // somebody types
		if !k.stillUsed(at(time.Minute)) || k.timeout(at(time.Minute)) > time.Minute+time.Millisecond {
			t.Errorf("clock set by %d s: the next look at a used shell is in %v", jump, k.timeout(at(time.Minute)))
		}
		var h policy.History
		retry := k.cfg.Retry
		gaveUp := false
		for i := range retry.Deaths + 1 {
			when := start.Add(time.Duration(i) * time.Second)
			if i%2 == 1 {
				when = setClock(t, when, jump)
			}
			_, gaveUp = h.Died(retry, when, fdstore.CauseCrash, true)
		}
		if !gaveUp {
			t.Errorf("clock set by %d s: deaths within the window are not counted as such", jump)
		}
	}
}

// A lack of the machine's is not the core's fault: init goes on trying, without rescue.
func TestRefusalsThatPass(t *testing.T) {
	for err, want := range map[error]fdstore.Cause{
		unix.EAGAIN: fdstore.CauseKill, unix.ENOMEM: fdstore.CauseKill, unix.ETXTBSY: fdstore.CauseKill,
		unix.ENOENT: fdstore.CauseExit, unix.EACCES: fdstore.CauseExit, unix.ENOEXEC: fdstore.CauseExit,
	} {
		if got := policy.CauseOfRefusal(err); got != want {
			t.Errorf("CauseOfRefusal(%v) = %v; want %v", err, got, want)
		}
	}
}
