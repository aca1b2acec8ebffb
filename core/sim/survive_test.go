package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/unit"
)

var surviveFiles = map[string]string{
	"default.target":   "[Unit]\nWants=stop.service\n",
	"tick.service":     "[Service]\nType=oneshot\nExecStart=/bin/tick\n",
	"tock.service":     "[Service]\nType=oneshot\nExecStart=/bin/tock\n",
	"watchdog.service": "[Service]\nType=notify\nExecStart=/bin/note\nWatchdogSec=10\nRestart=no\n",
	"start.service":    "[Service]\nType=notify\nExecStart=/bin/never\nTimeoutStartSec=10\n",
	"stop.service":     "[Service]\nExecStart=/bin/stubborn\nTimeoutStopSec=10\n",
	"backoff.service":  "[Service]\nExecStart=/bin/fail\nRestart=always\nRestartSec=10\n[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=100\n",
	"window.service":   "[Service]\nExecStart=/bin/once\nType=oneshot\n[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=10\n",
	"job.service":      "[Unit]\nJobTimeoutSec=10\n[Service]\nType=notify\nExecStart=/bin/never\nTimeoutStartSec=infinity\n",
	"queued.service":   "[Unit]\nJobTimeoutSec=10\nAfter=start.service\n[Service]\nExecStart=/bin/web\n",
	"max.service":      "[Service]\nExecStart=/bin/web\nRuntimeMaxSec=10\n",
	"steps.service":    "[Service]\nType=oneshot\nExecStartPre=/bin/slow\nExecStart=/bin/once\nExecStartPost=/bin/post\n",
}

func surviveMachine(t *testing.T) *sim.Machine {
	t.Helper()
	m, err := sim.New(sim.Config{Types: types(), Load: units(surviveFiles), Boot: "default.target", Mode: unit.ModeReplace, Seed: 1})
	require.NoError(t, err)
	m.Program("/bin/tick", sim.Oneshot(3*time.Second))
	m.Program("/bin/tock", sim.Oneshot(4*time.Second)) // something to come after it, so that the clock does not go further
	m.Program("/bin/note", sim.Program{Runs: sim.Forever, Ready: time.Millisecond})
	m.Program("/bin/never", sim.Program{Runs: sim.Forever, Ready: sim.Forever})
	m.Program("/bin/stubborn", sim.Program{Runs: sim.Forever, Ready: sim.Forever, IgnoresTerm: true})
	m.Program("/bin/fail", sim.Failing(0, 3))
	m.Program("/bin/slow", sim.Oneshot(10*time.Second))
	m.Program("/bin/web", sim.Daemon())
	require.NoError(t, m.RunUntil(func() bool { return m.Active("default.target") && m.Active("stop.service") }, time.Minute))
	return m
}

// begin queues a job and goes on.
func begin(t *testing.T, m *sim.Machine, typ unit.JobType, n unit.Name) {
	t.Helper()
	m.Request(job(typ, n), nil)
	require.NoError(t, m.RunUntil(func() bool {
		for _, j := range m.Engine().View().Jobs() {
			if j.Unit == n {
				return true
			}
		}
		return m.State(n).Active != unit.Inactive
	}, time.Second))
}

// TestWhatSurvives: a deadline, a counter or a step is after a crash what it was before it. Each row plays twice, once with
// a crash three to four seconds after the clock began to run; what happens then happens at the same time, with the same outcome.
func TestWhatSurvives(t *testing.T) {
	down := func(n unit.Name) func(*sim.Machine) bool {
		return func(m *sim.Machine) bool { return m.State(n).Active.IsDown() }
	}
	for _, c := range []struct {
		name  string
		begin func(t *testing.T, m *sim.Machine)
		until func(*sim.Machine) bool
		after time.Duration // from the beginning
		tell  func(*sim.Machine) string
	}{
		{"watchdog deadline", func(t *testing.T, m *sim.Machine) {
			require.NoError(t, m.Do(unit.JobStart, "watchdog.service", unit.ModeReplace))
		},
			down("watchdog.service"), 10 * time.Second, func(m *sim.Machine) string { return m.State("watchdog.service").Result }},
		{"start timeout", func(t *testing.T, m *sim.Machine) { begin(t, m, unit.JobStart, "start.service") },
			down("start.service"), 10 * time.Second, func(m *sim.Machine) string { return m.State("start.service").Result }},
		{"stop timeout", func(t *testing.T, m *sim.Machine) {
			begin(t, m, unit.JobStop, "stop.service")
		}, down("stop.service"), 10 * time.Second, func(m *sim.Machine) string { return m.State("stop.service").Result }},
		{"restart back-off and start limit", func(t *testing.T, m *sim.Machine) { begin(t, m, unit.JobStart, "backoff.service") },
			down("backoff.service"), 20 * time.Second, func(m *sim.Machine) string {
				return fmt.Sprint(m.Runs("/bin/fail"), m.State("backoff.service").Result)
			}},
		{"start limit window", func(t *testing.T, m *sim.Machine) {
			require.NoError(t, m.Do(unit.JobStart, "window.service", unit.ModeReplace))
		}, func(m *sim.Machine) bool {
			_ = m.Do(unit.JobStart, "window.service", unit.ModeReplace)
			_ = m.Do(unit.JobStart, "window.service", unit.ModeReplace)
			return true
		}, 4 * time.Second, func(m *sim.Machine) string { return fmt.Sprint(m.Runs("/bin/once"), m.State("window.service").Result) }},
		{"running job's deadline", func(t *testing.T, m *sim.Machine) { begin(t, m, unit.JobStart, "job.service") },
			down("job.service"), 10 * time.Second, func(m *sim.Machine) string { return told(m, "job.service") }},
		{"waiting job's deadline", func(t *testing.T, m *sim.Machine) {
			begin(t, m, unit.JobStart, "start.service")
			begin(t, m, unit.JobStart, "queued.service")
		}, func(m *sim.Machine) bool { u := m.Engine().View().Unit("queued.service"); return u.Job == nil }, 10 * time.Second,
			func(m *sim.Machine) string { return fmt.Sprint(m.Active("queued.service")) }},
		{"longest run", func(t *testing.T, m *sim.Machine) {
			require.NoError(t, m.Do(unit.JobStart, "max.service", unit.ModeReplace))
		},
			down("max.service"), 10 * time.Second, func(m *sim.Machine) string { return m.State("max.service").Result }},
		{"pending steps", func(t *testing.T, m *sim.Machine) { begin(t, m, unit.JobStart, "steps.service") },
			func(m *sim.Machine) bool { return m.Runs("/bin/post") > 0 && down("steps.service")(m) }, 10 * time.Second, func(m *sim.Machine) string {
				return fmt.Sprint(m.Runs("/bin/slow"), m.Runs("/bin/once"), m.Runs("/bin/post"), m.State("steps.service").Result)
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var outcomes []string
			for _, crash := range []bool{false, true} {
				m := surviveMachine(t)
				began := m.NowMono()
				begin(t, m, unit.JobStart, "tick.service")
				begin(t, m, unit.JobStart, "tock.service")
				c.begin(t, m)
				require.NoError(t, m.RunUntil(func() bool { return m.Runs("/bin/tick") == 1 && len(m.Procs("tick.service")) == 0 }, time.Minute))
				require.InDelta(t, 3.5, (m.NowMono() - began).Seconds(), 0.5)
				before := m.Engine().View()
				if crash {
					require.NoError(t, m.Crash())
					for u := range before.Units {
						now := m.Engine().View().Unit(u.Name)
						require.ElementsMatch(t, u.Procs, now.Procs, u.Name)
						require.Equal(t, u.State, now.State, u.Name)
						require.Equal(t, u.Times, now.Times, u.Name)
						require.Equal(t, u.Invocation, now.Invocation, u.Name)
						require.Equal(t, u.Job, now.Job, u.Name)
						require.Equal(t, u.Changes, now.Changes, u.Name)
					}
				}
				require.NoError(t, m.RunUntil(func() bool { return c.until(m) }, time.Hour))
				require.Equal(t, c.after, (m.NowMono() - began).Round(time.Second), "crash: %v", crash)
				outcomes = append(outcomes, c.tell(m))
			}
			require.Equal(t, outcomes[0], outcomes[1])
			t.Log(outcomes[0])
		})
	}
}

// TestFaultsNeedTheirFields: a fault that could break nothing is told, and not passed over.
func TestFaultsNeedTheirFields(t *testing.T) {
	m := crashMachine(t, 1, 0)
	for kind, field := range map[sim.FaultKind]string{
		sim.FaultKill: "Unit", sim.FaultOOM: "Unit", sim.FaultFreeze: "Unit", sim.FaultPoison: "Unit", sim.FaultClock: "For",
		sim.FaultLoseFD: "Key", sim.FaultConnect: "Key", sim.FaultSpawn: "Path", sim.FaultSignal: "Signal",
	} {
		require.ErrorContains(t, m.Fail(sim.Fault{Kind: kind}), "needs "+field, "%s", kind)
	}
	require.ErrorContains(t, m.Fail(sim.Fault{Kind: sim.FaultFreeze, Unit: "a.service"}), "needs For")
	require.ErrorContains(t, m.Fail(sim.Fault{Kind: "rust"}), "none of that name")
	require.NoError(t, m.Fail(sim.Fault{Kind: sim.FaultConnect, Key: "none"}))
	require.Equal(t, 1, m.Refused("none"))
}
