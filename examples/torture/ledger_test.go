package main

import (
	"strings"
	"testing"
)

// alive is a life with n starts whose newest process is pid.
func alive(n, pid int) life {
	return life{starts: n, now: process{pid, 1}, alive: true}
}

func ended(n, pid int, how string, status int) life {
	return life{starts: n, now: process{pid, 1}, end: end{how, status}}
}

func runs(pid int) said { return said{active: "active", main: pid} }

// TestJudge has a manager do right and wrong in each way that a report tells apart.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   kind
		order  order
		before life
		after  life
		said   said
		want   loss // empty: nothing was lost
	}{
		{"nothing happens", kindNotify, order{verb: verbNone}, alive(1, 10), alive(1, 10), runs(10), ""},
		{"a service is started again", kindNotify, order{verb: verbNone}, alive(1, 10), alive(2, 11), runs(11), lostService},
		{"a service is killed", kindSimple, order{verb: verbNone}, alive(1, 10), ended(1, 10, "", 0), runs(10), lostService},
		{"a service is stopped by nobody's order", kindSimple, order{verb: verbNone}, alive(1, 10), ended(1, 10, "term", 0), said{active: "inactive"}, lostService},
		{"a oneshot runs again", kindOneshot, order{verb: verbNone}, ended(1, 10, "exit", 0), ended(2, 11, "exit", 0), said{active: "active"}, lostService},
		{"a oneshot is forgotten", kindOneshot, order{verb: verbNone}, ended(1, 10, "exit", 0), ended(1, 10, "exit", 0), said{active: "inactive"}, lostSight},
		{"the manager takes a running service for dead", kindForking, order{verb: verbNone}, alive(1, 10), alive(1, 10), said{active: "failed"}, lostSight},
		{"the manager shows another process", kindForking, order{verb: verbNone}, alive(1, 10), alive(1, 10), runs(9), lostSight},
		{"a quarantined unit", kindNotify, order{verb: verbNone}, alive(1, 10), alive(1, 10), said{active: "active", main: 10, poisoned: true}, lostUnit},

		{"start", kindSimple, order{verb: verbStart}, ended(1, 10, "term", 0), alive(2, 11), runs(11), ""},
		{"start without a process", kindSimple, order{verb: verbStart, result: "done"}, ended(1, 10, "term", 0), ended(1, 10, "term", 0), runs(10), lostJob},
		{"start twice", kindSimple, order{verb: verbStart}, ended(1, 10, "term", 0), alive(3, 12), runs(12), lostService},
		{"started and gone", kindSimple, order{verb: verbStart}, ended(1, 10, "term", 0), ended(2, 11, "", 0), runs(11), lostService},

		{"stop", kindNotify, order{verb: verbStop}, alive(1, 10), ended(1, 10, "term", 0), said{active: "inactive", lastMain: 10, code: cldExited}, ""},
		{"stop that does nothing", kindNotify, order{verb: verbStop, result: "done"}, alive(1, 10), alive(1, 10), runs(10), lostJob},
		{"stop that the manager does not see", kindNotify, order{verb: verbStop}, alive(1, 10), ended(1, 10, "term", 0), runs(10), lostSight},
		{"stop whose exit is lost", kindNotify, order{verb: verbStop}, alive(1, 10), ended(1, 10, "term", 0), said{active: "inactive", lastMain: 10, code: cldKilled, status: 9}, lostExit},
		{"stop with a restart", kindNotify, order{verb: verbStop}, alive(1, 10), alive(2, 11), runs(11), lostService},

		{"restart", kindNotify, order{verb: verbRestart}, alive(1, 10), alive(2, 11), runs(11), ""},
		{"half a restart", kindNotify, order{verb: verbRestart, result: "done"}, alive(1, 10), ended(1, 10, "term", 0), said{active: "inactive"}, lostJob},
		{"no restart", kindNotify, order{verb: verbRestart, result: "done"}, alive(1, 10), alive(1, 10), runs(10), lostJob},
		{"an unacknowledged restart that was none", kindNotify, order{verb: verbRestart, maybe: true}, alive(1, 10), alive(1, 10), runs(10), ""},
		{"an unacknowledged restart that was one", kindNotify, order{verb: verbRestart, maybe: true}, alive(1, 10), alive(2, 11), runs(11), ""},
		{"an unacknowledged restart that was two", kindNotify, order{verb: verbRestart, maybe: true}, alive(1, 10), alive(3, 12), runs(12), lostService},

		{"exit", kindSimple, order{verb: verbExit, status: 7}, alive(1, 10), ended(1, 10, "exit", 7), said{active: "failed", lastMain: 10, code: cldExited, status: 7}, ""},
		{"exit with another status", kindSimple, order{verb: verbExit, status: 7}, alive(1, 10), ended(1, 10, "exit", 7), said{active: "failed", lastMain: 10, code: cldExited, status: 0}, lostExit},
		{"exit of an unknown way", kindSimple, order{verb: verbExit, status: 7}, alive(1, 10), ended(1, 10, "exit", 7), said{active: "failed", lastMain: 10}, lostExit},
		{"exit of another process", kindSimple, order{verb: verbExit, status: 7}, alive(1, 10), ended(1, 10, "exit", 7), said{active: "failed", lastMain: 9, code: cldExited, status: 7}, lostExit},
		{"exit that nobody noticed", kindSimple, order{verb: verbExit, status: 7}, alive(1, 10), ended(1, 10, "exit", 7), runs(10), lostSight},
		{"exit with a restart that nobody asked for", kindSimple, order{verb: verbExit, status: 7}, alive(1, 10), alive(2, 11), runs(11), lostService},
		{"exit and Restart=", kindRestart, order{verb: verbExit}, alive(1, 10), alive(2, 11), runs(11), ""},
		{"exit and no Restart=", kindRestart, order{verb: verbExit}, alive(1, 10), ended(1, 10, "exit", 0), said{active: "inactive", lastMain: 10}, lostExit},
		{"exit and Restart= twice", kindRestart, order{verb: verbExit}, alive(1, 10), alive(3, 12), runs(12), lostService},
		{"exit behind a socket", kindSocket, order{verb: verbExit}, alive(1, 10), alive(2, 11), runs(11), ""},
		{"death", kindForking, order{verb: verbDie, status: 9}, alive(1, 10), ended(1, 10, "die", 9), said{active: "failed", lastMain: 10, code: cldKilled, status: 9}, ""},
		{"death taken for an exit", kindForking, order{verb: verbDie, status: 9}, alive(1, 10), ended(1, 10, "die", 9), said{active: "failed", lastMain: 10, code: cldExited, status: 9}, lostExit},
		{"death by somebody else", kindForking, order{verb: verbDie, status: 9}, alive(1, 10), ended(1, 10, "", 0), said{active: "failed", lastMain: 10, code: cldKilled, status: 9}, lostExit},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := judge(member{name: "x", kind: c.kind}, c.order, c.before, c.after, c.said)
			switch {
			case c.want == "" && len(got) > 0:
				t.Errorf("judge found %+v; want nothing", got)
			case c.want != "" && (len(got) != 1 || got[0].Loss != c.want):
				t.Errorf("judge found %+v; want one %q", got, c.want)
			}
		})
	}
}

// TestExcused: a record that is gone excuses no process that was killed or doubled.
func TestExcused(t *testing.T) {
	for _, c := range []struct {
		kind kind
		loss loss
		want bool
	}{
		{kindNotify, lostSight, true}, {kindNotify, lostService, false}, {kindNotify, lostUnit, false}, {kindNotify, lostExit, false},
		{kindOneshot, lostService, true}, {kindOneshot, lostJob, false},
	} {
		if got := excused(member{kind: c.kind}, []finding{{Loss: lostSight}, {Loss: c.loss}}); got != c.want {
			t.Errorf("excused(%s, %s) = %v; want %v", c.kind, c.loss, got, c.want)
		}
	}
}

func TestLedgerCountsEverything(t *testing.T) {
	told := 0
	l := &ledger{told: func(finding) { told++ }}
	if c, _ := l.result(); !c.none() || len(c) != len(losses()) {
		t.Errorf("a new ledger says %v", c)
	}
	l.begin(3)
	for range findingsKept + 5 {
		l.add(finding{Loss: lostExit})
	}
	l.addAll([]finding{{Loss: lostJob}, {Loss: lostJob}})
	count, list := l.result()
	if count.none() || count[lostExit] != findingsKept+5 || count[lostJob] != 2 || len(list) != findingsKept || told != findingsKept+7 {
		t.Errorf("%v, %d listed, %d told", count, len(list), told)
	}
	if list[0].Round != 3 {
		t.Errorf("the finding is of round %d; want 3", list[0].Round)
	}
}

func TestParseJournal(t *testing.T) {
	l, err := parseJournal("start 10 100\nnote 10 4\nterm 10 0\nstart 12 180\nexit 10 7\ndie 12 9\n")
	want := life{starts: 2, now: process{12, 180}, end: end{"die", 9}, note: 4}
	if err != nil || l != want {
		t.Errorf("parseJournal = %+v, %v; want %+v", l, err, want)
	}
	for _, bad := range []string{"start 10\n", "start x 1\n", "began 10 1\n", "exit 10 -1\n"} {
		if _, err := parseJournal(bad); err == nil || !strings.Contains(err.Error(), "journal line") {
			t.Errorf("parseJournal(%q) = %v; want an error", bad, err)
		}
	}
}
