package socket

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// rig drives one socket by hand: events in, effects out.
type rig struct {
	t       *testing.T
	typ     unit.Type
	spec    *unit.Spec
	u       unit.Unit
	seq     uint64
	now     time.Duration
	peers   map[unit.Name]unit.Peer
	restore bool // snapshot and restore before every event
	trace   []string
	last    []unit.Emitted // of the last event
	all     []unit.Emitted
	refused string
}

func (r *rig) Peer(n unit.Name) (unit.Peer, bool) { p, ok := r.peers[n]; return p, ok }
func (r *rig) Related(unit.Relation) []unit.Name  { return nil }

// specOf makes a Spec from lines "Key=value" of [Socket].
func specOf(name unit.Name, lines ...string) *unit.Spec {
	s := &unit.Spec{Name: name, Load: unit.LoadLoaded}
	for i, l := range lines {
		k, v, _ := strings.Cut(l, "=")
		sec := "Socket"
		if rest, ok := strings.CutPrefix(k, "Unit."); ok {
			sec, k = "Unit", rest
		}
		s.Settings = append(s.Settings, unit.Setting{Section: sec, Key: k, Value: v, Pos: unit.Pos{File: "test", Line: i + 1}})
	}
	return s
}

func down(sub string) unit.State {
	return unit.State{Active: unit.Inactive, Sub: sub, Result: "success"}
}

func newRig(t *testing.T, lines ...string) *rig {
	t.Helper()
	r := &rig{t: t, typ: Type(), spec: specOf("x.socket", lines...), now: time.Second, peers: map[unit.Name]unit.Peer{
		"x.service": {Name: "x.service", State: down("dead")},
	}}
	u, err := r.typ.New(r.spec)
	if err != nil {
		t.Fatal(err)
	}
	r.u = u
	return r
}

func (r *rig) send(ev unit.Event) *rig {
	r.t.Helper()
	if r.restore {
		u, err := r.typ.Restore(r.spec, r.typ.Version, r.u.Snapshot(nil))
		if err != nil {
			r.t.Fatalf("Restore: %v", err)
		}
		if !reflect.DeepEqual(u.Snapshot(nil), r.u.Snapshot(nil)) {
			r.t.Fatalf("a restored socket has another snapshot")
		}
		r.u = u
	}
	tx := unit.NewTx(unit.Stamp{Real: r.now + time.Hour, Mono: r.now, Boot: r.now}, "system.slice/x.socket", r, &r.seq)
	r.u.Handle(tx, ev)
	r.last, r.refused = tx.Effects(), tx.Refused()
	r.all = append(r.all, r.last...)
	line := fmt.Sprintf("%T -> %s", ev, r.u.State().Sub)
	for _, e := range r.last {
		line += fmt.Sprintf(" %T%v", e.Effect, e.Effect)
	}
	r.trace = append(r.trace, line)
	return r
}

// answer answers the last effect of type E.
func answer[E unit.Effect](r *rig, err string) *rig {
	r.t.Helper()
	for i := len(r.all) - 1; i >= 0; i-- {
		if _, ok := r.all[i].Effect.(E); ok {
			return r.send(unit.Done{Seq: r.all[i].Seq, Err: err})
		}
	}
	r.t.Fatalf("nothing to answer\n%s", strings.Join(r.trace, "\n"))
	return r
}

// up answers the last Spawn: process pid exists and executed its command.
func (r *rig) up(pid int) *rig {
	r.t.Helper()
	for i := len(r.all) - 1; i >= 0; i-- {
		if s, ok := r.all[i].Effect.(unit.Spawn); ok {
			seq := r.all[i].Seq
			r.send(unit.Spawned{Seq: seq, Role: s.Role, Proc: proc(pid)})
			return r.send(unit.Execed{Seq: seq})
		}
	}
	r.t.Fatalf("nothing was spawned\n%s", strings.Join(r.trace, "\n"))
	return r
}

func proc(pid int) unit.Proc { return unit.Proc{PID: pid, Start: uint64(pid) * 100} }

func (r *rig) exit(pid, status int) *rig {
	r.t.Helper()
	return r.send(unit.Exited{Proc: proc(pid), Exit: unit.Exit{Code: unit.ExitExited, Status: status}})
}

func (r *rig) want(sub, result string) *rig {
	r.t.Helper()
	if st := r.u.State(); st.Sub != sub || st.Result != result {
		r.t.Fatalf("state = %s, result %s; want %s, %s\n%s", st.Sub, st.Result, sub, result, strings.Join(r.trace, "\n"))
	}
	return r
}

func emitted[E unit.Effect](r *rig) []E {
	var out []E
	for _, e := range r.last {
		if x, ok := e.Effect.(E); ok {
			out = append(out, x)
		}
	}
	return out
}

// service sets the state of the service and tells it.
func (r *rig) service(st unit.State, job unit.JobType) *rig {
	r.t.Helper()
	old := r.peers["x.service"]
	r.peers["x.service"] = unit.Peer{Name: "x.service", State: st, Job: job}
	return r.send(unit.PeerChanged{Peer: "x.service", Rel: unit.Triggers, Old: old.State, New: st})
}

var serviceUp = unit.State{Active: unit.Active, Sub: "running", Result: "success"}

func listeningRig(t *testing.T, lines ...string) *rig {
	t.Helper()
	r := newRig(t, append([]string{"ListenStream=/run/x", "ListenDatagram=53"}, lines...)...)
	r.send(unit.Start{}).want("start-chown", "success")
	return answer[unit.Listen](r, "").want("listening", "success")
}

func TestLife(t *testing.T) {
	for _, restore := range []bool{false, true} {
		r := newRig(t, "ListenStream=/run/x", "ListenDatagram=53", "RemoveOnStop=yes", "Symlinks=/run/y", "FileDescriptorName=web", "SocketMode=0600")
		r.restore = restore
		r.send(unit.Start{})
		l := emitted[unit.Listen](r)
		if len(l) != 1 || len(l[0].Sockets) != 2 {
			t.Fatalf("Listen = %v", l)
		}
		a, b := l[0].Sockets[0], l[0].Sockets[1]
		if a.Key != "x.socket/0" || a.Type != "stream" || a.Address != "/run/x" || a.Options.Mode != 0o600 || len(a.Options.Symlinks) != 1 {
			t.Errorf("first socket = %+v", a)
		}
		if b.Key != "x.socket/1" || b.Type != "dgram" || b.Address != "53" || len(b.Options.Symlinks) != 0 {
			t.Errorf("second socket = %+v", b)
		}
		if f := r.u.(unit.FDHolder).FDs(); f != nil {
			t.Errorf("FDs before the sockets exist = %v", f)
		}
		answer[unit.Listen](r, "")
		keys := []string{"x.socket/0", "x.socket/1"}
		if w := emitted[unit.WatchFD](r); len(w) != 1 || !slices.Equal(w[0].Keys, keys) {
			t.Errorf("WatchFD = %v", w)
		}
		if f := r.u.(unit.FDHolder).FDs(); !slices.Equal(f, []unit.FDRef{{Key: "x.socket/0", Name: "web"}, {Key: "x.socket/1", Name: "web"}}) {
			t.Errorf("FDs = %v", f)
		}
		r.send(unit.FDReady{Key: "x.socket/1"}).want("running", "success")
		if e := emitted[unit.Enqueue](r); len(e) != 1 || e[0].Unit != "x.service" || e[0].Type != unit.JobStart {
			t.Errorf("Enqueue = %v", e)
		}
		if w := emitted[unit.UnwatchFD](r); len(w) != 1 || !slices.Equal(w[0].Keys, keys) {
			t.Errorf("UnwatchFD = %v", w)
		}
		r.service(serviceUp, 0).want("running", "success")
		r.service(down("dead"), 0).want("listening", "success")
		if w := emitted[unit.WatchFD](r); len(w) != 1 {
			t.Errorf("WatchFD = %v", w)
		}
		r.send(unit.Stop{}).want("dead", "success")
		if d := emitted[unit.DropFD](r); len(d) != 1 || !slices.Equal(d[0].Keys, keys) || !slices.Equal(d[0].Unlink, []string{"/run/x", "/run/y"}) {
			t.Errorf("DropFD = %v", d)
		}
		if f := r.u.(unit.FDHolder).FDs(); f != nil {
			t.Errorf("FDs after the stop = %v", f)
		}
	}
}

func TestListenFails(t *testing.T) {
	r := newRig(t, "ListenStream=/run/x", "RemoveOnStop=yes").send(unit.Start{})
	answer[unit.Listen](r, "cannot listen on /run/x: address in use").want("failed", "resources")
	if d := emitted[unit.DropFD](r); len(d) != 1 || len(d[0].Unlink) != 0 {
		t.Errorf("DropFD = %v; another's file must stay", d)
	}
	r.send(unit.Request{Kind: unit.RequestResetFailed}).want("dead", "success")
}

func TestStopWhileListening(t *testing.T) {
	r := newRig(t, "ListenStream=/run/x").send(unit.Start{}).send(unit.Stop{}).want("dead", "success")
	if d := emitted[unit.DropFD](r); len(d) != 1 {
		t.Errorf("DropFD = %v", d)
	}
	answer[unit.Listen](r, "").want("dead", "success")
	if len(r.last) != 0 {
		t.Errorf("a late answer asks for %v", r.last)
	}
}

func TestTriggerLimit(t *testing.T) {
	r := listeningRig(t, "TriggerLimitBurst=3", "TriggerLimitIntervalSec=2s")
	for range 3 {
		r.send(unit.FDReady{Key: "x.socket/0"}).want("running", "success")
		r.service(down("dead"), 0).want("listening", "success")
	}
	r.now += 3 * time.Second // another interval
	for range 3 {
		r.send(unit.FDReady{Key: "x.socket/0"}).want("running", "success")
		r.service(down("dead"), 0).want("listening", "success")
	}
	r.send(unit.FDReady{Key: "x.socket/0"}).want("failed", "trigger-limit-hit")
}

func TestServiceStartLimit(t *testing.T) {
	r := listeningRig(t)
	r.send(unit.FDReady{Key: "x.socket/0"})
	r.service(unit.State{Active: unit.Failed, Sub: "failed", Result: "start-limit-hit"}, 0).want("failed", "service-start-limit-hit")
}

// TestServiceLimitedAgain: a service that failed before shows its old result when the start
// limit refuses the next start, and does not change at all.
func TestServiceLimitedAgain(t *testing.T) {
	r := listeningRig(t)
	failed := unit.State{Active: unit.Failed, Sub: "failed", Result: "exit-code"}
	r.send(unit.FDReady{Key: "x.socket/0"})
	r.service(failed, 0).want("listening", "success")
	r.send(unit.FDReady{Key: "x.socket/0"})
	r.peers["x.service"] = unit.Peer{State: failed, Limited: true}
	r.send(unit.TimerFired{ID: "look"}).want("failed", "service-start-limit-hit")
}

// TestServiceNeverComes: a job that ends without a change of the service is found by looking,
// and repeats until the trigger limit ends it.
func TestServiceNeverComes(t *testing.T) {
	r := listeningRig(t)
	n := 0
	for r.u.State().Sub == "listening" {
		if n++; n > 100 {
			t.Fatal("the trigger limit is never hit")
		}
		r.send(unit.FDReady{Key: "x.socket/0"})
		if r.u.State().Sub != "running" {
			break
		}
		r.peers["x.service"] = unit.Peer{State: down("dead"), Job: unit.JobStart}
		r.now += 50 * time.Millisecond
		r.send(unit.TimerFired{ID: "look"}).want("running", "success")
		r.peers["x.service"] = unit.Peer{State: down("dead")}
		r.now += time.Millisecond
		r.send(unit.TimerFired{ID: "look"}).want("listening", "success")
	}
	r.want("failed", "trigger-limit-hit")
	if n != 21 {
		t.Errorf("%d triggers; want 21", n)
	}
}

func TestServiceRestarts(t *testing.T) {
	r := listeningRig(t)
	r.send(unit.FDReady{Key: "x.socket/0"})
	r.service(serviceUp, 0)
	r.service(down("dead"), unit.JobRestart).want("running", "success")
	r.service(serviceUp, 0).want("running", "success")
	r.service(unit.State{Active: unit.Activating, Sub: "auto-restart"}, 0).want("listening", "success")
	r.service(serviceUp, 0).want("running", "success")
}

func TestServiceInTheWay(t *testing.T) {
	r := newRig(t, "ListenStream=/run/x")
	r.peers["x.service"] = unit.Peer{State: serviceUp}
	if r.send(unit.Start{}).want("dead", "success"); !strings.Contains(r.refused, "already active, refusing") {
		t.Errorf("refused = %q", r.refused)
	}
	delete(r.peers, "x.service")
	if r.send(unit.Start{}).want("dead", "success"); !strings.Contains(r.refused, "not loaded") {
		t.Errorf("refused = %q", r.refused)
	}
}

func TestRefusals(t *testing.T) {
	for _, lines := range [][]string{
		{"ListenStream=/run/x", "Accept=yes"}, {"ListenNetlink=audit 1"}, {"ListenSpecial=/dev/rfkill"}, {"ListenMessageQueue=/q"},
		{"ListenUSBFunction=/x"}, {"ListenStream=/run/x", "FlushPending=yes"}, {"ListenStream=/run/x", "SmackLabel=l"}, {"ListenStream=80", "SocketProtocol=sctp"},
	} {
		r := newRig(t, lines...).send(unit.Start{}).want("dead", "success")
		if !strings.Contains(r.refused, lines[len(lines)-1]) {
			t.Errorf("%v: refused = %q", lines, r.refused)
		}
	}
}

func TestBadSettings(t *testing.T) {
	for _, lines := range [][]string{
		{}, {"ListenDatagram=5", "Accept=yes"}, {"ListenStream=5", "Accept=yes", "Service=y.service"}, {"ListenStream=5", "Symlinks=/run/y"},
		{"ListenStream=/a", "ListenFIFO=/b", "Symlinks=/run/y"}, {"ListenStream=/a", "ListenStream="}, {"ListenStream=a"}, {"ListenStream=70000"},
		{"ListenStream=1.2.3.4"}, {"ListenStream=::1:5"}, {"ListenStream=[1.2.3.4]:5"}, {"ListenSequentialPacket=5"}, {"ListenFIFO=a"}, {"ListenStream=@"},
		{"ListenStream=/a", "FileDescriptorName=a:b"}, {"ListenStream=/a", "Service=x.socket"}, {"ListenStream=/" + strings.Repeat("a", 200)},
	} {
		if _, err := Type().New(specOf("x.socket", lines...)); err == nil {
			t.Errorf("New(%v) succeeds", lines)
		}
	}
	for _, a := range []string{"/a", "@a", "80", "1.2.3.4:80", "[::1]:80", "[fe80::1%eth0]:80"} {
		if _, err := Type().New(specOf("x.socket", "ListenStream="+a)); err != nil {
			t.Errorf("New(%s): %v", a, err)
		}
	}
}

func TestCommands(t *testing.T) {
	for _, restore := range []bool{false, true} {
		r := newRig(t, "ListenStream=/run/x", "ExecStartPre=/bin/a", "ExecStartPre=-/bin/b", "ExecStartPost=/bin/c", "ExecStopPre=/bin/d", "ExecStopPost=/bin/e")
		r.restore = restore
		r.send(unit.Start{}).want("start-pre", "success")
		answer[unit.Realize](r, "").up(1).exit(1, 0).up(2).exit(2, 9).want("start-chown", "success")
		answer[unit.Listen](r, "").want("start-post", "success").up(3).exit(3, 0).want("listening", "success")
		r.send(unit.Stop{}).want("stop-pre", "success").up(4).exit(4, 0).want("stop-post", "success")
		if d := emitted[unit.DropFD](r); len(d) != 1 {
			t.Errorf("DropFD = %v", d)
		}
		r.up(5).exit(5, 3).want("final-sigterm", "exit-code").send(unit.CgroupEmpty{}).want("failed", "exit-code")
		if d := emitted[unit.RemoveCgroup](r); len(d) != 1 {
			t.Errorf("RemoveCgroup = %v", d)
		}
	}
}

func TestCommandHangs(t *testing.T) {
	r := newRig(t, "ListenStream=/run/x", "ExecStartPre=/bin/a", "TimeoutSec=5s")
	r.send(unit.Start{})
	answer[unit.Realize](r, "").up(1)
	r.send(unit.TimerFired{ID: "state"}).want("final-sigterm", "timeout")
	r.send(unit.TimerFired{ID: "state"}).want("final-sigkill", "timeout")
	r.send(unit.TimerFired{ID: "state"}).want("failed", "timeout")
}

func TestRecovered(t *testing.T) {
	r := listeningRig(t)
	r.restore = true
	if r.send(unit.Recovered{}); len(emitted[unit.WatchFD](r)) != 1 {
		t.Errorf("effects = %v; want WatchFD", r.last)
	}
	r.send(unit.FDReady{Key: "x.socket/0"})
	if r.send(unit.Recovered{}); len(emitted[unit.Arm](r)) != 1 {
		t.Errorf("effects = %v; want Arm", r.last)
	}
	r.send(unit.TimerFired{ID: "look"}).want("listening", "success")
}
