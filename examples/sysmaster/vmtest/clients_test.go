package vmtest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest"
)

// clientCases use each verb of a control client, sctl and systemctl alike.
func clientCases() []testCase {
	return []testCase{
		{"stop and start", clientStopStart},
		{"restart", clientRestart},
		{"reload", clientReload},
		{"kill", clientKill},
		{"status", clientStatus},
		{"show", clientShow},
		{"list-units", clientListUnits},
		{"is-active and is-failed", clientIs},
		{"daemon-reload", clientDaemonReload},
		{"list-jobs", clientListJobs},
		{"isolate", clientIsolate},
	}
}

func clientStopStart(t *testing.T, g *guest) {
	g.control(limit(t, stepLimit), "reset-failed", "cron.service") // both clients together start it more often than its start limit allows
	g.do(t, "stop", "cron.service")
	out, exit := g.control(limit(t, stepLimit), "is-active", "cron.service")
	require.Equal(t, 3, exit, "is-active of a stopped unit: %s", out)
	require.Equal(t, "inactive", out)
	g.do(t, "start", "cron.service")
	mainRuns("cron.service", "cron")(t, g)
}

func clientRestart(t *testing.T, g *guest) {
	old := g.mainPID(t, "cron.service")
	g.do(t, "restart", "cron.service")
	require.NotEqual(t, old, g.mainPID(t, "cron.service"))
}

// clientReload reloads a daemon that keeps its process.
func clientReload(t *testing.T, g *guest) {
	old := g.mainPID(t, "nginx.service")
	g.do(t, "reload", "nginx.service")
	require.Equal(t, old, g.mainPID(t, "nginx.service"))
	isActive("nginx.service")(t, g)
	out, exit := g.control(limit(t, stepLimit), "reload", "cron.service")
	require.NotZero(t, exit, "reload of a unit that cannot: %s", out)
}

func clientKill(t *testing.T, g *guest) {
	old := g.mainPID(t, "cron.service")
	g.do(t, "kill", "-s", "KILL", "cron.service")
	until(t, stepLimit, "cron.service after its kill", func(ctx context.Context) (bool, string) {
		out, exit := g.control(ctx, "show", "-p", "MainPID", "--value", "cron.service")
		return exit == 0 && out != "0" && out != fmt.Sprint(old), out
	})
}

func clientStatus(t *testing.T, g *guest) {
	out := g.do(t, "status", "--no-pager", "cron.service")
	require.Contains(t, out, "active (running)")
	require.Contains(t, out, fmt.Sprint(g.mainPID(t, "cron.service")))
	out, exit := g.control(limit(t, stepLimit), "status", "--no-pager", "no-such.service")
	require.Equal(t, 4, exit, "status of no unit: %s", out)
}

func clientShow(t *testing.T, g *guest) {
	out := g.do(t, "show", "-p", "Id", "-p", "LoadState", "-p", "ActiveState", "-p", "SubState", "cron.service")
	for _, line := range []string{"Id=cron.service", "LoadState=loaded", "ActiveState=active", "SubState=running"} {
		require.Contains(t, strings.Split(out, "\n"), line)
	}
}

func clientListUnits(t *testing.T, g *guest) {
	units := g.units(t)
	require.Equal(t, "loaded active running", units["ssh.service"])
	require.Equal(t, "loaded active exited", units["count@1.service"])
	require.Equal(t, "loaded active active", units["multi-user.target"])
}

func clientIs(t *testing.T, g *guest) {
	require.Equal(t, "active", g.do(t, "is-active", "cron.service"))
	out, exit := g.control(limit(t, stepLimit), "is-failed", "cron.service")
	require.Equal(t, "active", out)
	require.NotZero(t, exit)
}

// clientDaemonReload adds a unit, and changes one, while the system runs.
func clientDaemonReload(t *testing.T, g *guest) {
	const path = "/run/systemd/system/late.service"
	write := func(description string) {
		unit := fmt.Sprintf("[Unit]\nDescription=%s\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n", description)
		r, err := g.Run(limit(t, stepLimit), "sh", "-c", "mkdir -p /run/systemd/system && printf '%s' \"$1\" > "+path, "sh", unit)
		require.NoError(t, err)
		require.Zero(t, r.Exit, r.Stderr)
		g.do(t, "daemon-reload")
	}
	old := g.mainPID(t, "cron.service")
	write("first")
	g.do(t, "start", "late.service")
	require.Equal(t, "first", g.property(t, "late.service", "Description"))
	write("second")
	require.Equal(t, "second", g.property(t, "late.service", "Description"))
	require.Equal(t, "active", g.do(t, "is-active", "late.service"))
	require.Equal(t, old, g.mainPID(t, "cron.service"))
	g.do(t, "stop", "late.service")
}

// clientListJobs looks at a job that lasts until it is cancelled by its contrary.
func clientListJobs(t *testing.T, g *guest) {
	const unit = "[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\nTimeoutStartSec=infinity\n"
	r, err := g.Run(limit(t, stepLimit), "sh", "-c",
		"mkdir -p /run/systemd/system && printf '%s' \"$1\" > /run/systemd/system/long.service", "sh", unit)
	require.NoError(t, err)
	require.Zero(t, r.Exit, r.Stderr)
	g.do(t, "daemon-reload")
	g.do(t, "start", "--no-block", "long.service")
	until(t, stepLimit, "the job of long.service", func(ctx context.Context) (bool, string) {
		out, exit := g.control(ctx, "list-jobs", "--no-legend")
		return exit == 0 && strings.Contains(out, "long.service") && strings.Contains(out, "start"), out
	})
	g.do(t, "stop", "long.service")
	require.NotContains(t, g.do(t, "list-jobs", "--no-legend"), "long.service")
}

// clientIsolate goes to a target of fewer units and back. The counting units are among the few: they shall run once in a boot.
func clientIsolate(t *testing.T, g *guest) {
	few := "basic.target ssh.service"
	for i := 1; i <= vmtest.Counted; i++ {
		few += fmt.Sprintf(" count@%d.service", i)
	}
	r, err := g.Run(limit(t, stepLimit), "sh", "-c", "mkdir -p /run/systemd/system && printf '%s' \"$1\" > /run/systemd/system/few.target",
		"sh", fmt.Sprintf("[Unit]\nRequires=%s\nAfter=%s\nAllowIsolate=yes\n", few, few))
	require.NoError(t, err)
	require.Zero(t, r.Exit, r.Stderr)
	old := g.mainPID(t, "ssh.service")
	g.do(t, "daemon-reload")
	g.do(t, "isolate", "few.target")
	units := g.units(t)
	require.Equal(t, "loaded active active", units["few.target"])
	require.NotContains(t, units["cron.service"], " active ")
	require.NotContains(t, units["multi-user.target"], " active ")
	require.Equal(t, old, g.mainPID(t, "ssh.service"), "a unit that both targets want is left alone")
	g.do(t, "isolate", "multi-user.target")
	g.awaitBoot(t)
	mainRuns("cron.service", "cron")(t, g)
}

// units lists all units as "load active sub" by name.
func (g *guest) units(t *testing.T) map[string]string {
	t.Helper()
	units := map[string]string{}
	for _, line := range strings.Split(g.do(t, "list-units", "--all", "--plain", "--no-legend", "--no-pager"), "\n") {
		f := strings.Fields(line)
		require.GreaterOrEqual(t, len(f), 4, "line of list-units %q", line)
		units[f[0]] = strings.Join(f[1:4], " ")
	}
	return units
}
