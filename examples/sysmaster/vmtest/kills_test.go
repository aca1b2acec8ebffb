package vmtest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest"
)

// coreKills is how often the core is killed during one boot, and at most during one shutdown.
const coreKills = 20

// newRandom gives the random moments, from a new seed or from the one in VMTEST_SEED, and prints the seed. The moments are repeated by
// it; what the guest is doing then is not quite.
func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text, ok := os.LookupEnv("VMTEST_SEED"); ok {
		given, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		seed = given
	}
	t.Logf("VMTEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// pause waits for d; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// coreLife is the longest that a core may live in the tests that kill it: long enough here, where it starts in a third of a second, for some of
// its moments to be in recovery, some in the work of the boot and some after it.
const coreLife = 1500 * time.Millisecond

// lastLife is the same for the shutdown, which would be over before a second core died: most of these die in their recovery.
const lastLife = 250 * time.Millisecond

// killsDuringBoot kills coreKills cores in a row, from the hand-over on, each at a random moment of its life.
func killsDuringBoot(t *testing.T, g *guest, random *rand.Rand) {
	t.Helper()
	ctx := limit(t, bootLimit)
	for range coreKills {
		require.True(t, pause(ctx, time.Duration(random.Int64N(int64(coreLife)))))
		until(t, stepLimit, "a core to kill", func(ctx context.Context) (bool, string) {
			pids, err := g.KillNamed(ctx, coreName, int(syscall.SIGKILL))
			return err == nil && len(pids) > 0, ""
		})
	}
	took := time.Since(g.handover)
	done, err := g.Run(ctx, "sh", "-c", "cat /var/lib/count/*.start | wc -l")
	require.NoError(t, err)
	t.Logf("core killed %d times in the first %.1f s; %s of %d counting units had run by then",
		coreKills, took.Seconds(), done.Stdout, vmtest.Counted)
}

// killsDuringShutdown asks for a power-off and kills the core at random moments until the machine is gone.
func killsDuringShutdown(t *testing.T, g *guest, random *rand.Rand) {
	t.Helper()
	type outcome struct {
		killed int
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		killed, err := killUntilGone(t.Context(), g, random)
		done <- outcome{killed, err}
	}()
	g.end(t, vmtest.EndPoweroff, "sh", "-c", "until sctl poweroff; do :; done") // again, when the core died before it took the request
	got := <-done
	require.NoError(t, got.err)
	t.Logf("core killed %d times during the shutdown", got.killed)
}

// killUntilGone kills the core at random moments until the machine is gone, at most coreKills times, and tells how often it did.
func killUntilGone(ctx context.Context, g *guest, random *rand.Rand) (int, error) {
	killed := 0
	for killed < coreKills && pause(ctx, time.Duration(random.Int64N(int64(lastLife)))) {
		asking, cancel := context.WithTimeout(ctx, stepLimit)
		pids, err := g.KillNamed(asking, coreName, int(syscall.SIGKILL))
		cancel()
		switch {
		case errors.Is(err, vmtest.ErrGone), errors.Is(err, context.DeadlineExceeded): // the agent ends with all other processes
			return killed, nil
		case err != nil:
			return killed, err
		}
		killed += len(pids)
	}
	return killed, ctx.Err()
}
