package sim_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/unit"
)

var whyFiles = map[string]string{
	"default.target":  "[Unit]\nAllowIsolate=yes\nWants=web.service app.service skipped.service limited.service slow.service\n",
	"rescue.target":   "[Unit]\nAllowIsolate=yes\nConflicts=shutdown.target\n",
	"web.service":     "[Unit]\nRequires=db.service\nAfter=db.service\n[Service]\nExecStart=/bin/web\n",
	"db.service":      "[Service]\nExecStart=/bin/db\n",
	"app.service":     "[Service]\nExecStart=/bin/app\nRestart=always\nRestartSec=1\n",
	"bound.service":   "[Unit]\nBindsTo=web.service\nAfter=web.service\n[Service]\nExecStart=/bin/bound\n",
	"skipped.service": "[Unit]\nConditionPathExists=!/run/no\n[Service]\nExecStart=/bin/skipped\n",
	"limited.service": "[Service]\nExecStart=/bin/limited\nRestart=always\nRestartSec=0\n",
	"slow.service":    "[Unit]\nJobRunningTimeoutSec=5\n[Service]\nType=notify\nExecStart=/bin/slow\nTimeoutStartSec=infinity\n",
	"bad.service":     "[Unit]\nOnFailure=help.service\n[Service]\nType=oneshot\nExecStart=/bin/bad\n",
	"help.service":    "[Service]\nExecStart=/bin/help\n",
	"other.service":   "[Unit]\nConflicts=web.service\n[Service]\nExecStart=/bin/other\n",
	"needs.service":   "[Unit]\nRequires=bad.service\nAfter=bad.service\n[Service]\nExecStart=/bin/needs\n",
}

func whyMachine(t *testing.T) *sim.Machine {
	t.Helper()
	m, err := sim.New(sim.Config{Types: types(), Load: units(whyFiles), Boot: "default.target", Mode: unit.ModeReplace, Seed: 1,
		Check: func(c unit.Condition) bool { return c.Param != "/run/no" }})
	require.NoError(t, err)
	for _, p := range []string{"web", "db", "app", "bound", "help", "other"} {
		m.Program("/bin/"+p, sim.Daemon())
	}
	m.Program("/bin/limited", sim.Failing(0, 3))
	m.Program("/bin/bad", sim.Failing(time.Second, 4))
	m.Program("/bin/slow", sim.Program{Runs: sim.Forever, Ready: sim.Forever})
	require.NoError(t, m.Settle(time.Minute))
	require.Equal(t, "degraded", m.Engine().View().SystemState())
	return m
}

// told is the chain of a unit as one text.
func told(m *sim.Machine, n unit.Name) string {
	var lines []string
	for _, l := range m.Engine().View().Why(n) {
		s := string(l.Unit) + " " + l.Did + " because " + l.Because
		if l.Place.File != "" {
			s += fmt.Sprintf(" %s:%d", l.Place.File, l.Place.Line)
		}
		if l.Earlier {
			s = "earlier: " + s
		}
		lines = append(lines, s)
	}
	return strings.Join(lines, "\n")
}

const byBoot = "\ndefault.target was started because the machine booted"

func pulledIn(n string) string {
	return n + " was started because default.target pulled it in (Wants=) /etc/systemd/system/default.target:3" + byBoot
}

func submit(t *testing.T, m *sim.Machine, op any) {
	t.Helper()
	for answered := false; !answered; { // again, if the core dies of it
		m.Submit(&core.Request{ID: core.RequestID{1}, Caller: core.Caller{UID: 0, PID: 4711, Comm: "sctl"}, Words: "words", Op: op,
			Reply: func(core.Response) { answered = true }})
		require.NoError(t, m.Settle(20*time.Second))
	}
}

func job(typ unit.JobType, n unit.Name) core.OpJob {
	return core.OpJob{Unit: n, Type: typ, Mode: unit.ModeReplace, Manual: true}
}

const asked = "sctl (PID 4711, user 0) asked: words"

// TestWhy: what happens to a unit leads back to its root, and a crash of the core changes nothing of it.
func TestWhy(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, m *sim.Machine)
		unit unit.Name
		want string
	}{
		{"boot", nil, "web.service", pulledIn("web.service")},
		{"requires", nil, "db.service", "db.service was started because web.service pulled it in (Requires=) /etc/systemd/system/web.service:2\n" + pulledIn("web.service")},
		{"never", nil, "help.service", ""},
		{"condition", nil, "skipped.service", "skipped.service was skipped because ConditionPathExists=!/run/no was not met; it was asked for because " +
			"default.target pulled it in (Wants=) /etc/systemd/system/default.target:3" + byBoot},
		{"start limit", nil, "limited.service", "limited.service failed to be restarted because it was started too often in a short time (StartLimitBurst=5); it was asked for because " +
			"its main process (PID 0) exited with status 3 (Restart=always)\nearlier: " + pulledIn("limited.service")},
		{"job timeout", nil, "slow.service", "slow.service was stopped because its job took longer than its limit (JobTimeoutSec=, JobRunningTimeoutSec=)"},
		{"restart policy", func(t *testing.T, m *sim.Machine) {
			m.KillProcess(m.Procs("app.service")[0], 9)
		}, "app.service", "app.service was restarted because its main process (PID 0) was killed by signal 9 (Restart=always; start 2 of at most 5 within 10s)\nearlier: " + pulledIn("app.service")},
		{"killed by a client", func(t *testing.T, m *sim.Machine) {
			submit(t, m, core.OpKill{Unit: "app.service", Signal: 9})
		}, "app.service", "app.service was restarted because its main process (PID 0) was killed by signal 9 (Restart=always; start 2 of at most 5 within 10s)\n" +
			"app.service was sent signal 9 because " + asked + "\nearlier: " + pulledIn("app.service")},
		{"client", func(t *testing.T, m *sim.Machine) { submit(t, m, job(unit.JobRestart, "web.service")) },
			"web.service", "web.service was restarted because " + asked},
		{"nothing to do", func(t *testing.T, m *sim.Machine) { submit(t, m, job(unit.JobStart, "web.service")) }, "web.service", pulledIn("web.service")},
		{"stop of what it requires", func(t *testing.T, m *sim.Machine) { submit(t, m, job(unit.JobStop, "db.service")) },
			"web.service", "web.service was stopped because it depends on db.service (Requires=) /etc/systemd/system/web.service:2\ndb.service was stopped because " + asked},
		{"bound", func(t *testing.T, m *sim.Machine) {
			submit(t, m, job(unit.JobStart, "bound.service"))
			m.KillProcess(m.Procs("web.service")[0], 11)
		}, "bound.service", "bound.service was stopped because it depends on web.service (BindsTo=) /etc/systemd/system/bound.service:2\n" +
			"web.service failed because its main process (PID 0) was killed by signal 11"},
		{"conflict", func(t *testing.T, m *sim.Machine) { submit(t, m, job(unit.JobStart, "other.service")) },
			"web.service", "web.service was stopped because it conflicts with other.service (Conflicts=) /etc/systemd/system/other.service:2\nother.service was started because " + asked},
		{"failure", func(t *testing.T, m *sim.Machine) { submit(t, m, job(unit.JobStart, "bad.service")) },
			"help.service", "help.service was started because bad.service failed (OnFailure=) /etc/systemd/system/bad.service:2\n" +
				"bad.service failed to be started because its main process (PID 0) exited with status 4; it was asked for because " + asked},
		{"dependency", func(t *testing.T, m *sim.Machine) { submit(t, m, job(unit.JobStart, "needs.service")) },
			"needs.service", "needs.service was not started (dependency) because its job needed bad.service; it was asked for because " + asked},
		{"isolate", func(t *testing.T, m *sim.Machine) {
			op := job(unit.JobStart, "rescue.target")
			op.Mode = unit.ModeIsolate
			submit(t, m, op)
		}, "app.service", "app.service was stopped because rescue.target was isolated and does not need it\nrescue.target was started because " + asked},
		{"signal", func(t *testing.T, m *sim.Machine) { m.Signal(34 + 1) },
			"rescue.target", "rescue.target was started because PID 1 got signal 35"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := whyMachine(t)
			if c.do != nil {
				c.do(t, m)
				require.NoError(t, m.Settle(20*time.Second))
			}
			got := told(m, c.unit)
			require.Equal(t, c.want, withoutPID(got))
			require.NoError(t, m.Crash())
			require.Equal(t, got, told(m, c.unit), "after a crash")
		})
	}
}

// withoutPID makes process numbers 0, but for the client's.
func withoutPID(s string) string {
	words := strings.Split(s, "(PID ")
	for i := range words[1:] {
		if n, rest, ok := strings.Cut(words[i+1], ")"); ok && !strings.Contains(n, ",") {
			words[i+1] = "0)" + rest
		}
	}
	return strings.Join(words, "(PID ")
}

// TestWhyAtEveryPoint: wherever the core dies, each change has a cause and no job's entry stays open.
func TestWhyAtEveryPoint(t *testing.T) {
	points := 0
	for n := 0; ; n++ {
		m := crashMachine(t, uint64(n), 0)
		before := m.Engine()
		m.CrashAfter(n)
		require.NoError(t, m.Settle(10*time.Second))
		submit(t, m, job(unit.JobRestart, "slow.service"))
		m.KillProcess(m.Procs("sshd.service")[0], 9)
		require.NoError(t, m.Settle(10*time.Second))
		where := fmt.Sprintf("crash at %d", n)
		for u := range m.Engine().View().Units {
			require.LessOrEqual(t, len(u.Changes), 8, where)
			for i, c := range u.Changes {
				require.NotEqual(t, core.CauseUnknown, c.By.Kind, "%s: %s: %+v", where, u.Name, c)
				require.False(t, c.Open(), "%s: %s: %+v", where, u.Name, c)
				if i > 0 {
					require.Greater(t, c.N, u.Changes[i-1].N, where)
				}
			}
		}
		for name, want := range map[unit.Name]string{
			"sshd.service": "sshd.service was restarted because its main process (PID 0) was killed by signal 9 (Restart=on-failure; start 2 of at most 5 within 10s)\n" +
				"earlier: sshd.service was started because default.target pulled it in (Wants=) /etc/systemd/system/default.target:3" + byBoot,
			"slow.service": "slow.service was restarted because " + asked,
			"note.service": "note.service was started because default.target pulled it in (Wants=) /etc/systemd/system/default.target:3" + byBoot,
		} {
			require.Equal(t, want, withoutPID(told(m, name)), where)
		}
		points++
		if m.Engine() == before {
			break
		}
	}
	t.Logf("%d points", points)
}

// TestWhyOtherChanges: what is done to a unit without a job stands in its record too, with who did it.
func TestWhyOtherChanges(t *testing.T) {
	m := whyMachine(t)
	files := maps.Clone(whyFiles)
	files["app.service"] = "[Unit]\nDescription=other\n" + files["app.service"]
	m.SetFiles(units(files))
	do := func(op any, n unit.Name, want core.ChangeKind) core.Change {
		m.Submit(&core.Request{Caller: core.Caller{UID: 1000, PID: 4711, Comm: "systemctl"}, Words: "words", Op: op})
		require.NoError(t, m.Settle(time.Minute))
		list := m.Engine().View().Unit(n).Changes
		for i := len(list) - 1; i >= 0; i-- {
			if c := list[i]; c.Kind == want {
				require.Equal(t, core.CauseClient, c.By.Kind)
				require.Equal(t, core.Caller{UID: 1000, PID: 4711, Comm: "systemctl"}, *c.By.Caller)
				return c
			}
		}
		t.Fatalf("%s has no change %v: %+v", n, want, list)
		return core.Change{}
	}
	do(core.OpReload{}, "app.service", core.ChangeSettings)
	do(core.OpResetFailed{}, "limited.service", core.ChangeReset)
	require.Equal(t, uint16(10), do(core.OpKill{Unit: "app.service", Signal: 10}, "app.service", core.ChangeKill).Status)
	m.Submit(&core.Request{Op: job(unit.JobStart, "slow.service")})
	require.NoError(t, m.RunUntil(func() bool { return len(m.Engine().View().Jobs()) == 1 }, time.Second))
	id := m.Engine().View().Jobs()[0].ID
	require.Equal(t, id, do(core.OpCancel{ID: id}, "slow.service", core.ChangeCancel).Job)
}
