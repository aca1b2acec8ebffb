package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/unit"
)

func up(t *testing.T, m *sim.Machine, names ...unit.Name) {
	t.Helper()
	require.NoError(t, m.RunUntil(func() bool {
		for _, n := range names {
			if !m.Active(n) {
				return false
			}
		}
		return true
	}, time.Hour), "%v", names)
}

// TestJobTimeoutCancels: the job ends in time, and what it had started is stopped.
func TestJobTimeoutCancels(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target": "[Unit]\n",
		"slow.service":   "[Unit]\nJobTimeoutSec=10\nOnFailure=help.service\n[Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=/bin/slow\n",
		"after.service":  "[Unit]\nRequires=slow.service\nAfter=slow.service\n[Service]\nExecStart=/bin/after\n",
		"help.service":   "[Service]\nExecStart=/bin/help\n",
	}, 1, func(m *sim.Machine) {
		m.Program("/bin/slow", sim.Daemon())
		m.Program("/bin/after", sim.Daemon())
		m.Program("/bin/help", sim.Daemon())
	})
	up(t, m, "default.target")
	begin := m.NowMono()
	require.NoError(t, m.Do(unit.JobStart, "after.service", unit.ModeReplace))
	require.InDelta(t, 10, (m.NowMono() - begin).Seconds(), 0.1)
	require.NoError(t, m.Settle(time.Minute))
	require.Empty(t, m.Procs("slow.service"))
	require.Equal(t, 0, m.Runs("/bin/after"))
	require.True(t, m.Active("help.service"))
	require.Empty(t, m.Engine().View().Jobs())
}

// TestJobRunningTimeout counts from the moment the job no longer waits.
func TestJobRunningTimeout(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target": "[Unit]\n",
		"first.service":  "[Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=/bin/first\n",
		"slow.service":   "[Unit]\nAfter=first.service\nWants=first.service\nJobRunningTimeoutSec=5\n[Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=/bin/slow\n",
	}, 1, func(m *sim.Machine) {
		m.Program("/bin/first", sim.Oneshot(20*time.Second))
		m.Program("/bin/slow", sim.Daemon())
	})
	up(t, m, "default.target")
	begin := m.NowMono()
	require.NoError(t, m.Do(unit.JobStart, "slow.service", unit.ModeReplace))
	require.InDelta(t, 25, (m.NowMono() - begin).Seconds(), 0.1)
	require.NoError(t, m.Settle(time.Minute))
	require.Empty(t, m.Procs("slow.service"))
}

func TestStopWhenUnneeded(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target": "[Unit]\n",
		"user.service":   "[Unit]\nRequires=base.service\nAfter=base.service\n[Service]\nExecStart=/bin/user\n",
		"base.service":   "[Unit]\nStopWhenUnneeded=yes\n[Service]\nExecStart=/bin/base\n",
	}, 1, func(m *sim.Machine) {
		m.Program("/bin/user", sim.Daemon())
		m.Program("/bin/base", sim.Daemon())
	})
	up(t, m, "default.target")
	require.NoError(t, m.Do(unit.JobStart, "user.service", unit.ModeReplace))
	up(t, m, "user.service", "base.service")
	require.NoError(t, m.Do(unit.JobStop, "user.service", unit.ModeReplace))
	require.NoError(t, m.Settle(time.Minute))
	require.Equal(t, unit.Inactive, m.State("base.service").Active)
	require.NoError(t, m.Do(unit.JobStart, "base.service", unit.ModeReplace))
	require.NoError(t, m.Settle(time.Minute))
	require.Empty(t, m.Procs("base.service"), "nobody needs it")
}

// TestBindsTo: what is bound goes down with the other, also when that one rests before a restart.
func TestBindsTo(t *testing.T) {
	for _, restart := range []string{"no", "always"} {
		m, _ := boot(t, map[string]string{
			"default.target": "[Unit]\nWants=bound.service free.service\n",
			"bound.service":  "[Unit]\nBindsTo=base.service\nAfter=base.service\n[Service]\nExecStart=/bin/bound\n",
			"free.service":   "[Unit]\nRequires=base.service\nAfter=base.service\n[Service]\nExecStart=/bin/free\n",
			"base.service":   "[Service]\nExecStart=/bin/base\nRestartSec=10\nRestart=" + restart + "\n",
		}, 1, func(m *sim.Machine) {
			m.Program("/bin/bound", sim.Daemon())
			m.Program("/bin/free", sim.Daemon())
			m.Program("/bin/base", sim.Daemon())
		})
		up(t, m, "bound.service", "free.service")
		m.KillProcess(m.Procs("base.service")[0], 9)
		require.NoError(t, m.RunUntil(func() bool { return len(m.Procs("bound.service")) == 0 }, 5*time.Second), restart)
		require.Len(t, m.Procs("free.service"), 1)
	}
}

// TestOnFailureNotBeforeTheLastRestart: a service that will be restarted has not failed yet.
func TestOnFailureNotBeforeTheLastRestart(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target": "[Unit]\nWants=bad.service\n",
		"bad.service":    "[Unit]\nOnFailure=help.service\nOnSuccess=joy.service\nStartLimitBurst=3\n[Service]\nExecStart=/bin/bad\nRestart=on-failure\nRestartSec=1\n",
		"help.service":   "[Service]\nExecStart=/bin/help\n",
		"joy.service":    "[Service]\nExecStart=/bin/joy\n",
	}, 1, func(m *sim.Machine) {
		m.Program("/bin/bad", sim.Failing(100*time.Millisecond, 1))
		m.Program("/bin/help", sim.Daemon())
	})
	require.NoError(t, m.RunUntil(func() bool { return m.Runs("/bin/bad") == 3 }, time.Minute))
	require.Equal(t, 0, m.Runs("/bin/help"))
	require.NoError(t, m.Settle(time.Minute))
	require.Equal(t, 3, m.Runs("/bin/bad"))
	require.Equal(t, 1, m.Runs("/bin/help"))
	require.Equal(t, 0, m.Runs("/bin/joy"))
	require.Equal(t, "exit-code", m.State("bad.service").Result, "as systemd: the first reason stands")
}

// TestStopOfAResting service ends in dead, and nothing starts it again.
func TestStopOfARestingService(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target": "[Unit]\nWants=bad.service\n",
		"bad.service":    "[Service]\nExecStart=/bin/bad\nRestart=always\nRestartSec=1min\n",
	}, 1, func(m *sim.Machine) { m.Program("/bin/bad", sim.Failing(time.Second, 1)) })
	require.NoError(t, m.RunUntil(func() bool { return m.State("bad.service").Sub == "auto-restart" }, time.Minute))
	require.NoError(t, m.Do(unit.JobStop, "bad.service", unit.ModeReplace))
	require.Equal(t, "dead", m.State("bad.service").Sub)
	require.NoError(t, m.Settle(time.Hour))
	require.Equal(t, 1, m.Runs("/bin/bad"))
}

// TestRequisite: nothing is started, and a unit that is not up fails its dependant.
func TestRequisite(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target": "[Unit]\n",
		"a.service":      "[Unit]\nRequisite=b.service\nAfter=b.service\n[Service]\nExecStart=/bin/a\n",
		"b.service":      "[Service]\nExecStart=/bin/b\n",
	}, 1, func(m *sim.Machine) {
		m.Program("/bin/a", sim.Daemon())
		m.Program("/bin/b", sim.Daemon())
	})
	up(t, m, "default.target")
	require.NoError(t, m.Do(unit.JobStart, "a.service", unit.ModeReplace))
	require.NoError(t, m.Settle(time.Minute))
	require.Equal(t, 0, m.Runs("/bin/a")+m.Runs("/bin/b"))
	require.NoError(t, m.Do(unit.JobStart, "b.service", unit.ModeReplace))
	require.NoError(t, m.Do(unit.JobStart, "a.service", unit.ModeReplace))
	require.True(t, m.Active("a.service"))
}

// TestNothingStartsWhileGoingDown: once the machine goes down, jobs are refused.
func TestNothingStartsWhileGoingDown(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target": "[Unit]\nWants=a.service\n",
		"a.service":      "[Service]\nExecStart=/bin/a\nRestart=always\nRestartSec=0\n",
	}, 1, func(m *sim.Machine) { m.Program("/bin/a", sim.Daemon()) })
	up(t, m, "a.service")
	m.Request(core.OpShutdown{Verb: "poweroff"}, nil)
	require.NoError(t, m.RunUntil(func() bool { return m.Down() != nil }, time.Minute))
	require.ErrorIs(t, m.Do(unit.JobStart, "a.service", unit.ModeReplace), core.ErrShuttingDown)
	m.KillProcess(m.Procs("a.service")[0], 9)
	require.NoError(t, m.Settle(time.Minute))
	require.Equal(t, 1, m.Runs("/bin/a"), "init ends the processes, and nothing brings them back")
}

// TestJobsAreShownAsTheyAre: the list of jobs follows a job that begins to run, and one that
// turns from stopping to starting.
func TestJobsAreShownAsTheyAre(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target": "[Unit]\nWants=a.service\n",
		"a.service":      "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/a\nExecStop=/bin/stop\n",
	}, 1, func(m *sim.Machine) {
		m.Program("/bin/a", sim.Oneshot(time.Second))
		m.Program("/bin/stop", sim.Oneshot(time.Second))
	})
	shown := func(n unit.Name) string {
		for _, j := range m.Engine().View().Jobs() {
			if j.Unit == n {
				return fmt.Sprintf("%v %v", j.Type, j.Running)
			}
		}
		return ""
	}
	until := func(what string) {
		t.Helper()
		require.NoError(t, m.RunUntil(func() bool { return shown("a.service") == what }, time.Minute), what)
	}
	until("start true")
	up(t, m, "default.target")
	m.Ask(core.OpJob{Unit: "a.service", Type: unit.JobRestart, Mode: unit.ModeReplace})
	until("restart true")
	until("start true")
}

// TestCircleThatStartsNothing: units that trigger each other while a start limit keeps all of them
// down must not keep the core busy.
func TestCircleThatStartsNothing(t *testing.T) {
	m, _ := boot(t, map[string]string{
		"default.target": "[Unit]\nWants=help.target\n",
		"help.target":    "[Unit]\nWants=user.service\n",
		"user.service":   "[Unit]\nRequires=bad.service\nAfter=bad.service\nOnFailure=help.target\n[Service]\nExecStart=/bin/user\n",
		"bad.service":    "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=2\n[Service]\nType=oneshot\nExecStart=/bin/bad\n",
	}, 1, func(m *sim.Machine) { m.Program("/bin/bad", sim.Failing(time.Second, 1)) })
	require.NoError(t, m.RunUntil(func() bool { return m.NowMono() > 30*time.Second }, time.Minute))
	require.Equal(t, 2, m.Runs("/bin/bad"))
	require.Less(t, m.Stats().Turns, 1000)
	require.Contains(t, strings.Join(m.Messages(), "\n"), "in a circle")
	require.NoError(t, m.Stop("default.target"), "it still listens")
}
