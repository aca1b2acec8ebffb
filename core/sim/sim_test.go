package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/service"
	"github.com/sysmaster-go/sysmaster/unit/slice"
	"github.com/sysmaster-go/sysmaster/unit/socket"
	"github.com/sysmaster-go/sysmaster/unit/target"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
)

func types() map[unit.Kind]*unit.Type {
	m := make(map[unit.Kind]*unit.Type)
	for _, t := range []unit.Type{service.Type(service.Options{}), socket.Type(), target.Type(), slice.Type()} {
		m[t.Kind] = &t
	}
	return m
}

// units makes a tree of unit files below /etc/systemd/system from "name: text" pairs.
func units(files map[string]string) func(unit.Name) *unit.Spec {
	tree := fstest.MapFS{}
	base := map[string]string{
		"sysinit.target": "[Unit]\n", "basic.target": "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n",
		"shutdown.target": "[Unit]\nDefaultDependencies=no\n",
	}
	for _, set := range []map[string]string{base, files} {
		for name, text := range set {
			tree["etc/systemd/system/"+name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		}
	}
	facts := unitfile.SystemFacts()
	facts.HostName, facts.MachineID, facts.BootID, facts.KernelRelease = "sim", strings.Repeat("a", 32), strings.Repeat("b", 32), "6.1.0"
	l := unitfile.NewLoader(unitfile.Config{FS: tree, Facts: facts, Types: types()})
	return l.Load
}

type logger struct{ lines []string }

func (l *logger) add(s string) { l.lines = append(l.lines, s) }

func boot(t *testing.T, files map[string]string, seed uint64, setup func(*sim.Machine)) (*sim.Machine, *logger) {
	t.Helper()
	l := &logger{}
	m, err := sim.New(sim.Config{Types: types(), Load: units(files), Boot: "default.target", Mode: unit.ModeReplace, Seed: seed, Trace: l.add})
	require.NoError(t, err)
	if setup != nil {
		setup(m)
	}
	t.Cleanup(func() {
		if t.Failed() {
			n := max(0, len(l.lines)-80)
			t.Log("\n" + strings.Join(l.lines[n:], "\n"))
		}
	})
	return m, l
}

const sshd = "[Service]\nExecStart=/usr/sbin/sshd -D\nRestart=on-failure\n"

func TestBootStartsInOrder(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target": "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=sshd.service gone.service first.service\n",
		"sshd.service":   sshd + "[Unit]\nAfter=first.service\n",
		"first.service":  "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/first\n",
	}, 1, func(m *sim.Machine) {
		m.Program("/usr/sbin/sshd", sim.Daemon())
		m.Program("/bin/first", sim.Oneshot(time.Second))
	})
	require.NoError(t, m.RunUntil(func() bool { return m.Active("default.target") }, time.Minute))
	require.True(t, m.Active("sshd.service"))
	require.True(t, m.Active("first.service"))
	require.Len(t, m.Procs("sshd.service"), 1)
	first := m.Engine().View().Unit("first.service").Times.ActiveEnter.Mono
	require.LessOrEqual(t, first, m.Engine().View().Unit("sshd.service").Times.InactiveExit.Mono)
	require.NoError(t, m.Do(unit.JobStop, "sshd.service", unit.ModeReplace))
	require.Empty(t, m.Procs("sshd.service"))
	require.Equal(t, unit.Inactive, m.State("sshd.service").Active)
}

func TestRestartFollowsTheSetting(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target": "[Unit]\nWants=sshd.service plain.service\n",
		"sshd.service":   sshd,
		"plain.service":  "[Service]\nExecStart=/bin/plain\n",
	}, 1, func(m *sim.Machine) {
		m.Program("/usr/sbin/sshd", sim.Daemon())
		m.Program("/bin/plain", sim.Daemon())
	})
	require.NoError(t, m.RunUntil(func() bool { return m.Active("sshd.service") && m.Active("plain.service") }, time.Minute))
	old := m.Procs("sshd.service")[0]
	m.KillProcess(old, 9)
	m.KillProcess(m.Procs("plain.service")[0], 9)
	require.NoError(t, m.RunUntil(func() bool {
		p := m.Procs("sshd.service")
		return len(p) == 1 && p[0] != old && m.State("plain.service").Active == unit.Failed
	}, time.Minute))
	require.Equal(t, 2, m.Runs("/usr/sbin/sshd"))
	require.Equal(t, 1, m.Runs("/bin/plain"))
}

func TestStartLimit(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target": "[Unit]\nWants=bad.service\n",
		"bad.service":    "[Service]\nExecStart=/bin/bad\nRestart=always\nRestartSec=0\n",
	}, 1, func(m *sim.Machine) { m.Program("/bin/bad", sim.Failing(0, 1)) })
	require.NoError(t, m.Settle(time.Minute))
	require.Equal(t, 5, m.Runs("/bin/bad"))
	require.Equal(t, unit.Failed, m.State("bad.service").Active)
}

func TestOnFailure(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target":  "[Unit]\nWants=bad.service\n",
		"bad.service":     "[Unit]\nOnFailure=help.service\n[Service]\nExecStart=/bin/bad\n",
		"help.service":    "[Service]\nExecStart=/bin/help\n",
		"unneeded.target": "[Unit]\n",
	}, 1, func(m *sim.Machine) {
		m.Program("/bin/bad", sim.Failing(time.Second, 1))
		m.Program("/bin/help", sim.Daemon())
	})
	require.NoError(t, m.RunUntil(func() bool { return m.Active("help.service") }, time.Minute))
}

func TestRequiresFailsWithItsDependency(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target": "[Unit]\nWants=a.service\n",
		"a.service":      "[Unit]\nRequires=b.service\nAfter=b.service\n[Service]\nExecStart=/bin/a\n",
		"b.service":      "[Service]\nType=oneshot\nExecStart=/bin/b\n",
	}, 1, func(m *sim.Machine) {
		m.Program("/bin/a", sim.Daemon())
		m.Program("/bin/b", sim.Failing(time.Second, 3))
	})
	require.NoError(t, m.Settle(time.Minute))
	require.Equal(t, 0, m.Runs("/bin/a"))
	require.Equal(t, unit.Failed, m.State("b.service").Active)
	require.Error(t, m.Do(unit.JobStart, "missing.service", unit.ModeReplace))
}

func TestPowerOffStopsEverythingFirst(t *testing.T) {
	files := map[string]string{
		"default.target":   "[Unit]\nWants=sshd.service\n",
		"sshd.service":     sshd,
		"poweroff.target":  "[Unit]\nDefaultDependencies=no\nRequires=poweroff.service\nAfter=poweroff.service\nAllowIsolate=yes\n",
		"poweroff.service": "[Unit]\nDefaultDependencies=no\nRequires=shutdown.target\nAfter=shutdown.target\nSuccessAction=poweroff-force\n",
	}
	m, _ := boot(t, files, 1, func(m *sim.Machine) { m.Program("/usr/sbin/sshd", sim.Daemon()) })
	require.NoError(t, m.RunUntil(func() bool { return m.Active("sshd.service") }, time.Minute))
	m.Signal(34 + 4)
	require.NoError(t, m.RunUntil(func() bool { return m.Down() != nil }, time.Minute))
	require.Equal(t, "poweroff", m.Down().Verb)
	require.Empty(t, m.Procs("sshd.service"))
}

// TestCrashEverywhere boots, restarts and stops with a crash at every single checkpoint, and
// compares what comes out with a run without one.
func TestCrashEverywhere(t *testing.T) {
	files := map[string]string{
		"default.target":  "[Unit]\nWants=sshd.service once.service fork.service note.service\n",
		"sshd.service":    sshd + "[Unit]\nAfter=once.service\n",
		"once.service":    "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStartPre=/bin/pre\nExecStart=/bin/once\nExecStart=/bin/twice\n",
		"fork.service":    "[Service]\nType=forking\nPIDFile=/run/fork.pid\nExecStart=/bin/fork\n",
		"note.service":    "[Service]\nType=notify\nExecStart=/bin/note\n",
		"stopped.service": "[Service]\nExecStart=/bin/stopped\n",
	}
	setup := func(m *sim.Machine) {
		m.Program("/usr/sbin/sshd", sim.Daemon())
		m.Program("/bin/pre", sim.Oneshot(100*time.Millisecond))
		m.Program("/bin/once", sim.Oneshot(time.Second))
		m.Program("/bin/twice", sim.Oneshot(0))
		m.Program("/bin/fork", sim.Program{Runs: 200 * time.Millisecond, Forks: true, PIDFile: "/run/fork.pid", Ready: sim.Forever})
		m.Program("/bin/note", sim.Program{Runs: sim.Forever, Ready: 300 * time.Millisecond})
	}
	run := func(t *testing.T, crash int) (string, int) {
		m, _ := boot(t, files, 1, setup)
		if crash >= 0 {
			m.CrashAfter(crash)
		}
		require.NoError(t, m.RunUntil(func() bool {
			return m.Active("default.target") && m.Active("sshd.service") && m.Active("note.service") && m.Active("fork.service")
		}, time.Hour), "crash %d", crash)
		// A service dies and comes back.
		old := m.Procs("sshd.service")
		require.Len(t, old, 1, "crash %d", crash)
		m.KillProcess(old[0], 9)
		require.NoError(t, m.RunUntil(func() bool {
			p := m.Procs("sshd.service")
			return len(p) == 1 && p[0] != old[0] && m.Active("sshd.service")
		}, time.Hour), "crash %d", crash)
		require.NoError(t, m.Settle(time.Hour))
		var b strings.Builder
		for _, p := range []string{"/usr/sbin/sshd", "/bin/pre", "/bin/once", "/bin/twice", "/bin/fork", "/bin/note"} {
			fmt.Fprintf(&b, "%s ran %d\n", p, m.Runs(p))
		}
		for _, n := range []unit.Name{"default.target", "sshd.service", "once.service", "fork.service", "note.service", "system.slice"} {
			fmt.Fprintf(&b, "%s %v %d processes\n", n, m.State(n), len(m.Procs(n)))
		}
		return b.String(), m.Points()
	}
	want, points := run(t, -1)
	t.Logf("%d crash points", points)
	for crash := range points {
		t.Run(fmt.Sprintf("crash-%d", crash), func(t *testing.T) {
			got, _ := run(t, crash)
			require.Equal(t, want, got)
		})
	}
}

func TestSameSeedSameTrace(t *testing.T) {
	trace := func() string {
		l := &logger{}
		m, err := sim.New(sim.Config{Types: types(), Load: units(map[string]string{
			"default.target": "[Unit]\nWants=sshd.service a.service b.service\n",
			"sshd.service":   sshd, "a.service": "[Service]\nExecStart=/bin/a\n", "b.service": "[Unit]\nAfter=a.service\n[Service]\nType=oneshot\nExecStart=/bin/b\n",
		}), Boot: "default.target", Mode: unit.ModeReplace, Seed: 7, MaxDelay: 50 * time.Millisecond, Trace: l.add})
		require.NoError(t, err)
		m.Program("/usr/sbin/sshd", sim.Daemon())
		require.NoError(t, m.Settle(time.Minute))
		return strings.Join(l.lines, "\n")
	}
	require.Equal(t, trace(), trace())
}
