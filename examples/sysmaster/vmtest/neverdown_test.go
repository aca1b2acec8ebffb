package vmtest_test

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest"
)

// neverDownKills is how often the core is killed while nginx answers.
const neverDownKills = 200

// TestNeverDown asks nginx for its page again and again while the core is killed, stopped, replaced by a good and by a bad one, and init
// executed anew. No request may fail, and no server may have another process than before.
func TestNeverDown(t *testing.T) {
	needVM(t)
	img := buildImage(t, append(vmtest.Programs(), vmtest.UpgradePrograms()...))
	g := boot(t, img, vmtest.InitPath, "sctl")
	g.awaitBoot(t)
	reference, servers := g.final(t), g.servers(t)
	require.NoError(t, g.StartLoad(limit(t, stepLimit), "127.0.0.1:80"))
	for _, c := range []testCase{
		{fmt.Sprintf("core killed %d times", neverDownKills), coreKilled},
		{"core stopped", coreStopped},
		{"core replaced", coreReplaced},
		{"core replaced by one that fails", coreRolledBack},
		{"init executed anew", initAnew},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, g)
			require.Equal(t, servers, g.servers(t), "the servers' processes")
		})
	}
	require.Equal(t, reference, g.final(t), "units and servers' processes")
	t.Run("torture", func(t *testing.T) { tortured(t, g) })
	require.Equal(t, servers, g.servers(t), "the servers' processes")
	load, err := g.StopLoad(limit(t, stepLimit))
	require.NoError(t, err)
	t.Logf("%d requests to nginx answered, the slowest in %.0f ms", load.Requests, load.LongestMS)
	require.Zero(t, load.Failed, "requests to nginx failed; the first: %s", load.First)
	require.Greater(t, load.Requests, neverDownKills)
	g.end(t, vmtest.EndPoweroff, "sctl", "poweroff")
	g.checkCounts(t, "start", "started")
	g.checkCounts(t, "stop", "stopped")
}

// servers are the servers' processes, each by number, name and start.
func (g *guest) servers(t *testing.T) []string {
	t.Helper()
	procs, err := g.Procs(limit(t, stepLimit))
	require.NoError(t, err)
	var list []string
	for _, p := range procs {
		if slices.Contains([]string{"cron", "dbus-daemon", "nginx", "sshd"}, p.Comm) {
			list = append(list, fmt.Sprintf("%d %s since %d", p.PID, p.Comm, p.Start))
		}
	}
	require.NotEmpty(t, list)
	return list
}

func coreKilled(t *testing.T, g *guest) {
	random := newRandom(t)
	ctx := limit(t, machineLife)
	var outages []time.Duration
	for range neverDownKills {
		require.True(t, pause(ctx, time.Duration(random.Int64N(int64(lastLife)))))
		outages = append(outages, g.outage(t, coreName, syscall.SIGKILL))
	}
	logTimes(t, "from the kill to an answer", outages)
}

func (g *guest) outage(t *testing.T, name string, signal syscall.Signal) time.Duration {
	t.Helper()
	d, err := g.Outage(limit(t, stepLimit), name, int(signal), 0)
	require.NoError(t, err)
	return d
}

func logTimes(t *testing.T, what string, times []time.Duration) {
	t.Helper()
	slices.Sort(times)
	at := func(percent int) time.Duration { return times[(len(times)-1)*percent/100].Round(time.Millisecond) }
	t.Logf("%s, %d times: p50 %v, p99 %v, max %v", what, len(times), at(50), at(99), at(100))
}

// stopLimit is how long a stopped core may go unnoticed while somebody waits for it, with the start of the next one on this machine.
const stopLimit = 20 * time.Second

func coreStopped(t *testing.T, g *guest) {
	var outages []time.Duration
	for range 3 {
		d := g.outage(t, coreName, syscall.SIGSTOP)
		require.Less(t, d, stopLimit, "from SIGSTOP to an answer of the next core")
		outages = append(outages, d)
	}
	logTimes(t, "from SIGSTOP to an answer", outages)
}

func coreReplaced(t *testing.T, g *guest) {
	old := g.one(t, coreName)
	t.Log(g.do(t, "upgrade", "core", vmtest.NextCorePath))
	require.NotEqual(t, old, g.one(t, coreName))
	awaitCore(t, g)
}

// coreRolledBack upgrades to a core that passes for a good one until it is to take over.
func coreRolledBack(t *testing.T, g *guest) {
	for _, path := range [...]string{vmtest.DyingCorePath, vmtest.HangingCorePath} {
		out, exit := g.control(limit(t, stepLimit), "upgrade", "core", path)
		t.Log(out)
		require.NotZero(t, exit, "the upgrade to %s: %s", path, out)
		awaitCore(t, g)
	}
}

func initAnew(t *testing.T, g *guest) {
	const times = 20
	for range times {
		require.NoError(t, g.Kill(limit(t, stepLimit), 1, int(syscall.SIGTERM)))
		awaitCore(t, g)
	}
	// The last signal's core may still be going, and the request with it.
	until(t, stepLimit, "an upgrade of init", func(ctx context.Context) (bool, string) {
		out, exit := g.control(ctx, "upgrade", "init", vmtest.NextInitPath)
		t.Log(out)
		return exit == 0, out
	})
	require.Contains(t, g.do(t, "version"), "Init: next")
	awaitCore(t, g)
}

// tortured runs the kit that users have.
func tortured(t *testing.T, g *guest) {
	r, err := g.Run(limit(t, 3*time.Minute), vmtest.TorturePath, "--rounds", "30", "--services", "20")
	require.NoError(t, err)
	t.Log(r.Stdout)
	require.Zero(t, r.Exit, r.Stdout+r.Stderr)
}

// one gives the process with a name, which there must be one of.
func (g *guest) one(t *testing.T, comm string) int {
	t.Helper()
	pid := 0
	until(t, stepLimit, "one "+comm, func(ctx context.Context) (bool, string) {
		procs, err := g.Procs(ctx)
		if err != nil {
			return false, err.Error()
		}
		n := 0
		for _, p := range procs {
			if p.Comm == comm && p.State != "Z" {
				n, pid = n+1, p.PID
			}
		}
		return n == 1, fmt.Sprint(n, " processes")
	})
	return pid
}
