package control

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/client"
	"github.com/sysmaster-go/sysmaster/core/client/cli"
	"github.com/sysmaster-go/sysmaster/unit"
)

// sctl runs one of our own commands.
func (m *machine) sctl(args ...string) (stdout, stderr string, code int) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	code = cli.Run(ctx, args, cli.Env{
		Stdout: &out, Stderr: &errs, Socket: m.socket(), Version: "1", Zone: time.UTC,
		Now:    func() time.Time { return time.Unix(400000*3600+3600+90, 0) },
		Signal: func(int) error { return os.ErrPermission },
	})
	require.NoError(m.t, ctx.Err(), "sctl %v hangs", args)
	return out.String(), errs.String(), code
}

func TestSctl(t *testing.T) {
	m := newMachine(t, Config{}, "web.service", "bad.service", "masked.service", "hold.service", "basic.target", "poweroff.target")
	for _, c := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"is-active web", 3, "inactive", ""},
		{"start web", 0, "", ""},
		{"is-active web", 0, "active", ""},
		{"status web", 0, "Active: active (running) since Wed 2015-08-19 17:00:00 UTC; 1min 29s ago", ""},
		{"list-units", 0, "web.service", ""},
		{"list-units --all -t target", 0, "basic.target", ""},
		{"show web -p ActiveState,SubState", 0, "ActiveState=active\nSubState=running\n", ""},
		{"show web -p ActiveState --value", 0, "active\n", ""},
		{"show web", 0, "JobTimeoutUSec=infinity\n", ""},
		{"show -p SystemState", 0, "SystemState=running\n", ""},
		{"reload web", 0, "", ""},
		{"restart web", 0, "", ""},
		{"try-restart bad", 0, "", ""},
		{"reload-or-restart web", 0, "", ""},
		{"kill -s KILL web", 0, "", ""},
		{"kill web", 1, "", "No matching processes"},
		{"is-failed web", 0, "failed", ""},
		{"status web", 3, "Active: failed", ""},
		{"reset-failed web", 0, "", ""},
		{"is-failed web", 1, "inactive", ""},
		{"start bad", 1, "", "sctl status bad.service"},
		{"start nothere", 5, "", "not found"},
		{"start masked", 1, "", "is masked"},
		{"status nothere", 4, "", "could not be found"},
		{"isolate basic.target", 0, "", ""},
		{"isolate web", 4, "", "may not be isolated"},
		{"start --no-block hold", 0, "", ""},
		{"list-jobs", 0, "hold.service start running a client asked: Enqueue start hold.service replace\n", ""},
		{"cancel", 0, "", ""},
		{"list-jobs", 0, "No jobs", ""},
		{"daemon-reload", 0, "", ""},
		{"is-system-running", 0, "running", ""},
		{"status", 0, "State: running", ""},
		{"poweroff", 0, "", ""},
		{"strat web", 2, "", "did you mean start?"},
		{"start", 2, "", "sctl start UNIT..."},
		{"--nonsense", 2, "", "unknown option"},
		{"start --job-mode=bad web", 2, "", "unknown job mode"},
		{"cancel x", 2, "", "list-jobs"},
		{"start 'bad name'", 1, "", "not valid"},
	} {
		out, errs, code := m.sctl(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.err) {
			t.Errorf("sctl %s = %d, %q, %q; want %d, %q, %q", c.args, code, out, errs, c.code, c.out, c.err)
		}
	}
	out, _, _ := m.sctl("status", "web")
	t.Logf("\n%s", out)
}

func TestSctlJSON(t *testing.T) {
	m := newMachine(t, Config{}, "web.service")
	for _, args := range []string{"list-units --all --json", "list-jobs --json", "show web --json", "show --json"} {
		out, errs, code := m.sctl(strings.Fields(args)...)
		require.Equal(t, 0, code, errs)
		require.True(t, json.Valid([]byte(out)), out)
	}
}

func TestPowerWithoutManager(t *testing.T) {
	var out bytes.Buffer
	sent := 0
	code := cli.Run(context.Background(), []string{"reboot"}, cli.Env{
		Stdout: &out, Stderr: &out, Socket: t.TempDir() + "/nothing",
		Signal: func(n int) error { sent = n; return nil },
	})
	require.Equal(t, 0, code)
	require.Equal(t, 39, sent, "SIGRTMIN+5")
	require.Contains(t, out.String(), "PID 1")
}

// TestWaitAcrossRestart: the manager goes away while a job runs, comes back with it, and the
// waiting client hears how it ends.
func TestWaitAcrossRestart(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	m := newMachine(t, Config{}, "hold.service", "web.service")
	lost := make(chan error, 16)
	c := client.New(client.Config{Path: m.socket(), Lost: func(err error) { lost <- err }})
	defer func() { require.NoError(t, c.Close()) }()
	held, err := c.Enqueue(ctx, client.Start, "hold.service", "replace")
	require.NoError(t, err)
	type end struct {
		out client.Outcome
		err error
	}
	ended := make(chan end, 1)
	go func() {
		out, err := c.Wait(ctx, held)
		ended <- end{out, err}
	}()
	m.restart()
	<-lost
	// Once it has connected again it waits for the same job.
	_, err = c.ActiveState(ctx, "hold.service")
	require.NoError(t, err)
	m.e.release <- unit.JobFailed
	got := <-ended
	require.NoError(t, got.err)
	require.Equal(t, "failed", got.out.Result)

	// One that ended while nobody was connected is remembered with the command that asked for it ...
	held, err = c.Enqueue(ctx, client.Start, "hold.service", "replace")
	require.NoError(t, err)
	m.down()
	m.e.release <- unit.JobTimeout
	m.up()
	out, err := c.Wait(ctx, held)
	require.NoError(t, err)
	require.Equal(t, client.Outcome{Result: "timeout"}, out)

	// ... and where somebody else asked, its outcome is told from the unit's state.
	held, err = c.Enqueue(ctx, client.Start, "hold.service", "replace")
	require.NoError(t, err)
	m.down()
	m.e.release <- unit.JobDone
	m.up()
	out, err = c.Wait(ctx, client.JobOf(held.ID, "hold.service", client.Start))
	require.NoError(t, err)
	require.Equal(t, client.Outcome{Result: "done", Inferred: true}, out)
}

func TestErrorNames(t *testing.T) {
	for i, row := range errorNames {
		name, text := errorOf(&core.RequestError{Unit: "a.service", Err: row.err, Detail: "because"})
		require.NotEmpty(t, name, i)
		require.Contains(t, text, "because")
		require.NotContains(t, text, "%!")
	}
}
