package service

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// rig drives one service by hand: events in, effects out.
type rig struct {
	t       *testing.T
	typ     unit.Type
	spec    *unit.Spec
	u       unit.Unit
	seq     uint64
	now     time.Duration
	peers   map[unit.Name]unit.Peer
	related map[unit.Relation][]unit.Name
	restore bool // snapshot and restore after every event
	trace   []string
	last    []unit.Emitted // of the last event
	all     []unit.Emitted
	refused string
	reload  *bool
}

func (r *rig) Peer(n unit.Name) (unit.Peer, bool)    { p, ok := r.peers[n]; return p, ok }
func (r *rig) Related(rel unit.Relation) []unit.Name { return r.related[rel] }

// specOf makes a Spec from lines "Key=value" of [Service].
func specOf(name unit.Name, lines ...string) *unit.Spec {
	s := &unit.Spec{Name: name, Load: unit.LoadLoaded}
	for i, l := range lines {
		k, v, _ := strings.Cut(l, "=")
		sec := "Service"
		if rest, ok := strings.CutPrefix(k, "Unit."); ok {
			sec, k = "Unit", rest
		}
		s.Settings = append(s.Settings, unit.Setting{Section: sec, Key: k, Value: v, Pos: unit.Pos{File: "test", Line: i + 1}})
	}
	return s
}

func newRig(t *testing.T, o Options, lines ...string) *rig {
	t.Helper()
	r := &rig{t: t, typ: Type(o), spec: specOf("x.service", lines...), now: time.Second, peers: map[unit.Name]unit.Peer{}, related: map[unit.Relation][]unit.Name{}}
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
		snap := r.u.Snapshot(nil)
		u, err := r.typ.Restore(r.spec, r.typ.Version, snap)
		if err != nil {
			r.t.Fatalf("Restore: %v", err)
		}
		r.u = u
	}
	tx := unit.NewTx(unit.Stamp{Real: r.now + time.Hour, Mono: r.now, Boot: r.now}, "system.slice/x.service", r, &r.seq)
	r.u.Handle(tx, ev)
	r.last, r.refused, r.reload = tx.Effects(), tx.Refused(), tx.ReloadResult()
	r.all = append(r.all, r.last...)
	line := fmt.Sprintf("%T -> %s", ev, r.u.State().Sub)
	for _, e := range r.last {
		line += " " + short(e.Effect)
	}
	if r.refused != "" {
		line += " refused"
	}
	r.trace = append(r.trace, line)
	return r
}

func short(e unit.Effect) string {
	switch e := e.(type) {
	case unit.Spawn:
		return "spawn:" + e.Role
	case unit.Kill:
		return fmt.Sprintf("kill:%d:%d", e.Proc.PID, e.Signal)
	case unit.Arm:
		return "arm:" + e.ID
	case unit.Disarm:
		return "disarm:" + e.ID
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", e), "unit.")
}

// find gives the Seq of the last effect of type E that was emitted.
func find[E unit.Effect](r *rig) (uint64, E) {
	r.t.Helper()
	for i := len(r.all) - 1; i >= 0; i-- {
		if e, ok := r.all[i].Effect.(E); ok {
			return r.all[i].Seq, e
		}
	}
	var none E
	r.t.Fatalf("no effect %T; trace:\n%s", none, strings.Join(r.trace, "\n"))
	return 0, none
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

// start sends Start and answers the preparations.
func (r *rig) start() *rig {
	r.t.Helper()
	r.send(unit.Start{})
	return r.prepared()
}

func (r *rig) prepared() *rig {
	r.t.Helper()
	for _, e := range r.last {
		switch e.Effect.(type) {
		case unit.Dirs, unit.Realize:
			defer r.send(unit.Done{Seq: e.Seq})
		}
	}
	return r
}

// up answers the last Spawn: process pid exists and executed its command.
func (r *rig) up(pid int) *rig {
	r.t.Helper()
	seq, s := find[unit.Spawn](r)
	r.send(unit.Spawned{Seq: seq, Role: s.Role, Proc: proc(pid)})
	return r.send(unit.Execed{Seq: seq})
}

func proc(pid int) unit.Proc { return unit.Proc{PID: pid, Start: uint64(pid) * 100} }

func (r *rig) exit(pid, status int) *rig {
	r.t.Helper()
	return r.send(unit.Exited{Proc: proc(pid), Exit: unit.Exit{Code: unit.ExitExited, Status: status}})
}

func (r *rig) killed(pid, signal int) *rig {
	r.t.Helper()
	return r.send(unit.Exited{Proc: proc(pid), Exit: unit.Exit{Code: unit.ExitKilled, Status: signal}})
}

func (r *rig) notify(pid int, fields ...string) *rig {
	r.t.Helper()
	n := unit.Notified{From: proc(pid)}
	for _, f := range fields {
		k, v, _ := strings.Cut(f, "=")
		n.Fields = append(n.Fields, unit.Field{Key: k, Value: v})
	}
	return r.send(n)
}

func (r *rig) timer(id string) *rig {
	r.t.Helper()
	return r.send(unit.TimerFired{ID: id})
}

func (r *rig) want(sub, result string) *rig {
	r.t.Helper()
	if st := r.u.State(); st.Sub != sub || st.Result != result {
		r.t.Fatalf("state = %s, result %s; want %s, %s\n%s", st.Sub, st.Result, sub, result, strings.Join(r.trace, "\n"))
	}
	return r
}

func (r *rig) role(role string) *rig {
	r.t.Helper()
	s := emitted[unit.Spawn](r)
	if len(s) != 1 || s[0].Role != role {
		r.t.Fatalf("spawned %v; want %s\n%s", s, role, strings.Join(r.trace, "\n"))
	}
	return r
}

func (r *rig) sig(pid, signal int) *rig {
	r.t.Helper()
	for _, k := range emitted[unit.Kill](r) {
		if k.Proc.PID == pid && k.Signal == signal {
			return r
		}
	}
	r.t.Fatalf("no kill of %d with %d\n%s", pid, signal, strings.Join(r.trace, "\n"))
	return r
}
