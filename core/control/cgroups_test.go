package control

import (
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// fakeGroups is a service's control group with a group below it.
type fakeGroups struct{}

func (fakeGroups) Value(_, file, key string) (uint64, bool) {
	switch file + ":" + key {
	case "memory.current:":
		return 3 << 20, true
	case "cpu.stat:usage_usec":
		return 1500, true
	case "pids.current:":
		return 3, true
	}
	return 0, false
}

func (fakeGroups) Processes(path string) ([]Process, error) {
	return []Process{{path, 10, "master\x1b[31m"}, {path, 11, "worker"}, {path + "/.control", 12, "helper"}}, nil
}

func (fakeGroups) Of(pid int) (string, bool) { return "system.slice/web.service/.control", pid == 12 }

func TestControlGroups(t *testing.T) {
	info := func() Info { return Info{Version: "252", ControlGroup: "/pod"} }
	m := newMachine(t, Config{Observe: quiet, CGroups: fakeGroups{}, Info: info}, "web.service")
	_, errs, code := m.sctl("start", "web")
	require.Equal(t, 0, code, errs)
	out, errs, _ := m.sctl("status", "web")
	require.Empty(t, errs)
	require.Contains(t, out, `
       Tasks: 3
      Memory: 3.0M
         CPU: 1ms
      CGroup: /pod/system.slice/web.service
              ├─10 master?[31m
              ├─11 worker
              └─.control
                └─12 helper
`)
	r := m.login()
	require.Equal(t, wire.UnitPath("web.service"), objectPathOf(t, r.call(wire.ManagerPath, wire.ManagerIface, "GetUnitByPID", "u", uint32(12))))
	require.Equal(t, wire.UnitPath("web.service"), objectPathOf(t, r.call(wire.ManagerPath, wire.ManagerIface, "GetUnitByControlGroup", "s", "/pod/system.slice/web.service/x")))
	require.Equal(t, errNoUnitForPID, r.call(wire.ManagerPath, wire.ManagerIface, "GetUnitByPID", "u", uint32(13)).ErrorName)
	require.Equal(t, errNoSuchUnit, r.call(wire.ManagerPath, wire.ManagerIface, "GetUnitByControlGroup", "s", "/elsewhere").ErrorName)
}

func TestSystemctlShowsControlGroups(t *testing.T) {
	needSystemctl(t)
	m := newMachine(t, Config{Observe: quiet, CGroups: fakeGroups{}}, "web.service")
	_, code := m.systemctl("start", "web.service")
	require.Equal(t, 0, code)
	out, code := m.systemctl("status", "web.service")
	require.Equal(t, 0, code)
	for _, s := range []string{"Tasks: 3", "Memory: 3.0M", "CPU: 1ms", "10 ", "worker", ".control", "12 helper"} {
		require.Contains(t, out, s)
	}
}

func objectPathOf(t *testing.T, m *wire.Message) string {
	t.Helper()
	require.Empty(t, m.ErrorName, "%v", m.Body)
	require.Equal(t, "o", m.Signature)
	return string(m.Body[0].(dbus.ObjectPath))
}
