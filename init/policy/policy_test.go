package policy

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/proc"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

var standard = Retry{Deaths: 5, Window: time.Minute, Delay: 100 * time.Millisecond, MaxDelay: 5 * time.Second}

func TestKillsByOthersNeverExhaustTheBudget(t *testing.T) {
	var h History
	now := time.Unix(1000, 0)
	for i := range 1000 {
		delay, giveUp := h.Died(standard, now, fdstore.CauseKill, true)
		if delay != 0 || giveUp {
			t.Fatalf("kill %d after a completed turn: %v, %v; want a start at once", i, delay, giveUp)
		}
	}
	want := append(make([]time.Duration, 1+spared), 100*time.Millisecond, 200*time.Millisecond, 400*time.Millisecond)
	h = History{}
	for i := range 100 {
		delay, giveUp := h.Died(standard, now, fdstore.CauseKill, false)
		if giveUp || delay > standard.MaxDelay || i < len(want) && delay != want[i] {
			t.Fatalf("kill %d without a turn: %v, %v", i, delay, giveUp)
		}
	}
}

func TestOwnDeathsExhaustTheBudgetWithinTheWindow(t *testing.T) {
	for _, cause := range []fdstore.Cause{fdstore.CauseExit, fdstore.CauseCrash, fdstore.CauseHang} {
		var h History
		now := time.Unix(1000, 0)
		for i := range 5 {
			if _, giveUp := h.Died(standard, now, cause, true); giveUp {
				t.Fatalf("%v: given up at death %d", cause, i+1)
			}
			now = now.Add(11 * time.Second)
		}
		if _, giveUp := h.Died(standard, now, cause, true); !giveUp {
			t.Errorf("%v: not given up at the sixth death in 55 s", cause)
		}
		if _, giveUp := h.Died(standard, now, cause, true); giveUp {
			t.Errorf("%v: no fresh budget after the rescue", cause)
		}
		for i := range 100 {
			now = now.Add(13 * time.Second)
			if _, giveUp := h.Died(standard, now, cause, true); giveUp {
				t.Fatalf("%v: given up at death %d, one in 13 s", cause, i)
			}
		}
	}
}

func TestCauseOf(t *testing.T) {
	for _, c := range []struct {
		code, status int32
		want         fdstore.Cause
	}{
		{proc.CLDExited, 0, fdstore.CauseExit},
		{proc.CLDExited, 1, fdstore.CauseExit},
		{proc.CLDExited, 2, fdstore.CauseCrash},
		{proc.CLDKilled, int32(unix.SIGKILL), fdstore.CauseKill},
		{proc.CLDKilled, int32(unix.SIGTERM), fdstore.CauseKill},
		{proc.CLDKilled, int32(unix.SIGABRT), fdstore.CauseCrash},
		{proc.CLDDumped, int32(unix.SIGSEGV), fdstore.CauseCrash},
		{proc.CLDDumped, int32(unix.SIGSYS), fdstore.CauseCrash},
	} {
		if got := CauseOf(c.code, c.status); got != c.want {
			t.Errorf("CauseOf(%d, %d) = %v; want %v", c.code, c.status, got, c.want)
		}
	}
}

func TestRequestOf(t *testing.T) {
	for n, want := range map[int]Request{
		int(unix.SIGTERM): {Forward: true}, int(unix.SIGINT): {true, fdstore.VerbReboot}, int(unix.SIGHUP): {Forward: true},
		int(unix.SIGCHLD): {}, int(unix.SIGSEGV): {}, int(unix.SIGPIPE): {}, int(unix.SIGPWR): {Forward: true}, 64: {}, 0: {},
		RTMin + 1: {Forward: true}, RTMin + 3: {true, fdstore.VerbHalt}, RTMin + 4: {true, fdstore.VerbPoweroff},
		RTMin + 5: {true, fdstore.VerbReboot}, RTMin + 6: {true, fdstore.VerbKexec}, RTMin + 13: {false, fdstore.VerbHalt},
		RTMin + 14: {false, fdstore.VerbPoweroff}, RTMin + 15: {false, fdstore.VerbReboot}, RTMin + 16: {false, fdstore.VerbKexec},
		RTMin + 24: {Forward: true}, RTMin + 25: {Forward: true},
	} {
		if got := RequestOf(n, false); got != want {
			t.Errorf("RequestOf(%d) = %+v; want %+v", n, got, want)
		}
	}
	for n, want := range map[int]Request{
		int(unix.SIGTERM): {true, fdstore.VerbExit}, int(unix.SIGINT): {true, fdstore.VerbExit}, RTMin + 24: {false, fdstore.VerbExit},
	} {
		if got := RequestOf(n, true); got != want {
			t.Errorf("RequestOf(%d) of a keeper = %+v; want %+v", n, got, want)
		}
	}
}
