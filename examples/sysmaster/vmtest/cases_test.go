package vmtest_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest"
)

// testCase is one assertion on a booted server. The cases of a list run in order on one machine and leave it as they found it.
type testCase struct {
	name string
	run  func(t *testing.T, g *guest)
}

func runCases(t *testing.T, g *guest, cases []testCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, g) })
	}
}

// serverCases hold under every init that boots this server.
func serverCases() []testCase {
	return []testCase{
		{"multi-user.target is active", isActive("multi-user.target")},
		{"nginx answers 200", nginxAnswers},
		{"sshd sends its banner", sshdAnswers},
		{"cron runs", mainRuns("cron.service", "cron")},
		{"dbus answers on its socket", dbusAnswers},
		{"dbus starts when its socket is connected to", dbusIsActivated},
		{"each oneshot ran once", countedOnce},
		{"limits reach the kernel", limitsAreWritten},
		{"the OOM killer is told of", greedIsKilled},
	}
}

// restartCases kill main processes; what follows is what the unit's Restart= says.
func restartCases(kill func(t *testing.T, g *guest, pid int)) []testCase {
	return []testCase{
		{"ssh.service comes back", mainComesBack("ssh.service", kill)},
		{"cron.service comes back", mainComesBack("cron.service", kill)},
		{"nginx.service fails", mainStaysDead("nginx.service", kill)},
		{"dbus.service fails", mainStaysDead("dbus.service", kill)},
		{"nginx answers again", nginxAnswers},
		{"sshd answers again", sshdAnswers},
		{"dbus answers again", dbusAnswers},
	}
}

// killMain is the plain way of restartCases.
func killMain(t *testing.T, g *guest, pid int) {
	t.Helper()
	require.NoError(t, g.Kill(limit(t, stepLimit), pid, int(syscall.SIGKILL)))
}

func isActive(unit string) func(t *testing.T, g *guest) {
	return func(t *testing.T, g *guest) {
		t.Helper()
		require.Equal(t, "active", g.do(t, "is-active", unit))
	}
}

func nginxAnswers(t *testing.T, g *guest) {
	r, err := g.Run(limit(t, stepLimit), "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1/")
	require.NoError(t, err)
	require.Equal(t, "200", r.Stdout, r.Stderr)
}

func sshdAnswers(t *testing.T, g *guest) {
	// A restarted sshd has its unit active before it listens again only where READY=1 is not awaited; both are accepted here.
	until(t, stepLimit, "sshd's banner", func(ctx context.Context) (bool, string) {
		banner, err := g.Dial(ctx, "tcp", "127.0.0.1:22", "")
		return strings.HasPrefix(banner, "SSH-2.0-OpenSSH"), fmt.Sprint(banner, err)
	})
}

func mainRuns(unit, comm string) func(t *testing.T, g *guest) {
	return func(t *testing.T, g *guest) {
		pid := g.mainPID(t, unit)
		procs, err := g.Procs(limit(t, stepLimit))
		require.NoError(t, err)
		for _, p := range procs {
			if p.PID == pid {
				require.Equal(t, comm, p.Comm)
				return
			}
		}
		require.Fail(t, "no process", "main process %d of %s", pid, unit)
	}
}

func (g *guest) mainPID(t *testing.T, unit string) int {
	t.Helper()
	pid, err := strconv.Atoi(g.property(t, unit, "MainPID"))
	require.NoError(t, err)
	require.NotZero(t, pid, "main process of %s", unit)
	return pid
}

const (
	dbusSocket = "/run/dbus/system_bus_socket"
	dbusHello  = "\x00AUTH EXTERNAL 30\r\n" // uid 0 in hexadecimal digits of its decimal digits (D-Bus specification, EXTERNAL)
)

func dbusAnswers(t *testing.T, g *guest) {
	answer, err := g.Dial(limit(t, stepLimit), "unix", dbusSocket, dbusHello)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(answer, "OK "), "dbus-daemon's answer %q", answer)
}

func dbusIsActivated(t *testing.T, g *guest) {
	g.do(t, "stop", "dbus.service")
	require.Equal(t, "inactive", g.property(t, "dbus.service", "ActiveState"))
	isActive("dbus.socket")(t, g)
	dbusAnswers(t, g)
	isActive("dbus.service")(t, g)
}

func countedOnce(t *testing.T, g *guest) {
	r, err := g.Run(limit(t, stepLimit), "sh", "-c", "grep -c . /var/lib/count/*.start")
	require.NoError(t, err)
	lines := strings.Fields(r.Stdout)
	require.NotEmpty(t, lines)
	for _, line := range lines {
		require.True(t, strings.HasSuffix(line, ":1"), "runs: %s", line)
	}
}

// mainComesBack is for units with Restart=on-failure.
func mainComesBack(unit string, kill func(*testing.T, *guest, int)) func(*testing.T, *guest) {
	return func(t *testing.T, g *guest) {
		require.Equal(t, "on-failure", g.property(t, unit, "Restart"))
		old := g.mainPID(t, unit)
		kill(t, g, old)
		until(t, stepLimit, unit+" with another main process", func(ctx context.Context) (bool, string) {
			out, exit := g.control(ctx, "show", "-p", "ActiveState", "-p", "MainPID", unit)
			pid := strings.Contains(out, "MainPID=0") || strings.Contains(out, fmt.Sprintf("MainPID=%d\n", old)) ||
				strings.HasSuffix(out, fmt.Sprintf("MainPID=%d", old))
			return exit == 0 && strings.Contains(out, "ActiveState=active") && !pid, out
		})
	}
}

// mainStaysDead is for units with Restart=no; it starts the unit again at the end.
func mainStaysDead(unit string, kill func(*testing.T, *guest, int)) func(*testing.T, *guest) {
	return func(t *testing.T, g *guest) {
		require.Equal(t, "no", g.property(t, unit, "Restart"))
		kill(t, g, g.mainPID(t, unit))
		until(t, stepLimit, unit+" failed", func(ctx context.Context) (bool, string) {
			out, exit := g.control(ctx, "is-failed", unit)
			return exit == 0 && out == "failed", out
		})
		require.Equal(t, "signal", g.property(t, unit, "Result"))
		g.do(t, "start", unit)
		isActive(unit)(t, g)
	}
}

func limitsAreWritten(t *testing.T, g *guest) {
	g.do(t, "start", vmtest.LimitedUnit)
	group := "/sys/fs/cgroup" + g.property(t, vmtest.LimitedUnit, "ControlGroup") + "/"
	for file, want := range vmtest.Limits() {
		r, err := g.Run(limit(t, stepLimit), "cat", group+file)
		require.NoError(t, err)
		require.Equal(t, want, strings.TrimSpace(r.Stdout), "%s %s", file, r.Stderr)
	}
	g.do(t, "stop", vmtest.LimitedUnit)
	r, err := g.Run(limit(t, stepLimit), "ls", "-d", group)
	require.NoError(t, err)
	require.NotZero(t, r.Exit, "the control group is removed")
}

func greedIsKilled(t *testing.T, g *guest) {
	g.do(t, "start", vmtest.GreedyUnit)
	until(t, stepLimit, vmtest.GreedyUnit+" to fail", func(ctx context.Context) (bool, string) {
		out, _ := g.control(ctx, "show", "-p", "ActiveState", "-p", "Result", vmtest.GreedyUnit)
		return out == "ActiveState=failed\nResult=oom-kill" || out == "Result=oom-kill\nActiveState=failed", out
	})
	g.do(t, "reset-failed", vmtest.GreedyUnit)
}
