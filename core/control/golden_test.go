package control

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/client/wire"
	"github.com/sysmaster-go/sysmaster/unit"
)

// line puts a message into one line of a transcript.
func line(m *wire.Message) string {
	switch m.Type {
	case dbus.TypeSignal:
		return fmt.Sprintf("signal %s %s %s %v", m.Path, m.Member, m.Signature, m.Body)
	case dbus.TypeError:
		return fmt.Sprintf("error %s %v", m.ErrorName, m.Body)
	}
	return fmt.Sprintf("reply %s %v", m.Signature, m.Body)
}

// talk records a conversation: what is asked, and all that comes until the answer and n signals did.
func (r *raw) talk(n int, path, iface, member, sig string, args ...any) string {
	r.t.Helper()
	require.NoError(r.t, r.send(path, iface, member, sig, args...))
	var b strings.Builder
	fmt.Fprintf(&b, "> %s %v\n", member, args)
	for answered := false; !answered || n > 0; {
		m, err := r.next()
		require.NoError(r.t, err)
		if m.Type == dbus.TypeSignal {
			n--
		} else {
			answered = true
		}
		b.WriteString("< " + line(m) + "\n")
	}
	return b.String()
}

func TestConversation(t *testing.T) {
	m := newMachine(t, Config{Observe: quiet}, "web.service", "hold.service")
	r := m.login()
	const mgr, iface = wire.ManagerPath, wire.ManagerIface
	web := wire.UnitPath("web.service")
	var b strings.Builder
	for _, s := range []string{
		r.talk(0, mgr, iface, "GetUnit", "s", "web.service"),
		r.talk(0, mgr, iface, "GetUnit", "s", "other.service"),
		r.talk(0, mgr, iface, "LoadUnit", "s", "other.service"),
		r.talk(0, mgr, iface, "GetUnit", "s", "bad name"),
		r.talk(2, mgr, iface, "StartUnit", "ss", "web.service", "replace"),
		r.talk(1, mgr, iface, "TryRestartUnit", "ss", "hold.service", "replace"),
		r.talk(1, mgr, iface, "StartUnit", "ss", "hold.service", "fail"),
		r.talk(0, mgr, iface, "ListJobs", ""),
		r.talk(0, mgr, iface, "GetJob", "u", uint32(2)),
		r.talk(0, wire.JobPrefix+"2", wire.PropsIface, "GetAll", "s", wire.JobIface),
		r.talk(1, wire.JobPrefix+"2", wire.JobIface, "Cancel", ""),
		r.talk(0, mgr, iface, "CancelJob", "u", uint32(2)),
		r.talk(0, mgr, iface, "StartUnit", "ss", "web.service", "sideways"),
		r.talk(0, mgr, iface, "StartUnit", "s", "web.service"),
		r.talk(0, mgr, iface, "NoSuchMethod", ""),
		r.talk(0, "/nowhere", iface, "ListJobs", ""),
		r.talk(0, web, wire.PropsIface, "Get", "ss", wire.UnitIface, "ActiveState"),
		r.talk(0, web, wire.PropsIface, "Get", "ss", wire.UnitIface, "Nonsense"),
		r.talk(0, web, wire.PropsIface, "GetAll", "s", "no.such.Interface"),
		r.talk(0, web, wire.PropsIface, "Set", "ssv", wire.UnitIface, "Description", dbus.MakeVariant("x")),
		r.talk(0, web, wire.UnitIface, "Kill", "si", "all", int32(99)),
		r.talk(2, mgr, iface, "Reload", ""),
		r.talk(0, mgr, iface, "ListUnitsByPatterns", "asas", []string{"active"}, []string{"w*"}),
	} {
		b.WriteString(s)
	}
	got := b.String()
	want, err := os.ReadFile("testdata/conversation.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// TestFollowing: PropertiesChanged comes to who subscribed, and tells the newest state.
func TestFollowing(t *testing.T) {
	m := newMachine(t, Config{Observe: quiet}, "web.service")
	r := m.login()
	require.Empty(t, r.call(wire.ManagerPath, wire.ManagerIface, "Subscribe", "").ErrorName)
	require.NoError(t, r.send(wire.ManagerPath, wire.ManagerIface, "StartUnit", "ss", "web.service", "replace"))
	for {
		s, err := r.next()
		require.NoError(t, err)
		if s.Member != "PropertiesChanged" || s.Body[0] != wire.UnitIface {
			continue
		}
		changed := s.Body[1].(map[string]dbus.Variant)
		if changed["ActiveState"].Value() == "active" {
			require.Equal(t, wire.UnitPath("web.service"), s.Path)
			return
		}
	}
}

// TestTables: every signature of the tables is one, and every property has the type it claims.
func TestTables(t *testing.T) {
	for _, m := range allMethods() {
		for _, sig := range []string{m.in, m.out} {
			for sig != "" {
				_, rest, err := wire.NextType(sig)
				require.NoError(t, err, m.name)
				sig = rest
			}
		}
	}
	var complaints []string
	e := newEngine("a.target")
	s, err := New(Config{Manager: e, Observe: func(r Record) { complaints = append(complaints, r.Err.Error()) }})
	require.NoError(t, err)
	all := func(string) bool { return true }
	u := e.View().Unit("a.target")
	require.NotEmpty(t, s.entries(s.object(u), wire.UnitIface, all))
	require.NotEmpty(t, s.entries(s.object(&core.UnitView{Name: "bare.service"}), wire.UnitIface, all))
	require.NotEmpty(t, s.entries(s.object(&core.UnitView{Name: "bare.service"}), wire.Service+".Service", all))
	require.NotEmpty(t, s.entries(object{is: onManager}, wire.ManagerIface, all))
	require.NotEmpty(t, s.entries(object{is: onJob, job: &core.JobView{ID: 1, Unit: "a.target", Type: unit.JobStart}}, wire.JobIface, all))
	require.NoError(t, s.Close())
	require.Empty(t, complaints)
}

func BenchmarkList5000(b *testing.B) {
	var names []string
	for i := range 5000 {
		names = append(names, fmt.Sprintf("some-unit-name-%d.service", i))
	}
	e := newEngine(names...)
	rows := make([]listed, 0, 5000)
	for b.Loop() {
		rows = rows[:0]
		for u := range e.View().Units {
			rows = append(rows, listRow(u))
		}
		m := wire.Message{Type: dbus.TypeMethodReply, Serial: 1, ReplySerial: 1, Signature: listSig, Body: []any{rows}}
		frame, err := m.Encode()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(frame)))
	}
}
