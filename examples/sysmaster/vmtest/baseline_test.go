package vmtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest"
)

// TestSystemdBaseline proves the machine, the image and the assertions themselves: what sysMaster must do on this server, the systemd that
// it replaces does.
func TestSystemdBaseline(t *testing.T) {
	needVM(t)
	g := boot(t, buildImage(t, nil), vmtest.SystemdPath, "systemctl")
	g.awaitBoot(t)
	require.Equal(t, "1", g.final(t)["processes cron"])
	runCases(t, g, serverCases())
	runCases(t, g, clientCases())
	runCases(t, g, restartCases(killMain))
	g.end(t, vmtest.EndPoweroff, "systemctl", "poweroff")
	g.checkCounts(t, "start", "started")
	g.checkCounts(t, "stop", "stopped")
}
