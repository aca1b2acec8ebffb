package sim_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/unit"
)

var crashFiles = map[string]string{
	"default.target":   "[Unit]\nAllowIsolate=yes\nWants=sshd.service slow.service fork.service note.service once.service\n",
	"rescue.target":    "[Unit]\nAllowIsolate=yes\nWants=note.service\n",
	"sshd.service":     sshd + "[Unit]\nAfter=once.service\n",
	"slow.service":     "[Service]\nExecStart=/bin/slow\nExecStop=/bin/stop\nTimeoutStopSec=3\n",
	"fork.service":     "[Service]\nType=forking\nPIDFile=/run/fork.pid\nExecStart=/bin/fork\n",
	"note.service":     "[Service]\nType=notify\nExecStart=/bin/note\n",
	"once.service":     "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/once\n",
	"poweroff.target":  "[Unit]\nDefaultDependencies=no\nRequires=poweroff.service\nAfter=poweroff.service\nAllowIsolate=yes\n",
	"poweroff.service": "[Unit]\nDefaultDependencies=no\nRequires=shutdown.target\nAfter=shutdown.target\nSuccessAction=poweroff-force\n",
}

var crashServices = []unit.Name{"sshd.service", "slow.service", "fork.service", "note.service", "once.service"}

func crashPrograms(m *sim.Machine) {
	m.Program("/usr/sbin/sshd", sim.Daemon())
	m.Program("/bin/slow", sim.Program{Runs: sim.Forever, Ready: sim.Forever, IgnoresTerm: true})
	m.Program("/bin/stop", sim.Oneshot(200*time.Millisecond))
	m.Program("/bin/fork", sim.Program{Runs: 200 * time.Millisecond, Forks: true, PIDFile: "/run/fork.pid", Ready: sim.Forever})
	m.Program("/bin/note", sim.Program{Runs: sim.Forever, Ready: 300 * time.Millisecond})
	m.Program("/bin/once", sim.Oneshot(time.Second))
}

func crashMachine(t *testing.T, seed uint64, delay time.Duration) *sim.Machine {
	t.Helper()
	l := &logger{}
	m, err := sim.New(sim.Config{Types: types(), Load: units(crashFiles), Boot: "default.target", Mode: unit.ModeReplace, Seed: seed, MaxDelay: delay, Trace: l.add})
	require.NoError(t, err)
	crashPrograms(m)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("\n" + strings.Join(l.lines[max(0, len(l.lines)-60):], "\n"))
		}
	})
	return m
}

// everyTurn are the rules that hold in every turn.
func everyTurn(t *testing.T, m *sim.Machine, where string) {
	t.Helper()
	for _, n := range []unit.Name{"sshd.service", "note.service", "once.service"} {
		require.LessOrEqual(t, len(m.Procs(n)), 1, "%s: two processes of %s", where, n)
	}
	main := 0
	if u := m.Engine().View().Unit("fork.service"); u != nil {
		for _, p := range u.Procs {
			if p.Role == "main" {
				main++
			}
		}
	}
	require.LessOrEqual(t, main, 1, where)
}

func crashRun(t *testing.T, m *sim.Machine, where string, cond func() bool) {
	t.Helper()
	err := m.RunUntil(func() bool { everyTurn(t, m, where); return cond() }, time.Hour)
	require.NoError(t, err, where)
}

func booted(m *sim.Machine) func() bool {
	return func() bool {
		for _, n := range crashServices {
			if !m.Active(n) {
				return false
			}
		}
		return m.Active("default.target") && len(m.Engine().View().Jobs()) == 0
	}
}

// outcome is what two runs are compared by.
func outcome(m *sim.Machine) string {
	var b strings.Builder
	for _, n := range append(crashServices, "default.target", "rescue.target") {
		fmt.Fprintf(&b, "%s %v %d\n", n, m.State(n).Active, len(m.Procs(n)))
	}
	for _, p := range []string{"/usr/sbin/sshd", "/bin/slow", "/bin/fork", "/bin/note", "/bin/once"} {
		fmt.Fprintf(&b, "%s %d\n", p, m.Runs(p))
	}
	return b.String()
}

// TestCrashEverywhereInScenarios: after the boot something is asked for, and the core crashes at
// every checkpoint after the turn that took the request. A request of a client dies with a core
// that did not record it; then it is asked again, as clients do.
func TestCrashEverywhereInScenarios(t *testing.T) {
	job := func(typ unit.JobType, n unit.Name, mode unit.JobMode) any {
		return core.OpJob{Unit: n, Type: typ, Mode: mode}
	}
	for _, c := range []struct {
		name string
		op   any // nil: poweroff by signal
		done func(*sim.Machine) bool
	}{
		{"stop", job(unit.JobStop, "slow.service", unit.ModeReplace), func(m *sim.Machine) bool { return m.State("slow.service").Active.IsDown() }},
		{"isolate", job(unit.JobStart, "rescue.target", unit.ModeIsolate), func(m *sim.Machine) bool {
			return m.Active("rescue.target") && m.State("slow.service").Active.IsDown() && !m.Active("sshd.service")
		}},
		{"restart", job(unit.JobRestart, "fork.service", unit.ModeReplace), func(m *sim.Machine) bool { return m.Runs("/bin/fork") == 2 && m.Active("fork.service") }},
		{"poweroff", nil, func(m *sim.Machine) bool { return m.Down() != nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := func(crash int) (string, int) {
				m := crashMachine(t, 1, 0)
				where := fmt.Sprint("crash ", crash)
				crashRun(t, m, where, booted(m))
				first := m.Points()
				answered := c.op == nil
				if c.op == nil {
					m.Signal(34 + 4)
				} else {
					m.Request(c.op, func(r core.Response) { require.NoError(t, r.Err); answered = true })
				}
				if crash >= 0 {
					m.CrashAfter(crash)
				}
				crashRun(t, m, where, func() bool { return m.Points() > first+max(crash, 0)+1 })
				if !answered && !c.done(m) && len(m.Engine().View().Jobs()) == 0 {
					m.Request(c.op, nil)
				}
				crashRun(t, m, where, func() bool { return c.done(m) && len(m.Engine().View().Jobs()) == 0 || m.Down() != nil })
				return outcome(m), m.Points() - first
			}
			want, points := run(-1)
			for crash := range points {
				got, _ := run(crash)
				require.Equal(t, want, got, "crash %d", crash)
			}
			t.Logf("%d crash points", points)
		})
	}
}

// TestRandomCrashes: everything is late by a random time, services die, and the core crashes
// at random; whatever happens the machine ends as it should, and nothing ran twice that may not.
func TestRandomCrashes(t *testing.T) {
	var points, crashes int
	const seeds = 300
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 2))
		m := crashMachine(t, seed, 50*time.Millisecond)
		where := fmt.Sprint("seed ", seed)
		m.CrashAfter(r.IntN(120))
		crashes++
		crashRun(t, m, where, booted(m))
		for range 2 {
			m.CrashAfter(r.IntN(60))
			crashes++
			old := m.Procs("sshd.service")
			require.Len(t, old, 1, where)
			m.KillProcess(old[0], 9)
			crashRun(t, m, where, func() bool {
				p := m.Procs("sshd.service")
				return len(p) == 1 && p[0] != old[0] && booted(m)()
			})
		}
		require.NoError(t, m.Settle(time.Minute), where)
		require.Equal(t, 1, m.Runs("/bin/once"), where)
		require.Equal(t, 1, m.Runs("/bin/fork"), where)
		require.Equal(t, 3, m.Runs("/usr/sbin/sshd"), where)
		require.True(t, booted(m)(), where)
		points += m.Points()
	}
	t.Logf("%d seeds, %d checkpoints passed, %d crashes asked for", seeds, points, crashes)
}
