package service

import (
	"strings"
	"testing"

	"github.com/sysmaster-go/sysmaster/unit"
)

// full is a service that has every list, so that every phase can be reached.
var full = []string{"Type=notify", "ExecCondition=/bin/c", "ExecStartPre=/bin/p", "ExecStart=/bin/a", "ExecStartPost=/bin/post",
	"ExecReload=/bin/r", "ExecStop=/bin/s", "ExecStopPost=/bin/sp", "NotifyAccess=all", "WatchdogSec=30"}

// reachPhase leads a fresh service into phase p. Process 5 is main, 6 the control process.
func reachPhase(r *rig, p phase) {
	s := r.u.(*Service)
	switch p {
	case condition:
		r.start().up(6)
	case startPre:
		r.start().up(1).exit(1, 0).up(6)
	case start:
		r.start().up(1).exit(1, 0).up(2).exit(2, 0).up(5)
	case startPost:
		reachPhase(r, start)
		r.notify(5, "READY=1").up(6)
	case running:
		reachPhase(r, startPost)
		r.exit(6, 0)
	case exited:
		reachPhase(r, running)
		s.cfg.RemainAfterExit = true
		r.exit(5, 0).send(unit.CgroupEmpty{})
	case reload:
		reachPhase(r, running)
		r.send(unit.Reload{}).up(6)
	case stop:
		reachPhase(r, running)
		r.send(unit.Stop{}).up(6)
	case stopWatchdog:
		reachPhase(r, running)
		r.timer("watchdog")
	case stopSigterm:
		reachPhase(r, stop)
		r.exit(6, 0)
	case stopSigkill:
		reachPhase(r, stopSigterm)
		r.timer("state")
	case stopPost:
		reachPhase(r, stopSigterm)
		r.exit(5, 0).up(6)
	case finalWatchdog:
		reachPhase(r, stopPost)
		s.cfg.StopFailure = failAbort
		r.timer("state")
		r.exit(6, 0)
	case finalSigterm:
		reachPhase(r, stopPost)
		r.exit(6, 0)
	case finalSigkill:
		reachPhase(r, finalSigterm)
		r.timer("state")
	case failed:
		reachPhase(r, finalSigterm)
		s.result = exitCode
		r.send(unit.CgroupEmpty{})
	case autoRestart:
		s.cfg.Restart = restartAlways
		reachPhase(r, running)
		r.exit(5, 0).up(6).exit(6, 0).send(unit.CgroupEmpty{}).up(7).exit(7, 0).send(unit.CgroupEmpty{})
	}
}

var events = []struct {
	name string
	ev   unit.Event
}{
	{"start", unit.Start{}},
	{"stop", unit.Stop{}},
	{"reload", unit.Reload{}},
	{"main exits 0", unit.Exited{Proc: proc(5), Exit: unit.Exit{Code: unit.ExitExited}}},
	{"main exits 1", unit.Exited{Proc: proc(5), Exit: unit.Exit{Code: unit.ExitExited, Status: 1}}},
	{"main dumps", unit.Exited{Proc: proc(5), Exit: unit.Exit{Code: unit.ExitDumped, Status: 11}}},
	{"main vanishes", unit.Exited{Proc: proc(5)}},
	{"control exits 0", unit.Exited{Proc: proc(6), Exit: unit.Exit{Code: unit.ExitExited}}},
	{"control exits 1", unit.Exited{Proc: proc(6), Exit: unit.Exit{Code: unit.ExitExited, Status: 1}}},
	{"stranger exits", unit.Exited{Proc: proc(99)}},
	{"group empty", unit.CgroupEmpty{}},
	{"timer", unit.TimerFired{ID: "state"}},
	{"watchdog", unit.TimerFired{ID: "watchdog"}},
	{"READY", note("READY", "1")},
	{"RELOADING", note("RELOADING", "1")},
	{"STOPPING", note("STOPPING", "1")},
	{"trigger", note("WATCHDOG", "trigger")},
	{"OOM", unit.OOM{}},
	{"stale answers", unit.Spawned{Seq: 9999, Proc: proc(77)}},
	{"stale exec", unit.Execed{Seq: 9999}},
	{"stale done", unit.Done{Seq: 9999, None: true}},
	{"stale read", unit.PIDRead{Seq: 9999, Proc: proc(88)}},
	{"path changed", unit.PathChanged{ID: "pid-file"}},
	{"kill main", unit.Request{Kind: unit.RequestKill, Signal: 10, Who: unit.KillMain}},
	{"kill control", unit.Request{Kind: unit.RequestKill, Signal: 10, Who: unit.KillControl}},
	{"reset-failed", unit.Request{Kind: unit.RequestResetFailed}},
	{"freeze", unit.Request{Kind: unit.RequestFreeze}},
	{"condition failed", unit.Request{Kind: unit.RequestConditionFailed}},
	{"start limit", unit.Request{Kind: unit.RequestStartLimitHit}},
	{"peer changed", unit.PeerChanged{}},
	{"fd ready", unit.FDReady{}},
	{"recovered", unit.Recovered{}},
}

func note(k, v string) unit.Notified {
	return unit.Notified{From: proc(5), Fields: []unit.Field{{Key: k, Value: v}}}
}

// table is the state table: per phase, what each event leads to, in the order of events.
// "=" keeps the phase, "!" keeps it and refuses.
var table = [numPhases]string{
	dead:          "start-pre = ! = = = = = = = = = = = = = = = = = = = = ! ! = ! = failed = = =",
	condition:     "= stop-sigterm ! = = = = start-pre stop-sigterm = = stop-sigterm = = = = = stop-sigterm = = = = = ! = = ! = = = = =",
	startPre:      "= stop-sigterm ! = = = = start stop-sigterm = = stop-sigterm = = = = = stop-sigterm = = = = = ! = = ! = = = = =",
	start:         "= stop-sigterm ! stop-sigterm stop-sigterm stop-sigterm stop-sigterm = = = = stop-sigterm = start-post = = = stop-sigterm = = = = = = ! = ! = = = = =",
	startPost:     "= stop-sigterm ! = = = = running stop-sigterm = = stop-sigterm stop-watchdog = = = stop-watchdog stop-sigterm = = = = = = = = ! = = = = =",
	running:       "= stop reload stop stop stop stop = = = = stop stop-watchdog = reload stop-sigterm stop-watchdog stop = = = = = = ! = ! = = = = =",
	exited:        "= stop reload = = = = = = = = = = = = = = stop = = = = = ! ! = ! = = = = =",
	reload:        "= stop-sigterm ! = = = = running running = = running stop-watchdog = = = stop-watchdog stop-sigterm = = = = = = = = ! = = = = =",
	stop:          "! = ! = = = = stop-sigterm stop-sigterm = = stop-sigterm = = = = = stop-sigterm = = = = = = = = ! = = = = =",
	stopWatchdog:  "! = ! stop-post stop-post stop-post stop-post = = = = stop-sigkill = = = = = stop-sigkill = = = = = = ! = ! = = = = =",
	stopSigterm:   "! = ! stop-post stop-post stop-post stop-post = = = = stop-sigkill = = = = = stop-sigkill = = = = = = ! = ! = = = = =",
	stopSigkill:   "! = ! stop-post stop-post stop-post stop-post = = = = stop-post = = = = = = = = = = = = ! = ! = = = = =",
	stopPost:      "! = ! = = = = final-sigterm final-sigterm = = final-sigterm = = = = = final-sigkill = = = = = ! = = ! = = = = =",
	finalWatchdog: "! = ! = = = = = = = failed final-sigkill = = = = = = = = = = = ! ! = ! = = = = =",
	finalSigterm:  "! = ! = = = = = = = dead final-sigkill = = = = = final-sigkill = = = = = ! ! = ! = = = = =",
	finalSigkill:  "! = ! = = = = = = = failed failed = = = = = = = = = = = ! ! = ! = = = = =",
	failed:        "start-pre = ! = = = = = = = = = = = = = = = = = = = = ! ! dead ! = = = = =",
	autoRestart:   "start-pre dead ! = = = = = = = = = = = = = = = = = = = = ! ! = ! dead failed = = =",
}

func TestTable(t *testing.T) {
	for p := phase(0); p < numPhases; p++ {
		row := strings.Fields(table[p])
		if len(row) != len(events) {
			t.Errorf("%s has %d cells; want %d", p, len(row), len(events))
			continue
		}
		for i, e := range events {
			r := newRig(t, Options{}, full...)
			reachPhase(r, p)
			if got := r.u.State().Sub; got != p.String() {
				t.Fatalf("reachPhase(%s) leads to %s\n%s", p, got, strings.Join(r.trace, "\n"))
			}
			r.send(e.ev)
			want := row[i]
			refused := want == "!"
			if want == "=" || refused {
				want = p.String()
			}
			if got := r.u.State().Sub; got != want || (r.refused != "") != refused {
				t.Errorf("%s, %s: %s, refused %q; want %s, %v", p, e.name, got, r.refused, want, refused)
			}
		}
	}
}

// TestTerminates drives every phase with nothing but elapsed timers and an empty group: all
// must come to rest in a state that waits for no process.
func TestTerminates(t *testing.T) {
	for p := phase(0); p < numPhases; p++ {
		r := newRig(t, Options{}, full...)
		reachPhase(r, p)
		r.send(unit.Stop{})
		for range 12 {
			r.timer("state")
		}
		if !r.u.State().Active.IsDown() {
			t.Errorf("from %s: %s after 12 timeouts\n%s", p, r.u.State().Sub, strings.Join(r.trace, "\n"))
		}
	}
}
