package socket

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sysmaster-go/sysmaster/unit"
)

// full is a socket that has every list, so that every phase can be reached.
var full = []string{"ListenStream=/run/x", "ExecStartPre=/bin/a", "ExecStartPost=/bin/b", "ExecStopPre=/bin/c", "ExecStopPost=/bin/d"}

// reachPhase leads a fresh socket into phase p. Process 6 is the control process.
func reachPhase(r *rig, p phase) {
	switch p {
	case startPre:
		r.send(unit.Start{})
		answer[unit.Realize](r, "").up(6)
	case startChown:
		reachPhase(r, startPre)
		r.exit(6, 0)
	case startPost:
		reachPhase(r, startChown)
		answer[unit.Listen](r, "").up(6)
	case listening:
		reachPhase(r, startPost)
		r.exit(6, 0).send(unit.CgroupEmpty{})
	case running:
		reachPhase(r, listening)
		r.send(unit.FDReady{Key: "x.socket/0"})
	case stopPre:
		reachPhase(r, listening)
		r.send(unit.Stop{}).up(6)
	case stopPreSigterm:
		reachPhase(r, stopPre)
		r.send(unit.TimerFired{ID: "state"})
	case stopPreSigkill:
		reachPhase(r, stopPreSigterm)
		r.send(unit.TimerFired{ID: "state"})
	case stopPost:
		reachPhase(r, stopPre)
		r.exit(6, 0).up(6)
	case finalSigterm:
		reachPhase(r, stopPost)
		r.exit(6, 0)
	case finalSigkill:
		reachPhase(r, finalSigterm)
		r.send(unit.TimerFired{ID: "state"})
	case failed:
		r.send(unit.Request{Kind: unit.RequestStartLimitHit})
	}
}

var events = []struct {
	name string
	ev   unit.Event
}{
	{"start", unit.Start{}},
	{"stop", unit.Stop{}},
	{"reload", unit.Reload{}},
	{"control exits 0", unit.Exited{Proc: proc(6), Exit: unit.Exit{Code: unit.ExitExited}}},
	{"control exits 1", unit.Exited{Proc: proc(6), Exit: unit.Exit{Code: unit.ExitExited, Status: 1}}},
	{"control dumps", unit.Exited{Proc: proc(6), Exit: unit.Exit{Code: unit.ExitDumped, Status: 11}}},
	{"control vanishes", unit.Exited{Proc: proc(6)}},
	{"stranger exits", unit.Exited{Proc: proc(99)}},
	{"group empty", unit.CgroupEmpty{}},
	{"timer", unit.TimerFired{ID: "state"}},
	{"look", unit.TimerFired{ID: "look"}},
	{"ready", unit.FDReady{Key: "x.socket/0"}},
	{"other's ready", unit.FDReady{Key: "y.socket/0"}},
	{"service up", unit.PeerChanged{Peer: "x.service", Rel: unit.Triggers, New: serviceUp}},
	{"service down", unit.PeerChanged{Peer: "x.service", Rel: unit.Triggers, New: down("dead")}},
	{"service limited", unit.PeerChanged{Peer: "x.service", Rel: unit.Triggers, New: unit.State{Active: unit.Failed, Result: "start-limit-hit"}}},
	{"other peer", unit.PeerChanged{Peer: "y.service", Rel: unit.BindsTo, New: down("dead")}},
	{"stale spawn", unit.Spawned{Seq: 9999, Proc: proc(77)}},
	{"stale exec", unit.Execed{Seq: 9999}},
	{"stale done", unit.Done{Seq: 9999, Err: "no", None: true}},
	{"OOM", unit.OOM{}},
	{"notified", unit.Notified{From: proc(6)}},
	{"kill all", unit.Request{Kind: unit.RequestKill, Signal: 10}},
	{"kill main", unit.Request{Kind: unit.RequestKill, Signal: 10, Who: unit.KillMain}},
	{"kill control", unit.Request{Kind: unit.RequestKill, Signal: 10, Who: unit.KillControl}},
	{"reset-failed", unit.Request{Kind: unit.RequestResetFailed}},
	{"freeze", unit.Request{Kind: unit.RequestFreeze}},
	{"condition failed", unit.Request{Kind: unit.RequestConditionFailed}},
	{"start limit", unit.Request{Kind: unit.RequestStartLimitHit}},
	{"recovered", unit.Recovered{}},
}

// table is the state table: per phase, what each event leads to, in the order of events.
// "=" keeps the phase, "!" keeps it and refuses.
var table = [numPhases]string{
	dead:           "start-pre = ! = = = = = = = = = = = = = = = = = = = ! ! ! = ! = failed =",
	startPre:       "= stop-pre-sigterm ! start-chown final-sigterm final-sigterm final-sigterm = = final-sigterm = = = = = = = = = = = = = ! = = ! = = =",
	startChown:     "= stop-pre-sigterm ! = = = = = = stop-pre = = = = = = = = = = = = ! ! ! = ! = = =",
	startPost:      "= stop-pre-sigterm ! listening stop-pre stop-pre stop-pre = = stop-pre-sigterm = = = = = = = = = = = = = ! = = ! = = =",
	listening:      "= stop-pre ! = = = = = = = = running = running = stop-pre = = = = = = ! ! ! = ! = = =",
	running:        "= stop-pre ! = = = = = = = listening = = = listening stop-pre = = = = = = ! ! ! = ! = = =",
	stopPre:        "! = ! stop-post stop-post stop-post stop-post = = stop-pre-sigterm = = = = = = = = = = = = = ! = = ! = = =",
	stopPreSigterm: "! = ! stop-post stop-post stop-post stop-post = = stop-pre-sigkill = = = = = = = = = = = = = ! = = ! = = =",
	stopPreSigkill: "! = ! stop-post stop-post stop-post stop-post = = stop-post = = = = = = = = = = = = = ! = = ! = = =",
	stopPost:       "! = ! final-sigterm final-sigterm final-sigterm final-sigterm = = final-sigterm = = = = = = = = = = = = = ! = = ! = = =",
	finalSigterm:   "! = ! = = = = = dead final-sigkill = = = = = = = = = = = = ! ! ! = ! = = =",
	finalSigkill:   "! = ! = = = = = failed failed = = = = = = = = = = = = ! ! ! = ! = = =",
	failed:         "start-pre = ! = = = = = = = = = = = = = = = = = = = ! ! ! dead ! = = =",
}

func TestTable(t *testing.T) {
	for p := phase(0); p < numPhases; p++ {
		row := strings.Fields(table[p])
		var is []string
		for i, e := range events {
			r := newRig(t, full...)
			reachPhase(r, p)
			if got := r.u.State().Sub; got != p.String() {
				t.Fatalf("reachPhase(%s) leads to %s\n%s", p, got, strings.Join(r.trace, "\n"))
			}
			before := r.u.Snapshot(nil)
			u, err := r.typ.Restore(r.spec, Version, before)
			if err != nil || !reflect.DeepEqual(u.Snapshot(nil), before) {
				t.Errorf("%s: the snapshot does not survive: %v", p, err)
			}
			r.u = u
			r.send(e.ev)
			got := r.u.State().Sub
			switch {
			case r.refused != "":
				got = "!"
			case got == p.String():
				got = "="
			}
			if i >= len(row) || row[i] != got {
				t.Errorf("%s, %s: %s; want %v", p, e.name, got, row)
			}
			is = append(is, got)
		}
		if len(row) != len(events) {
			t.Errorf("%s has %d cells; want %d: %s", p, len(row), len(events), strings.Join(is, " "))
		}
	}
}
