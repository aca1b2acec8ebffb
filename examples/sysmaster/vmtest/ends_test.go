package vmtest_test

import (
	"context"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest"
)

// TestReboot restarts the machine through the unmodified systemctl, and with a core that cannot start any more: PID 1 alone must then still
// take the machine down cleanly.
func TestReboot(t *testing.T) {
	needVM(t)
	img := buildImage(t, vmtest.Programs())
	for _, c := range []struct {
		name   string
		broken bool
		argv   []string
	}{
		{"systemctl reboot", false, []string{"systemctl", "reboot"}},
		{"sctl reboot without a core", true, []string{"sctl", "reboot"}},
		{"SIGRTMIN+5 without a core", true, []string{"sh", "-c", "kill -s RTMIN+5 1"}}, // systemd(1), SIGNALS: reboot
	} {
		t.Run(c.name, func(t *testing.T) {
			g := boot(t, img, vmtest.InitPath, "sctl")
			g.awaitBoot(t)
			if c.broken {
				breakCore(t, g)
			}
			g.end(t, vmtest.EndReboot, c.argv...)
			g.checkCounts(t, "start", "started")
		})
	}
}

// TestHalt stops the machine without switching it off; QEMU goes on then, so the end is the kernel's word on the console.
func TestHalt(t *testing.T) {
	needVM(t)
	g := boot(t, buildImage(t, vmtest.Programs()), vmtest.InitPath, "sctl")
	g.awaitBoot(t)
	ctx := limit(t, poweroffLimit)
	go g.Run(ctx, "sctl", "halt") // its answer is lost with its agent
	require.NoError(t, g.Console.Await(ctx, 0, "reboot: System halted"))
	g.Close()
	require.NoError(t, vmtest.CheckDisk(limit(t, stepLimit), g.Disk))
	g.checkCounts(t, "stop", "stopped")
}

// breakCore kills the core and makes its file unusable, whatever name or descriptor leads to it. The kernel refuses to write to a file
// that is being executed (ETXTBSY), so it is tried again until the moment between two cores is met.
func breakCore(t *testing.T, g *guest) {
	t.Helper()
	until(t, stepLimit, "the core's file overwritten", func(ctx context.Context) (bool, string) {
		if _, err := g.KillNamed(ctx, coreName, int(syscall.SIGKILL)); err != nil {
			return false, err.Error()
		}
		r, err := g.Run(ctx, "sh", "-c", "echo broken > "+vmtest.CorePath)
		return err == nil && r.Exit == 0, r.Stderr
	})
	until(t, stepLimit, "no core", func(ctx context.Context) (bool, string) {
		pids, err := g.KillNamed(ctx, coreName, 0)
		return err == nil && len(pids) == 0, ""
	})
}
