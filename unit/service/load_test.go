package service

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// TestLoad are the refusals of systemd 252, and what follows from what.
func TestLoad(t *testing.T) {
	typ := Type(Options{})
	for _, tc := range []struct {
		lines string
		want  string // part of the error, or empty
	}{
		{"ExecStart=/bin/a", ""},
		{"ExecStart=/bin/a|ExecStart=/bin/b", "Type=oneshot"},
		{"ExecStart=/bin/a|ExecStart=|ExecStart=/bin/b", ""},
		{"Type=oneshot|ExecStart=/bin/a|ExecStart=/bin/b", ""},
		{"Restart=no", "none of ExecStart="},
		{"ExecStop=/bin/a", "RemainAfterExit=yes"},
		{"ExecStop=/bin/a|RemainAfterExit=yes", ""},
		{"Type=simple|ExecStop=/bin/a|RemainAfterExit=yes", "oneshot alone"},
		{"Unit.SuccessAction=poweroff", ""},
		{"Type=oneshot|ExecStart=/bin/a|Restart=always", "do not go with"},
		{"Type=oneshot|ExecStart=/bin/a|Restart=on-failure", ""},
		{"Type=dbus|ExecStart=/bin/a", "needs BusName="},
		{"BusName=a.b|ExecStart=/bin/a", ""},
		{"Type=forking|ExitType=cgroup|ExecStart=/bin/a", "ExitType=cgroup"},
	} {
		_, err := typ.New(specOf("x.service", strings.Split(tc.lines, "|")...))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: New = %v; want %q", tc.lines, err, tc.want)
		}
	}
}

func TestConsequences(t *testing.T) {
	s := newRig(t, Options{}, "Type=oneshot", "ExecStart=/bin/a", "WatchdogSec=5", "TimeoutStopSec=7", "Delegate=yes", "PIDFile=/var/run/a.pid").u.(*Service)
	c := s.cfg
	if c.TimeoutStart != unit.Infinity || c.NotifyAccess != notifyMain || c.TimeoutAbort != c.TimeoutStop ||
		c.Settings.CGroup.OOMPolicy != execspec.OOMContinue || c.PIDFile != "/run/a.pid" {
		t.Errorf("%+v", c)
	}
}

func TestImplied(t *testing.T) {
	typ := Type(Options{})
	text := func(name unit.Name, lines ...string) string {
		var out []string
		for _, d := range typ.Implied(specOf(name, lines...)) {
			out = append(out, fmt.Sprintf("%s=%s%s", d.Rel, d.Unit, d.Path))
		}
		return strings.Join(out, " ")
	}
	const byDefault = " Requires=sysinit.target After=sysinit.target After=basic.target Conflicts=shutdown.target Before=shutdown.target"
	for _, tc := range []struct{ got, want string }{
		{text("x.service", "ExecStart=/bin/a"), "Slice=system.slice Requires=system.slice After=system.slice" + byDefault},
		{text("x.service", "ExecStart=/bin/a", "Type=notify", "BusName=a.b"), "Slice=system.slice Requires=system.slice After=system.slice" + byDefault},
		{text("a-b@c.service", "ExecStart=/bin/a", "Unit.DefaultDependencies=no"), `Slice=system-a\x2db.slice Requires=system-a\x2db.slice After=system-a\x2db.slice`},
		{text("x.service", "ExecStart=/bin/a", "Slice=a.slice", "BusName=a.b", "Sockets=y.socket", "StateDirectory=z", "WorkingDirectory=/srv", "Unit.DefaultDependencies=no"),
			"Slice=a.slice Requires=a.slice After=a.slice Requires=dbus.socket After=dbus.socket Wants=y.socket After=y.socket TriggeredBy=y.socket " +
				"RequiresMountsFor=/srv RequiresMountsFor=/var/lib/z"},
	} {
		if tc.got != tc.want {
			t.Errorf("Implied = %s; want %s", tc.got, tc.want)
		}
	}
}

// TestRefused: what protects and is not there keeps a service from starting, unless the
// administrator allowed it; then each setting is said.
func TestRefused(t *testing.T) {
	lines := []string{"ExecStart=/bin/a", "ProtectSystem=full", "IPAddressDeny=any", "Restart=always"}
	r := newRig(t, Options{}, lines...)
	r.start().want("failed", "resources")
	say := emitted[unit.Say](r)
	if len(emitted[unit.Spawn](r)) > 0 || len(say) != 1 || !strings.Contains(say[0].Text, "ProtectSystem=full, IPAddressDeny=any") {
		t.Errorf("effects: %v", r.trace)
	}
	r = newRig(t, Options{AllowDegraded: true}, lines...)
	r.send(unit.Start{})
	if say := emitted[unit.Say](r); len(say) != 2 || say[0].Level != unit.LevelWarning {
		t.Errorf("Say = %v", say)
	}
	r.prepared().up(5).want("running", "success")
}

func TestRestoreRejects(t *testing.T) {
	r := newRig(t, Options{}, "ExecStart=/bin/a")
	snap := r.start().up(5).u.Snapshot(nil)
	if _, err := r.typ.Restore(r.spec, 99, snap); err == nil {
		t.Error("another version was accepted")
	}
	if _, err := r.typ.Restore(r.spec, Version, snap[:len(snap)-1]); err == nil {
		t.Error("a cut snapshot was accepted")
	}
}

// TestReloadedSpec restores a running service with fewer commands than it remembers.
func TestReloadedSpec(t *testing.T) {
	r := newRig(t, Options{}, "Type=oneshot", "ExecStart=/bin/a", "ExecStart=/bin/b", "ExecStart=/bin/c", "ExecStop=/bin/s")
	r.start().up(1).exit(1, 0).up(2)
	r.spec = specOf("x.service", "Type=oneshot", "ExecStart=/bin/z")
	r.restore = true
	r.send(unit.CgroupEmpty{}).exit(2, 0).want("dead", "success")
}

func FuzzRestore(f *testing.F) {
	typ := Type(Options{})
	spec := specOf("x.service", "Type=forking", "PIDFile=/run/a.pid", "ExecStartPre=/bin/p", "ExecStart=/bin/a", "ExecStop=/bin/s", "ExecStopPost=/bin/sp")
	u, err := typ.New(spec)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(u.Snapshot(nil), uint8(0))
	f.Add([]byte{2, 4, 9, 2, 10, 1}, uint8(3))
	f.Fuzz(func(t *testing.T, snap []byte, n uint8) {
		u, err := typ.Restore(spec, Version, snap)
		if err != nil {
			return
		}
		seq := uint64(100)
		tx := unit.NewTx(unit.Stamp{Mono: 5}, "x", nil, &seq)
		u.Handle(tx, events[int(n)%len(events)].ev)
		u.Props()
		again, err := typ.Restore(spec, Version, u.Snapshot(nil))
		if err != nil || again.State() != u.State() || !slices.Equal(again.Snapshot(nil), u.Snapshot(nil)) {
			t.Errorf("Restore(Snapshot) = %v, %v; want %v", again, err, u.State())
		}
	})
}
