package policy

import (
	"testing"
	"time"
)

var limits = Limits{Hello: time.Minute, Idle: time.Minute, Busy: 5 * time.Second}

// ends gives how long after the epoch the watch loses patience, when asked whenever it wants to be.
func ends(t *testing.T, w Watch, l Limits, epoch time.Time) time.Duration {
	t.Helper()
	for now := epoch; now.Before(epoch.Add(time.Hour)); {
		at := w.Deadline(l)
		if at.IsZero() {
			return -1
		}
		if now = at; w.Overdue(l, now) {
			return now.Sub(epoch)
		}
		if !w.Deadline(l).After(now) {
			t.Fatalf("Deadline %v is not after %v: a busy loop", w.Deadline(l), now)
		}
	}
	t.Fatal("patience without end")
	return 0
}

func TestWatchTable(t *testing.T) {
	const s = time.Second
	type step func(w *Watch, at func(time.Duration) time.Time)
	spoke := func(d, next time.Duration) step {
		return func(w *Watch, at func(time.Duration) time.Time) { w.Spoke(at(d), next, true, false) }
	}
	owes := func(d, next time.Duration) step {
		return func(w *Watch, at func(time.Duration) time.Time) { w.Spoke(at(d), next, true, true) }
	}
	early := func(d time.Duration) step {
		return func(w *Watch, at func(time.Duration) time.Time) { w.Spoke(at(d), 0, false, false) }
	}
	sent := func(d time.Duration) step {
		return func(w *Watch, at func(time.Duration) time.Time) { w.Sent(at(d)) }
	}
	stopped := func(d time.Duration, is bool) step {
		return func(w *Watch, at func(time.Duration) time.Time) { w.Stopped(at(d), is) }
	}
	for _, c := range []struct {
		name  string
		steps []step
		want  time.Duration
	}{
		{"starting", nil, 61 * s},
		{"recovering", []step{early(2 * s)}, 12 * s},
		{"recovering for long, and getting further", []step{early(2 * s), early(11 * s), early(20 * s), early(29 * s), early(38 * s), early(47 * s), early(56 * s), early(65 * s)}, 75 * s},
		{"recovering, something waits for it", []step{early(2 * s), sent(3 * s)}, 12 * s},
		{"recovered, and busy", []step{early(2 * s), spoke(3*s, 0)}, 8 * s},
		{"starting, something waits for it", []step{sent(2 * s)}, 61 * s},
		{"starting, stopped", []step{stopped(2*s, true)}, 7 * s},
		{"starting, stopped and continued", []step{stopped(2*s, true), stopped(3*s, false)}, 61 * s},
		{"busy", []step{spoke(s, 0)}, 6 * s},
		{"busy again and again", []step{spoke(s, 0), spoke(5*s, 0), spoke(9*s, 0)}, 14 * s},
		{"idle", []step{spoke(s, 40*s)}, 46 * s},
		{"idle, with a timer", []step{spoke(s, 3*s)}, 9 * s},
		{"idle, promising too much", []step{spoke(s, time.Hour)}, 66 * s},
		{"idle, then something waits for it", []step{spoke(s, 40*s), sent(10 * s)}, 15 * s},
		{"idle, then more and more waits for it", []step{spoke(s, 40*s), sent(10 * s), sent(12 * s), sent(14 * s)}, 15 * s},
		{"idle, something waited and it spoke", []step{spoke(s, 40*s), sent(10 * s), spoke(11*s, 40*s)}, 56 * s},
		{"idle, something still waits", []step{spoke(s, 40*s), sent(10 * s), owes(11*s, 40*s)}, 16 * s},
		{"busy, and something waits for it", []step{spoke(s, 0), sent(3 * s)}, 6 * s},
		{"idle and stopped", []step{spoke(s, 40*s), stopped(2*s, true)}, 7 * s},
		{"stopped and continued", []step{spoke(s, 40*s), stopped(2*s, true), stopped(3*s, false)}, 46 * s},
		{"busy and stopped", []step{spoke(s, 0), stopped(2*s, true)}, 6 * s},
	} {
		epoch := time.Unix(1000, 0)
		at := func(d time.Duration) time.Time { return epoch.Add(d) }
		var w Watch
		w.Started(epoch)
		for _, do := range c.steps {
			do(&w, at)
		}
		if got := ends(t, w, limits, epoch); got != c.want {
			t.Errorf("%s: ends after %v; want %v", c.name, got, c.want)
		}
		off := limits
		off.Idle = -1
		if got := ends(t, w, off, epoch); got != -1 {
			t.Errorf("%s, not watched: ends after %v", c.name, got)
		}
	}
}

// A watch that was itself away for long does not blame the core for it.
func TestWatchAfterAJumpGivesASecondLook(t *testing.T) {
	epoch := time.Unix(1000, 0)
	var w Watch
	w.Started(epoch)
	w.Spoke(epoch, 0, true, false)
	later := epoch.Add(time.Hour)
	if w.Overdue(limits, later) {
		t.Fatal("overdue at the first look")
	}
	w.Spoke(later.Add(time.Millisecond), 0, true, false)
	if w.Overdue(limits, later.Add(time.Second)) {
		t.Error("overdue though it spoke")
	}
	if w.Overdue(limits, later.Add(time.Hour)) || !w.Overdue(limits, later.Add(time.Hour+time.Second)) {
		t.Error("the second silence does not end like the first")
	}
}

func TestDoorsAreLookedAtOnlyWhileItIdles(t *testing.T) {
	epoch := time.Unix(1000, 0)
	var w Watch
	w.Started(epoch)
	want := func(when string, want bool) {
		t.Helper()
		if w.Doors() != want {
			t.Errorf("%s: Doors() = %v", when, w.Doors())
		}
	}
	want("starting", false)
	w.Spoke(epoch, 0, true, false)
	want("busy", false)
	w.Spoke(epoch, time.Second, true, false)
	want("idle", true)
	w.Sent(epoch)
	want("idle, somebody waits", false)
	w.Spoke(epoch, time.Second, true, false)
	want("idle again", true)
}
