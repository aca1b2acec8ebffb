package socket_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/socket"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
)

const unitDir = "usr/lib/systemd/system"

func loader(fsys fstest.MapFS) (*unitfile.Loader, unit.Type) {
	typ := socket.Type()
	return unitfile.NewLoader(unitfile.Config{FS: fsys, Facts: unitfile.SystemFacts(), Types: map[unit.Kind]*unit.Type{unit.KindSocket: &typ}}), typ
}

// TestWritten loads sockets as distributions write them: dbus, ssh, and systemd's own.
func TestWritten(t *testing.T) {
	for _, tc := range []struct {
		name, text, refused string
		deps                []string
	}{
		{"dbus.socket", "[Unit]\nDescription=D-Bus System Message Bus Socket\n[Socket]\nListenStream=/run/dbus/system_bus_socket\n", "",
			[]string{"Triggers dbus.service", "Before dbus.service", "Before sockets.target", "Requires sysinit.target", "After sysinit.target",
				"Conflicts shutdown.target", "Before shutdown.target", "Slice system.slice", "Requires system.slice", "After system.slice", "RequiresMountsFor /run/dbus/system_bus_socket"}},
		{"ssh.socket", "[Unit]\nBefore=sockets.target ssh.service\nConditionPathExists=!/etc/ssh/sshd_not_to_be_run\n[Socket]\nListenStream=22\nAccept=no\n[Install]\nWantedBy=sockets.target\nRequiredBy=ssh.service\n", "",
			[]string{"Triggers ssh.service"}},
		{"rescue-ssh.socket", "[Socket]\nListenStream=2222\nAccept=yes\n", "Accept=yes", nil},
		{"systemd-journald-dev-log.socket", "[Unit]\nDefaultDependencies=no\n[Socket]\nService=systemd-journald.service\nListenDatagram=/run/systemd/journal/dev-log\nSymlinks=/dev/log\nSocketMode=0666\nPassCredentials=yes\nPassSecurity=yes\nReceiveBuffer=8M\nSendBuffer=8M\nTimestamping=us\n", "",
			[]string{"Triggers systemd-journald.service", "Slice system.slice"}},
		{"systemd-udevd-kernel.socket", "[Unit]\nDefaultDependencies=no\n[Socket]\nService=systemd-udevd.service\nReceiveBuffer=134217728\nListenNetlink=kobject-uevent 1\nPassCredentials=yes\n", "ListenNetlink=kobject-uevent 1", nil},
		{"systemd-udevd-control.socket", "[Unit]\nDefaultDependencies=no\n[Socket]\nService=systemd-udevd.service\nListenSequentialPacket=/run/udev/control\nSocketMode=0600\nPassCredentials=yes\nRemoveOnStop=yes\n", "", nil},
		{"systemd-initctl.socket", "[Unit]\nDefaultDependencies=no\n[Socket]\nListenFIFO=/run/initctl\nSymlinks=/dev/initctl\nSocketMode=0600\n", "", nil},
		{"limited.socket", "[Socket]\nListenStream=[::1]:80\nMemoryMax=1G\nSlice=web.slice\nExecStartPre=/bin/true\nUser=www\nKillMode=mixed\nTriggerLimitIntervalSec=5\nTriggerLimitBurst=3\n", "",
			[]string{"Slice web.slice"}},
	} {
		l, typ := loader(fstest.MapFS{unitDir + "/" + tc.name: {Data: []byte(tc.text)}})
		spec := l.Load(unit.Name(tc.name))
		if spec.Load != unit.LoadLoaded || len(spec.Diags) != 0 {
			t.Errorf("%s: %s, %v", tc.name, spec.Load, spec.Diags)
			continue
		}
		checkDeps(t, spec, typ, tc.deps)
		if got := startRefusal(t, spec, typ); !strings.Contains(got, tc.refused) || (got == "") != (tc.refused == "") {
			t.Errorf("%s: refused %q; want %q", tc.name, got, tc.refused)
		}
	}
}

func checkDeps(t *testing.T, spec *unit.Spec, typ unit.Type, want []string) {
	t.Helper()
	var got []string
	for _, d := range typ.Implied(spec) {
		got = append(got, d.Rel.String()+" "+string(d.Unit)+d.Path)
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%s does not imply %q: %q", spec.Name, w, got)
		}
	}
	sysinit := slices.Contains(got, "Requires sysinit.target")
	for _, s := range spec.Settings {
		if s.Key == "DefaultDependencies" && s.Value == "no" && sysinit {
			t.Errorf("%s has default dependencies: %q", spec.Name, got)
		}
	}
	if len(want) > 5 && len(want) != len(got) {
		t.Errorf("%s implies %q; want %q", spec.Name, got, want)
	}
}

// view shows a service that is down.
type view struct{}

func (view) Peer(n unit.Name) (unit.Peer, bool) {
	return unit.Peer{Name: n, State: unit.State{Active: unit.Inactive, Sub: "dead"}}, n.Kind() == unit.KindService
}
func (view) Related(unit.Relation) []unit.Name { return nil }

func startRefusal(t *testing.T, spec *unit.Spec, typ unit.Type) string {
	t.Helper()
	u, err := typ.New(spec)
	if err != nil {
		t.Errorf("New(%s): %v", spec.Name, err)
		return ""
	}
	var seq uint64
	tx := unit.NewTx(unit.Stamp{}, "x", view{}, &seq)
	u.Handle(tx, unit.Start{})
	if up := u.State().Active == unit.Activating; up != (tx.Refused() == "") {
		t.Errorf("%s: %v after a start, refused %q", spec.Name, u.State(), tx.Refused())
	}
	return tx.Refused()
}

// TestInstalled loads every socket of this machine without a complaint.
func TestInstalled(t *testing.T) {
	files, err := filepath.Glob("/" + unitDir + "/*.socket")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("this machine has no socket units")
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(f)
		name := unit.Name(base)
		if name.IsTemplate() {
			name = unit.Name(name.Prefix() + "@one.socket")
		}
		l, typ := loader(fstest.MapFS{unitDir + "/" + base: {Data: data}})
		spec := l.Load(name)
		if spec.Load != unit.LoadLoaded || len(spec.Diags) != 0 {
			t.Errorf("%s: %s, %v", base, spec.Load, spec.Diags)
			continue
		}
		refused := startRefusal(t, spec, typ)
		missing := strings.Contains(string(data), "ListenNetlink=") || strings.Contains(string(data), "ListenSpecial=")
		if missing != (refused != "") {
			t.Errorf("%s: refused %q", base, refused)
		}
	}
}

// FuzzConfig loads hostile files, starts what loads, and restores what it wrote.
func FuzzConfig(f *testing.F) {
	f.Add("ListenStream=/run/x\nSymlinks=/run/y\nRemoveOnStop=yes")
	f.Add("ListenDatagram=[::1]:5\nFileDescriptorName=a\nTriggerLimitBurst=0\nListenFIFO=/x\nIPTOS=low-delay\nTimestamping=us")
	f.Add("ListenStream=80\nAccept=yes\nMaxConnections=0\nExecStartPre=/bin/true\nMemoryMax=1G\nFlushPending=1")
	f.Fuzz(func(t *testing.T, text string) {
		l, typ := loader(fstest.MapFS{unitDir + "/x.socket": {Data: []byte("[Socket]\n" + text)}})
		spec := l.Load("x.socket")
		typ.Implied(spec)
		u, err := typ.New(spec)
		if err != nil {
			return
		}
		var seq uint64
		for _, ev := range []unit.Event{unit.Start{}, unit.Done{Seq: 1}, unit.Done{Seq: 2}, unit.FDReady{Key: "x.socket/0"}, unit.Stop{}} {
			u.Handle(unit.NewTx(unit.Stamp{Mono: 1}, "x", view{}, &seq), ev)
			snapshot := u.Snapshot(nil)
			again, err := typ.Restore(spec, typ.Version, snapshot)
			if err != nil || string(again.Snapshot(nil)) != string(snapshot) || again.State() != u.State() {
				t.Fatalf("Restore after %T: %v", ev, err)
			}
			u.Props()
		}
	})
}

// FuzzRestore reads hostile snapshots.
func FuzzRestore(f *testing.F) {
	typ := socket.Type()
	spec := &unit.Spec{Name: "x.socket", Settings: []unit.Setting{{Section: "Socket", Key: "ListenStream", Value: "/run/x"}}}
	u, err := typ.New(spec)
	if err != nil {
		f.Fatal(err)
	}
	var seq uint64
	u.Handle(unit.NewTx(unit.Stamp{}, "x", view{}, &seq), unit.Start{})
	f.Add(u.Snapshot(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := typ.Restore(spec, typ.Version, data)
		if err != nil {
			return
		}
		var seq uint64
		for _, ev := range []unit.Event{unit.Recovered{}, unit.TimerFired{ID: "state"}, unit.TimerFired{ID: "look"}, unit.Stop{}} {
			u.Handle(unit.NewTx(unit.Stamp{}, "x", view{}, &seq), ev)
			u.State()
			u.Snapshot(nil)
			u.Props()
			u.(unit.FDHolder).FDs()
		}
	})
}
