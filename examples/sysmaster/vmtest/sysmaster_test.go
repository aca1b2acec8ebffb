package vmtest_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest"
)

// coreName is the core's command name.
const coreName = "sysmaster-core"

// shutdownLimit is what a shutdown in which every service stops when it is told to may take here; systemd's takes two to three seconds.
const shutdownLimit = 20 * time.Second

// TestSysmaster boots the Debian server on our init: the servers run, both clients work, units follow their Restart=, with and without
// a core; then the core is killed at random moments of a boot and of a shutdown, and nothing differs.
func TestSysmaster(t *testing.T) {
	needVM(t)
	img := buildImage(t, vmtest.Programs())

	g := boot(t, img, vmtest.InitPath, "sctl")
	g.awaitBoot(t)
	reference := g.final(t)
	runCases(t, g, serverCases())
	t.Run("clients/sctl", func(t *testing.T) { runCases(t, g, clientCases()) })
	systemctl := *g
	systemctl.ctl = "systemctl"
	t.Run("clients/systemctl", func(t *testing.T) { runCases(t, &systemctl, clientCases()) })
	t.Run("main killed", func(t *testing.T) { runCases(t, g, restartCases(killMain)) })
	t.Run("main killed while the core hangs and dies", func(t *testing.T) { runCases(t, g, restartCases(killMainAndCore)) })
	t.Run("main killed just after the core", func(t *testing.T) { runCases(t, g, restartCases(killCoreThenMain)) })
	t.Run("connection made while the core is dead", func(t *testing.T) { connectWithoutCore(t, g) })
	start := time.Now()
	g.end(t, vmtest.EndPoweroff, "sctl", "poweroff")
	shutdownTime := time.Since(start)
	require.Less(t, shutdownTime, shutdownLimit, "time from sctl poweroff to the machine's end")
	g.checkCounts(t, "start", "started")
	g.checkCounts(t, "stop", "stopped")

	t.Run("core killed at random moments", func(t *testing.T) {
		random := newRandom(t)
		g := boot(t, img, vmtest.InitPath, "sctl")
		killsDuringBoot(t, g, random)
		g.awaitBoot(t)
		require.Equal(t, reference, g.final(t), "units and servers' processes after a boot with a killed core")
		runCases(t, g, serverCases())
		killsDuringShutdown(t, g, random)
		g.checkCounts(t, "start", "started")
		g.checkCounts(t, "stop", "stopped")
	})
}

// final is the state that a boot ends in: the units that are not inactive, and how many processes each server has. Whether an inactive unit
// is still loaded is nobody's promise.
func (g *guest) final(t *testing.T) map[string]string {
	t.Helper()
	state := map[string]string{}
	for unit, is := range g.units(t) {
		if !strings.Contains(is, " inactive ") {
			state[unit] = is
		}
	}
	procs, err := g.Procs(limit(t, stepLimit))
	require.NoError(t, err)
	count := map[string]int{}
	for _, p := range procs {
		count[p.Comm]++
	}
	for _, comm := range [...]string{"cron", "dbus-daemon", "nginx", "sshd"} {
		state["processes "+comm] = fmt.Sprint(count[comm])
	}
	return state
}

// signalCore gives the ids of the cores that it reached: none when a new one is not there yet.
func signalCore(t *testing.T, g *guest, s syscall.Signal) []int {
	t.Helper()
	pids, err := g.KillNamed(limit(t, stepLimit), coreName, int(s))
	require.NoError(t, err)
	return pids
}

// awaitCore waits until a core runs and answers.
func awaitCore(t *testing.T, g *guest) {
	t.Helper()
	until(t, stepLimit, "a core", func(ctx context.Context) (bool, string) {
		out, exit := g.control(ctx, "is-active", "multi-user.target")
		return exit == 0, out
	})
}

// killMainAndCore kills a main process while the core is stopped, and then the core: it dies without having noticed.
func killMainAndCore(t *testing.T, g *guest, pid int) {
	t.Helper()
	awaitCore(t, g)
	require.Len(t, signalCore(t, g, syscall.SIGSTOP), 1)
	killMain(t, g, pid)
	require.Len(t, signalCore(t, g, syscall.SIGKILL), 1)
}

// killCoreThenMain kills the core, and the main process before a new core can be up.
func killCoreThenMain(t *testing.T, g *guest, pid int) {
	t.Helper()
	awaitCore(t, g)
	require.Len(t, signalCore(t, g, syscall.SIGKILL), 1)
	killMain(t, g, pid)
}

// connectWithoutCore connects to dbus.socket with the service stopped and the core hanging, then kills the core: the connection is in the
// queue of a socket that PID 1 keeps, and the next core starts the service that answers it.
func connectWithoutCore(t *testing.T, g *guest) {
	t.Helper()
	g.do(t, "stop", "dbus.service")
	awaitCore(t, g)
	before := dbusSockets(t, g)
	require.Len(t, signalCore(t, g, syscall.SIGSTOP), 1)
	type reply struct {
		text string
		err  error
	}
	answer := make(chan reply, 1)
	ctx := limit(t, 2*stepLimit)
	go func() {
		text, err := g.Dial(ctx, "unix", dbusSocket, dbusHello)
		answer <- reply{text, err}
	}()
	until(t, stepLimit, "the connection in the socket's queue", func(context.Context) (bool, string) {
		return dbusSockets(t, g) > before, ""
	})
	require.Len(t, signalCore(t, g, syscall.SIGKILL), 1)
	got := <-answer
	require.NoError(t, got.err)
	require.True(t, strings.HasPrefix(got.text, "OK "), "dbus-daemon's answer %q", got.text)
	isActive("dbus.service")(t, g)
}

// dbusSockets counts the sockets with dbus's path: the listening one and each connection made to it.
func dbusSockets(t *testing.T, g *guest) int {
	t.Helper()
	text, err := g.Read(limit(t, stepLimit), "/proc/net/unix")
	require.NoError(t, err)
	return strings.Count(text, dbusSocket)
}
