package control

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/unit"
)

// machine is a server with a small engine behind it, and a directory to stand for /run.
type machine struct {
	t      *testing.T
	e      *engine
	cfg    Config
	s      *Server
	served chan error
	run    string
}

func newMachine(t *testing.T, cfg Config, names ...string) *machine {
	t.Helper()
	m := &machine{t: t, e: newEngine(names...), cfg: cfg, run: t.TempDir()}
	require.NoError(t, os.MkdirAll(filepath.Join(m.run, "systemd/system"), 0o755))
	m.cfg.Manager = m.e
	if cfg.Allow == nil {
		m.cfg.Allow = func(uid int) bool { return uid == os.Getuid() }
	}
	if cfg.Observe == nil {
		m.cfg.Observe = func(r Record) { t.Logf("uid %d pid %d: %v", r.UID, r.PID, r.Err) }
	}
	m.up()
	go m.e.run()
	t.Cleanup(func() {
		m.e.close()
		m.down()
	})
	return m
}

// up starts a server for the engine; down ends it, like a crash does for clients.
func (m *machine) up() {
	m.t.Helper()
	s, err := New(m.cfg)
	require.NoError(m.t, err)
	l, err := Listen(m.socket())
	require.NoError(m.t, err)
	m.s, m.served = s, make(chan error, 1)
	m.e.setPublish(s.Publish)
	go func() { m.served <- s.Serve(l) }()
}

func (m *machine) down() {
	m.t.Helper()
	require.NoError(m.t, m.s.Close())
	require.ErrorIs(m.t, <-m.served, ErrClosed)
}

func (m *machine) restart() {
	m.t.Helper()
	m.down()
	m.up()
}

func (m *machine) socket() string { return filepath.Join(m.run, "systemd/private") }

// systemctl runs the real one with m.run as /run; the exit code and both outputs come back.
func (m *machine) systemctl(args ...string) (string, int) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	script := `mount --bind "$0" /run && exec systemctl --no-pager "$@"`
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"-m", "sh", "-c", script, m.run}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_LOG_LEVEL=info", "COLUMNS=200")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	require.NoError(m.t, ctx.Err(), "systemctl %v hangs; it said:\n%s", args, out.String())
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(m.t, err)
	}
	m.t.Logf("systemctl %s: exit %d\n%s", strings.Join(args, " "), cmd.ProcessState.ExitCode(), out.String())
	return out.String(), cmd.ProcessState.ExitCode()
}

// needSystemctl skips with the reason where the real systemctl cannot be run.
func needSystemctl(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: systemctl uses the private socket for root only")
	}
	for _, p := range []string{"systemctl", "unshare"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("no mount namespaces here: %v: %s", err, out)
	}
}

func TestUnmodifiedSystemctl(t *testing.T) {
	needSystemctl(t)
	m := newMachine(t, Config{}, "web.service", "bad.service", "masked.service", "hold.service", "basic.target", "poweroff.target", "system.slice")
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"list-units --all", 0, "web.service"},
		{"is-active web.service", 3, "inactive"},
		{"start web.service", 0, ""},
		{"is-active web.service", 0, "active"},
		{"status web.service", 0, "Active: active (running)"},
		{"show web.service", 0, "ActiveState=active"},
		{"show -p MainPID --value web.service", 0, ""},
		{"show", 0, "SystemState=running"},
		{"reload web.service", 0, ""},
		{"restart web.service", 0, ""},
		{"try-restart bad.service", 0, ""},
		{"reload-or-restart web.service", 0, ""},
		{"kill -s TERM web.service", 0, ""},
		{"is-failed web.service", 0, "failed"},
		{"status web.service", 3, "failed"},
		{"reset-failed web.service", 0, ""},
		{"is-failed web.service", 1, "inactive"},
		{"start web.service basic.target", 0, ""},
		{"stop web.service", 0, ""},
		{"start bad.service", 1, "Job for bad.service failed"},
		{"start nothere.service", 5, "Unit nothere.service not found."},
		{"start masked.service", 1, "masked"},
		{"status nothere.service", 4, "could not be found"},
		{"isolate basic.target", 0, ""},
		{"isolate web.service", 4, "may not be isolated"},
		{"--no-block start hold.service", 0, ""},
		{"list-jobs", 0, "hold.service"},
		{"cancel 10", 0, ""},
		{"list-jobs", 0, "No jobs running."},
		{"daemon-reload", 0, ""},
		{"is-system-running", 0, "running"},
		{"list-dependencies web.service", 0, "web.service"},
		{"list-units we*", 0, ""},
		{"poweroff", 0, ""},
	} {
		out, code := m.systemctl(strings.Fields(c.args)...)
		if code != c.code {
			t.Errorf("systemctl %s = exit %d; want %d; it said:\n%s", c.args, code, c.code, out)
		}
		if !strings.Contains(out, c.want) {
			t.Errorf("systemctl %s = %q; want %q in it", c.args, out, c.want)
		}
	}
	require.Equal(t, unit.Active, m.e.View().Unit("poweroff.target").State.Active)
}
