package pid1

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/init/keep"
	"github.com/sysmaster-go/sysmaster/init/process"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// behaveAsCore is how bad cores differ from a good one.
func behaveAsCore(how string) {
	trial := os.Getenv(handover.EnvRole) == fdstore.RoleTrial
	switch {
	case how == "exits" && trial:
		os.Exit(7)
	case how == "hangs" && trial:
		forever()
	case how == "killed" && trial:
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	}
}

// Every other core costs nothing: the services, the descriptors and the old core come back.
func TestSuccession(t *testing.T) {
	dir := t.TempDir()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"exits", "hangs", "killed", "late", "good"} {
		if err := os.Symlink(copyWith(t, own, word), filepath.Join(dir, word)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("not a program\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	m := bootProgram(t, own, "cores", false, envFiles+"="+dir)
	m.ends(23)
}

// successions is the order in which the cores of the scenario ask for their successors.
var successions = []struct {
	name   string
	kill   bool // the asking core is killed instead of ending in order
	result fdstore.Result
	reason string
	runs   string        // the trailer of the program that runs then
	cause  fdstore.Cause // that it is told of
}{
	{"exits", false, fdstore.ResultRolledBack, "died on trial, before it reported healthy: exit status 7", "", fdstore.CauseTrial},
	{"hangs", false, fdstore.ResultRolledBack, "hung on trial: it did not report healthy", "", fdstore.CauseTrialHang},
	{"killed", true, fdstore.ResultRolledBack, "signal 9 (SIGKILL)", "", fdstore.CauseTrial},
	{"text", false, fdstore.ResultRolledBack, "exec format error", "", fdstore.CauseTrial},
	{"late", false, fdstore.ResultRolledBack, "within its probation: crash, exit status 2", "", fdstore.CauseProbation},
	{"good", true, fdstore.ResultAdopted, "", "good", fdstore.CauseReplaced},
	{"exits", false, fdstore.ResultRolledBack, "exit status 7", "good", fdstore.CauseTrial},
}

// coreCores is one core after the other. Which upgrade is due stands in what init keeps.
func coreCores(b *testbed) {
	trial := os.Getenv(handover.EnvRole) == fdstore.RoleTrial
	b.must(b.Healthy("v" + trailer()))
	if trial {
		b.await(fdstore.KindAdopted)
		if unix.Kill(b.kept.Service, 0) != nil {
			b.fail("the service is gone")
		}
	}
	if trailer() == "late" { // on its own it is no good
		os.Exit(2)
	}
	b.must(b.Alive(1, false))
	due := len(b.kept.Notes)
	if due == 0 {
		b.kept.Service = b.children(1, "exec sleep 1000")[0]
	} else {
		want := successions[due-1]
		u := b.await(fdstore.KindOutcome).Upgrade
		if u.ID != uint64(due) || u.Result != want.result || !strings.Contains(u.Reason, want.reason) || trailer() != want.runs {
			b.fail("after %s: %+v, and %q runs", want.name, u, trailer())
		}
		if b.welcome.Cause != want.cause {
			b.fail("after %s the cause is %v; want %v", want.name, b.welcome.Cause, want.cause)
		}
		// The same request once more is not done: what came of it is said again.
		same, err := unix.Open(filepath.Join(os.Getenv(envFiles), "good"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		b.must(err)
		b.must(b.Upgrade(u.ID, fdstore.TargetCore, "again", same))
		if again := b.await(fdstore.KindOutcome).Upgrade; again != u {
			b.fail("after %s, asked again: %+v; want %+v", want.name, again, u)
		}
		if about := b.await(fdstore.KindAbout).About; about.Held != (due >= 6) || want.name == "good" && (about.Probation <= 0 || about.Previous != "v") {
			b.fail("after %s: %+v", want.name, about)
		}
		if unix.Kill(b.kept.Service, 0) != nil {
			b.fail("the service is gone")
		}
		fmt.Println(want.name, "gives", u.Result, u.Reason)
	}
	if due == len(successions) {
		b.exit(23)
	}
	next := successions[due]
	fd, err := unix.Open(filepath.Join(os.Getenv(envFiles), next.name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	b.must(err)
	b.must(b.Upgrade(uint64(due+1), fdstore.TargetCore, "v"+next.name, fd))
	b.kept.Notes = append(b.kept.Notes, next.name)
	b.save()
	for b.Pending() > 0 {
		b.must(b.Flush())
	}
	if next.kill {
		b.die(syscall.SIGKILL)
	}
	os.Exit(0)
}

// A core that asks for a successor and stays gets its answer, and goes on.
func TestAskingCoreThatStays(t *testing.T) {
	m := boot(t, "stays", false)
	m.ends(24)
}

func coreStays(b *testbed) {
	if b.welcome.Generation > 1 {
		b.fail("it was replaced")
	}
	b.must(b.Alive(1, false))
	fd, err := unix.Open("/bin/true", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	b.must(err)
	began := time.Now()
	b.must(b.Upgrade(1, fdstore.TargetCore, "x", fd))
	b.must(b.Upgrade(2, fdstore.TargetCore, "y", fd))
	if u := b.await(fdstore.KindOutcome).Upgrade; u.ID != 2 || u.Result != fdstore.ResultRefused {
		b.fail("the second request: %+v", u)
	}
	if u := b.await(fdstore.KindOutcome).Upgrade; u.ID != 1 || u.Result != fdstore.ResultRefused || time.Since(began) < time.Second {
		b.fail("the first request: %+v after %v", u, time.Since(began))
	}
	b.exit(24)
}

// A core that speaks only version 1 hears nothing that it does not know.
func TestOldCoreHearsNothingNew(t *testing.T) {
	k := &keeper{store: keep.NewFDs(1), exits: keep.NewExits(4)}
	k.cfg.Signals = new(process.Signals)
	k.core.Welcomed, k.core.Complete, k.core.Version = true, true, 1
	k.Outcome = fdstore.Upgrade{Target: fdstore.TargetInit, Result: fdstore.ResultAdopted}
	if m, sent := k.nextMessage(time.Now()); sent != nil {
		t.Errorf("nextMessage = %+v for a core of version 1", m)
	}
	k.core.Version = 2
	if m, _ := k.nextMessage(time.Now()); m.Kind != fdstore.KindOutcome {
		t.Errorf("nextMessage = %+v for a core of version 2; want Outcome", m)
	}
}
