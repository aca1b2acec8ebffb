package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/unit"
)

var repeatFiles = map[string]string{
	"default.target": "[Unit]\nWants=sshd.service\n",
	"sshd.service":   "[Service]\nExecStart=/usr/sbin/sshd\nExecStop=/bin/stop\n",
	"again.service":  "[Service]\nExecStart=/bin/again\nRestart=always\nRestartSec=1\n",
	"bad.service":    "[Service]\nType=oneshot\nExecStart=/bin/bad\n",
}

func repeatMachine(t *testing.T, seed uint64, delay time.Duration) *sim.Machine {
	t.Helper()
	m, err := sim.New(sim.Config{Types: types(), Load: units(repeatFiles), Boot: "default.target", Mode: unit.ModeReplace, Seed: seed, MaxDelay: delay})
	require.NoError(t, err)
	m.Program("/usr/sbin/sshd", sim.Daemon())
	m.Program("/bin/again", sim.Daemon())
	m.Program("/bin/stop", sim.Oneshot(100*time.Millisecond))
	m.Program("/bin/bad", sim.Failing(100*time.Millisecond, 3))
	require.NoError(t, m.RunUntil(func() bool { return m.Active("sshd.service") && m.Engine().View().SystemState() == "running" }, time.Minute))
	return m
}

// insist sends a request as a client does whose connection dies with each core: again, until it is
// answered.
func insist(m *sim.Machine, id byte, op any) (core.Response, error) {
	for {
		var got *core.Response
		served := m.Engine()
		m.Submit(&core.Request{ID: core.RequestID{id}, Op: op, Reply: func(r core.Response) { got = &r }})
		if err := m.RunUntil(func() bool { return got != nil || m.Engine() != served }, time.Hour); err != nil {
			return core.Response{}, err
		}
		if got != nil {
			return *got, nil
		}
	}
}

// endOf waits for the end of what the answer told of.
func endOf(m *sim.Machine, id byte, r core.Response) (core.Response, error) {
	var err error
	for r.Err == nil && r.Job != 0 && r.Result == 0 && err == nil {
		if err = m.RunUntil(func() bool { return jobGone(m, r.Job) }, time.Hour); err == nil {
			r, err = insist(m, 0, core.OpRecall{ID: core.RequestID{id}})
		}
	}
	return r, err
}

func jobGone(m *sim.Machine, id core.JobID) bool {
	for _, j := range m.Engine().View().Jobs() {
		if j.ID == id {
			return false
		}
	}
	return true
}

// TestRepeatedRequests crashes the core at every point between a request and the end of its job. The
// client sends it until it is answered: it is done exactly once, and the client hears how it ended.
func TestRepeatedRequests(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare string
		op      any
		program string // started how often: at boot, and by the request
		runs    int
		result  unit.JobResult
		down    unit.Name
	}{
		{"restart", "", core.OpJob{Unit: "sshd.service", Type: unit.JobRestart, Mode: unit.ModeReplace, Manual: true}, "/usr/sbin/sshd", 2, unit.JobDone, ""},
		{"start", "", core.OpJob{Unit: "again.service", Type: unit.JobStart, Mode: unit.ModeReplace, Manual: true}, "/bin/again", 1, unit.JobDone, ""},
		{"failing", "", core.OpJob{Unit: "bad.service", Type: unit.JobStart, Mode: unit.ModeReplace, Manual: true}, "/bin/bad", 1, unit.JobFailed, ""},
		{"stop", "", core.OpJob{Unit: "sshd.service", Type: unit.JobStop, Mode: unit.ModeReplace, Manual: true}, "/bin/stop", 1, unit.JobDone, "sshd.service"},
		{"kill", "again.service", core.OpKill{Unit: "again.service", Signal: 9}, "/bin/again", 2, 0, ""},
		{"nothing", "", core.OpJob{Unit: "again.service", Type: unit.JobTryRestart, Mode: unit.ModeReplace, Manual: true}, "/bin/again", 0, unit.JobDone, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			points := 0
			for _, delay := range []time.Duration{0, 300 * time.Millisecond} {
				for n := 0; ; n++ {
					where := fmt.Sprintf("crash at %d, delay %v", n, delay)
					m := repeatMachine(t, uint64(n), delay)
					if c.prepare != "" {
						require.NoError(t, m.Do(unit.JobStart, unit.Name(c.prepare), unit.ModeReplace))
						require.NoError(t, m.Settle(time.Second))
					}
					before := m.Engine()
					m.CrashAfter(n)
					r, err := insist(m, 7, c.op)
					require.NoError(t, err, where)
					require.NoError(t, r.Err, where)
					end, err := endOf(m, 7, r)
					require.NoError(t, err, where)
					require.Equal(t, c.result, end.Result, where)
					require.Equal(t, r.Job, end.Job, where)
					require.NoError(t, m.Settle(3*time.Second), where)
					twice, err := insist(m, 7, c.op)
					require.NoError(t, err, where)
					require.Equal(t, end, twice, where)
					require.NoError(t, m.Settle(3*time.Second), where)
					require.Equal(t, c.runs, m.Runs(c.program), where)
					if c.down != "" {
						require.False(t, m.Active(c.down), where)
					}
					points++
					if m.Engine() == before {
						break // the point lies beyond the end
					}
				}
			}
			t.Logf("%d points", points)
		})
	}
}

// TestOtherRequestSameNumber: a number stands for one request of one user.
func TestOtherRequestSameNumber(t *testing.T) {
	m := repeatMachine(t, 1, 0)
	restart := core.OpJob{Unit: "sshd.service", Type: unit.JobRestart, Mode: unit.ModeReplace, Manual: true}
	_, err := insist(m, 7, restart)
	require.NoError(t, err)
	require.NoError(t, m.Settle(3*time.Second))
	stop := restart
	stop.Type = unit.JobStop
	for range 2 { // also when it was read back
		r, err := insist(m, 7, stop)
		require.NoError(t, err)
		require.ErrorIs(t, r.Err, core.ErrRequestReused)
		require.NoError(t, m.Crash())
	}
	var got core.Response
	m.Submit(&core.Request{ID: core.RequestID{7}, Caller: core.Caller{UID: 1000}, Op: restart, Reply: func(r core.Response) { got = r }})
	require.NoError(t, m.Settle(3*time.Second))
	require.NoError(t, got.Err)
	require.Equal(t, 3, m.Runs("/usr/sbin/sshd"), "another user's request is another one")
	r, err := insist(m, 8, core.OpRecall{ID: core.RequestID{9}})
	require.NoError(t, err)
	require.ErrorIs(t, r.Err, core.ErrNoSuchRequest)
}

// TestRefusalIsRemembered: the answer is the same also when it was a refusal, and after a crash.
func TestRefusalIsRemembered(t *testing.T) {
	m := repeatMachine(t, 1, 0)
	op := core.OpJob{Unit: "missing.service", Type: unit.JobStart, Mode: unit.ModeReplace, Manual: true}
	first, err := insist(m, 7, op)
	require.NoError(t, err)
	require.ErrorIs(t, first.Err, core.ErrNoSuchUnit)
	require.NoError(t, m.Crash())
	again, err := insist(m, 7, op)
	require.NoError(t, err)
	require.ErrorIs(t, again.Err, core.ErrNoSuchUnit)
	require.Equal(t, first.Err.Error(), again.Err.Error())
}

// TestRequestsAreForgotten: nobody makes the core remember without bound, nor forget what others asked.
func TestRequestsAreForgotten(t *testing.T) {
	m := repeatMachine(t, 1, 0)
	restart := core.OpJob{Unit: "sshd.service", Type: unit.JobRestart, Mode: unit.ModeReplace, Manual: true}
	_, err := insist(m, 7, restart)
	require.NoError(t, err)
	require.NoError(t, m.Settle(3*time.Second))
	for i := range 5000 {
		id := core.RequestID{1, byte(i), byte(i >> 8)}
		m.Submit(&core.Request{ID: id, Caller: core.Caller{UID: 1000}, Op: core.OpResetFailed{Unit: "sshd.service"}})
	}
	require.NoError(t, m.Settle(3*time.Second))
	require.NoError(t, m.Crash())
	require.LessOrEqual(t, m.Engine().Remembered(), 1024)
	_, err = insist(m, 7, restart)
	require.NoError(t, err)
	require.NoError(t, m.Settle(3*time.Second))
	require.Equal(t, 2, m.Runs("/usr/sbin/sshd"))
}
