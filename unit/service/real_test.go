package service_test

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/service"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
)

const vendorDir = "/usr/lib/systemd/system"

// TestInstalledUnits loads every service that is installed on the machine that runs the test:
// none may fail to load, none may have an unknown key, and each must go through a whole
// life with a clean end.
func TestInstalledUnits(t *testing.T) {
	entries, err := os.ReadDir(vendorDir)
	if err != nil {
		t.Skipf("no installed units to test with: %v", err)
	}
	typ := service.Type(service.Options{AllowDegraded: true})
	l := unitfile.NewLoader(unitfile.Config{FS: os.DirFS("/"), Dirs: []string{vendorDir},
		Facts: unitfile.ReadFacts(os.DirFS("/")), Types: map[unit.Kind]*unit.Type{unit.KindService: &typ}})
	loaded := 0
	for _, e := range entries {
		name, err := unit.ParseName(e.Name())
		if err != nil || name.Kind() != unit.KindService || e.Type()&fs.ModeSymlink != 0 {
			continue
		}
		if name.IsTemplate() {
			name = name.WithInstance("1")
		}
		spec := l.Load(name)
		for _, d := range spec.Diags {
			t.Errorf("%s: %s", name, d)
		}
		if spec.Load != unit.LoadLoaded {
			if spec.Load != unit.LoadMasked {
				t.Errorf("%s: %s: %s", name, spec.Load, spec.LoadError)
			}
			continue
		}
		loaded++
		live(t, &typ, spec)
	}
	t.Logf("%d services", loaded)
}

// live starts and stops one service whose processes all do what they should.
func live(t *testing.T, typ *unit.Type, spec *unit.Spec) {
	u, err := typ.New(spec)
	if err != nil {
		t.Errorf("%s: New: %v", spec.Name, err)
		return
	}
	if deps := typ.Implied(spec); len(deps) < 3 || deps[0].Rel != unit.InSlice {
		t.Errorf("%s: Implied = %v", spec.Name, deps)
	}
	m := &machine{t: t, u: u}
	m.send(unit.Start{})
	m.settle()
	if a := u.State().Active; a != unit.Active && a != unit.Inactive {
		t.Errorf("%s: after a start: %v", spec.Name, u.State())
	}
	m.send(unit.Stop{})
	m.settle()
	if st := u.State(); st.Active != unit.Inactive || st.Result != "success" {
		t.Errorf("%s: after a stop: %v", spec.Name, st)
	}
	u2, err := typ.Restore(spec, typ.Version, u.Snapshot(nil))
	if err != nil || u2.State() != u.State() {
		t.Errorf("%s: Restore = %v", spec.Name, err)
	}
	if !slices.ContainsFunc(u.Props(), func(v unit.Value) bool { return v.Name == "MainPID" }) {
		t.Errorf("%s: Props lack MainPID", spec.Name)
	}
}

// machine answers effects as a machine would on which everything works: daemons run until
// they are signalled and say READY=1, other commands succeed at once.
type machine struct {
	t     *testing.T
	u     unit.Unit
	seq   uint64
	todo  []unit.Event
	pid   int
	alive []int
}

func (m *machine) send(ev unit.Event) {
	tx := unit.NewTx(unit.Stamp{Mono: 1e9, Real: 1e9, Boot: 1e9}, "x", nil, &m.seq)
	m.u.Handle(tx, ev)
	for _, e := range tx.Effects() {
		m.answer(e.Seq, e.Effect)
	}
}

func (m *machine) answer(seq uint64, e unit.Effect) {
	switch e := e.(type) {
	case unit.Spawn:
		m.pid++
		p := unit.Proc{PID: m.pid, Start: uint64(m.pid)}
		m.alive = append(m.alive, m.pid)
		m.todo = append(m.todo, unit.Spawned{Seq: seq, Role: e.Role, Proc: p}, unit.Execed{Seq: seq})
		oneshot := false
		for _, v := range m.u.Props() {
			oneshot = oneshot || v.Name == "Type" && v.V == "oneshot"
		}
		if e.Role == "main" && !oneshot {
			m.todo = append(m.todo, unit.Notified{From: p, Fields: []unit.Field{{Key: "READY", Value: "1"}}})
		} else {
			m.end(m.pid, unit.Exit{Code: unit.ExitExited})
		}
	case unit.Kill:
		for _, pid := range slices.Clone(m.alive) {
			if e.Proc.PID == 0 || e.Proc.PID == pid {
				m.end(pid, unit.Exit{Code: unit.ExitKilled, Status: 15})
			}
		}
		m.todo = append(m.todo, unit.Done{Seq: seq})
	case unit.ReadPIDFile, unit.FindMain:
		m.pid++
		m.alive = append(m.alive, m.pid)
		m.todo = append(m.todo, unit.PIDRead{Seq: seq, Proc: unit.Proc{PID: m.pid, Start: uint64(m.pid)}})
		if _, file := e.(unit.ReadPIDFile); file && strings.HasPrefix(m.u.State().Sub, "r") { // the main process is gone for good
			m.todo[len(m.todo)-1] = unit.PIDRead{Seq: seq, Err: "gone"}
		}
	case unit.Arm, unit.Disarm, unit.Say, unit.Enqueue, unit.WatchPath, unit.UnwatchPath:
	default:
		m.todo = append(m.todo, unit.Done{Seq: seq})
	}
}

func (m *machine) end(pid int, e unit.Exit) {
	m.alive = slices.DeleteFunc(m.alive, func(p int) bool { return p == pid })
	m.todo = append(m.todo, unit.Exited{Proc: unit.Proc{PID: pid, Start: uint64(pid)}, Exit: e})
	if len(m.alive) == 0 {
		m.todo = append(m.todo, unit.CgroupEmpty{})
	}
}

func (m *machine) settle() {
	for n := 0; len(m.todo) > 0; n++ {
		if n > 1000 {
			m.t.Fatalf("%v does not settle", m.u.State())
		}
		ev := m.todo[0]
		m.todo = m.todo[1:]
		m.send(ev)
	}
}
