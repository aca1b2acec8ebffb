package vmtest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest"
	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest/image"
)

// Limits, generous: an emulated machine beside other work is slow, and what is tested is not speed.
const (
	bootLimit     = 3 * time.Minute
	stepLimit     = time.Minute
	poweroffLimit = 2 * time.Minute // systemctl first waits twice 25 s for a log-in manager on the bus
	machineLife   = 15 * time.Minute
)

// needVM skips a test that boots machines unless it was asked for.
func needVM(t *testing.T) {
	t.Helper()
	if os.Getenv("SYSMASTER_VM") != "1" {
		t.Skip("boots virtual machines for minutes, as root, with qemu and debootstrap: run make vm (SYSMASTER_VM=1)")
	}
}

// moduleDir is the folder with go.mod.
func moduleDir(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		require.NotEqual(t, "/", dir, "no go.mod above the test")
		dir = filepath.Dir(dir)
	}
}

// buildImage makes the server's image, with or without our programs.
func buildImage(t *testing.T, programs []image.Program) image.Image {
	t.Helper()
	dir := moduleDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	start := time.Now()
	img, err := image.Build(ctx, image.Spec{
		Module: dir, Cache: filepath.Join(dir, ".cache", "vm"),
		Programs: programs, Files: vmtest.ServerFiles(), Log: func(line string) { t.Log(line) },
	})
	require.NoError(t, err)
	t.Logf("image ready after %.1f s: %s", time.Since(start).Seconds(), img.Packages[len(img.Packages)-1])
	var masked []string
	for unit, reason := range vmtest.ServerMasks() {
		masked = append(masked, fmt.Sprintf("%s (%s)", unit, reason))
	}
	slices.Sort(masked)
	t.Logf("masked units:\n  %s", strings.Join(masked, "\n  "))
	return img
}

// guest is a machine under test with the client that controls its init.
type guest struct {
	*vmtest.Machine
	ctl      string // the client's name: systemctl or sctl
	started  time.Time
	handover time.Time // when the agent said that the init is about to start
}

// boot starts a machine that is killed at the test's end, and shows the end of its console when the test failed.
func boot(t *testing.T, img image.Image, init, ctl string) *guest {
	t.Helper()
	started := time.Now()
	m, err := vmtest.Start(vmtest.Config{Image: img, Init: init, Dir: t.TempDir(), Keep: true, Life: machineLife})
	require.NoError(t, err)
	t.Cleanup(func() {
		m.Close()
		if t.Failed() {
			t.Logf("end of the console:\n%s", m.Console.Tail(16000))
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	require.NoError(t, m.AwaitAgent(ctx))
	t.Logf("hand-over %.1f s after the start of the machine", time.Since(started).Seconds())
	return &guest{Machine: m, ctl: ctl, started: started, handover: time.Now()}
}

// limit gives a context for one step of a test.
func limit(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// until asks again and again until ok gives true, and fails when that takes too long. The last reason is part of the failure.
func until(t *testing.T, d time.Duration, what string, ok func(ctx context.Context) (bool, string)) {
	t.Helper()
	ctx := limit(t, d)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	reason := ""
	for {
		good, why := ok(ctx)
		if good {
			return
		}
		if ctx.Err() == nil || reason == "" {
			reason = why
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			require.FailNow(t, "waited in vain", "for %s; last: %s", what, reason)
		}
	}
}

// control runs the client and gives what it printed and its exit status; a client that could not be run counts as status -1.
func (g *guest) control(ctx context.Context, args ...string) (string, int) {
	r, err := g.Run(ctx, append([]string{g.ctl}, args...)...)
	if err != nil {
		return err.Error(), -1
	}
	return strings.TrimSpace(r.Stdout + r.Stderr), r.Exit
}

// do runs the client, which must succeed within a step's limit.
func (g *guest) do(t *testing.T, args ...string) string {
	t.Helper()
	out, exit := g.control(limit(t, stepLimit), args...)
	require.Zero(t, exit, "%s %s: %s", g.ctl, strings.Join(args, " "), out)
	return out
}

// property gives one property of a unit.
func (g *guest) property(t *testing.T, unit, name string) string {
	t.Helper()
	return g.do(t, "show", "-p", name, "--value", unit)
}

// awaitBoot waits until multi-user.target is active and no job is left.
func (g *guest) awaitBoot(t *testing.T) {
	t.Helper()
	until(t, bootLimit, "multi-user.target", func(ctx context.Context) (bool, string) {
		if out, exit := g.control(ctx, "is-active", "multi-user.target"); exit != 0 {
			return false, out
		}
		out, exit := g.control(ctx, "list-jobs", "--no-legend")
		return exit == 0 && (out == "" || strings.HasPrefix(out, "No jobs")), out
	})
	t.Logf("multi-user.target active and no job left %.1f s after the start of the machine", time.Since(g.started).Seconds())
}

// end gives the command that shall end the machine and waits until it did, for the given reason. The command's own answer is lost when
// it comes after its client was killed, so only the end counts.
func (g *guest) end(t *testing.T, reason string, argv ...string) {
	t.Helper()
	start := time.Now()
	ctx := limit(t, poweroffLimit)
	answer := make(chan string, 1)
	go func() {
		r, err := g.Run(ctx, argv...)
		if errors.Is(err, vmtest.ErrGone) {
			answer <- "no answer before the end"
			return
		}
		answer <- fmt.Sprintf("%+v %v", r, err)
	}()
	got, err := g.Await(ctx)
	if err != nil {
		g.Close()
		require.NoError(t, err, "%v: %s", argv, <-answer)
	}
	require.Equal(t, reason, got, "%v: %s", argv, <-answer)
	require.NotContains(t, g.Console.Text(), "Kernel panic")
	t.Logf("%s ended the machine in %.1f s", strings.Join(argv, " "), time.Since(start).Seconds())
	require.NoError(t, vmtest.CheckDisk(limit(t, stepLimit), g.Disk))
}

// checkCounts asserts, on the disk of an ended machine, that each counting unit ran its commands exactly once.
func (g *guest) checkCounts(t *testing.T, suffix, want string) {
	t.Helper()
	for i := 1; i <= vmtest.Counted; i++ {
		got, err := vmtest.ReadDisk(limit(t, stepLimit), g.Disk, fmt.Sprintf("/var/lib/count/%d.%s", i, suffix))
		require.NoError(t, err)
		require.Equal(t, want+"\n", got, "runs of count@%d.service's %s command", i, suffix)
	}
}
