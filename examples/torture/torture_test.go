package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sysmaster-go/sysmaster/examples/sandbox/sandboxtest"
)

// sandboxed runs a script in a sandbox, in which $torture is this program.
func sandboxed(t *testing.T, dir, script string) (out, errs string, code int) {
	t.Helper()
	return sandboxtest.Run(t, dir, os.Getuid(), 4*time.Minute, "--timeout", "60s", "--", "/bin/sh", "-c", "torture=/opt/sysmaster/bin/torture; "+script)
}

// underAttack waits until a core was killed: by then it is known which processes run.
const underAttack = "until q=$(pidof sysmaster-core) && [ $q != $p ]; do sleep 0.05; done; "

// TestTorture attacks the real core twenty times among twenty services, in all ways.
func TestTorture(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("without control groups what a service leaves behind is found by its environment only; run it as root")
	}
	dir := sandboxtest.Programs(t)
	t.Run("nothing is lost", func(t *testing.T) {
		out, errs, code := sandboxed(t, dir, "$torture --rounds 20 --services 20 --attacks kill:8,storm:2,upgrade:2,corrupt:4,stop:1 --seed 12 --json; "+
			"code=$?; ls /run/systemd/system /run/torture 2>/dev/null | grep torture; exit $code")
		text, left := out, ""
		if i := strings.LastIndex(out, "}\n"); i >= 0 {
			text, left = out[:i+2], out[i+2:]
		}
		var r report
		if err := json.Unmarshal([]byte(text), &r); err != nil || code != exitClean {
			t.Fatalf("torture = %d, %v\n%s\n%s", code, err, out, errs)
		}
		if r.Rounds != 20 || r.Services != 20 || !r.Lost.none() || r.Answers == 0 || r.Jobs == 0 || r.Notes == 0 || r.MemoryAfter.PSS == 0 {
			t.Errorf("the report is %+v", r)
		}
		for _, a := range []attack{attackKill, attackStorm, attackUpgrade, attackCorrupt, attackStop} {
			if r.Recovery[a].N == 0 {
				t.Errorf("the seed chose no attack %q", a)
			}
		}
		if left != "" {
			t.Errorf("torture leaves behind: %s", left)
		}
	})
	t.Run("a loss is seen", func(t *testing.T) {
		out, errs, code := sandboxed(t, dir, "p=$(pidof sysmaster-core); $torture --rounds 30 --services 8 --churn 0 --attacks kill & "+underAttack+
			"kill -9 $(sed -n 's/^start \\([0-9]*\\) .*/\\1/p' /run/torture/log/torture-0000); wait $!")
		if code != exitLost || !strings.Contains(out, "torture-0000.service: notify service, none: process") {
			t.Errorf("torture = %d; want %d, and the service that was killed\n%s\n%s", code, exitLost, out, errs)
		}
	})
	t.Run("an interrupt cleans up", func(t *testing.T) {
		out, errs, code := sandboxed(t, dir, "p=$(pidof sysmaster-core); $torture --for 1h --services 8 & "+underAttack+
			"kill $!; wait $!; code=$?; "+
			"ls /run/systemd/system /run/torture 2>/dev/null | grep torture; sctl list-units --no-legend 'torture-*' | grep -v not-found; exit $code")
		if code != exitInterrupted || !strings.HasSuffix(out, "nothing was lost\n") {
			t.Errorf("torture = %d; want %d and nothing left\n%s\n%s", code, exitInterrupted, out, errs)
		}
	})
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"--rounds", "7", "--seed", "9", "--attacks", "kill:3,stop", "--json"}, io.Discard)
	if err != nil || o.rounds != 7 || o.seed != 9 || !o.json || o.attacks.String() != "kill:3,stop:1" {
		t.Errorf("parse = %+v, %v", o, err)
	}
	for _, bad := range [][]string{
		{"--services", "2"}, {"--churn", "101"}, {"--attacks", "kick"}, {"--attacks", "kill:x"}, {"--attacks", "kill:0"},
		{"--workers", "0"}, {"--rounds", "-1"}, {"more"}, {"--nonsense"},
	} {
		var said strings.Builder
		if _, err := parse(bad, &said); err == nil || said.Len() == 0 {
			t.Errorf("parse(%q) = %v and says %q; want an error that is said", bad, err, said.String())
		}
	}
	var help strings.Builder
	if _, err := parse([]string{"--help"}, &help); err == nil || !strings.Contains(help.String(), "Exit status") || !strings.Contains(help.String(), "-attacks") {
		t.Errorf("--help says %q", help.String())
	}
}

func TestFleetAndAttacksComeFromTheSeed(t *testing.T) {
	one, two, other := newRun(t, 5), newRun(t, 5), newRun(t, 6)
	same, differs := true, false
	for i := range one.fleet {
		same = same && one.fleet[i] == two.fleet[i]
		differs = differs || one.fleet[i] != other.fleet[i]
	}
	if !same || !differs {
		t.Errorf("same seed, same fleet: %v; another seed, another fleet: %v", same, differs)
	}
	a, b := one.rng(1), two.rng(1)
	for i := range 100 {
		if x, y := one.o.attacks.pick(a), two.o.attacks.pick(b); x != y {
			t.Fatalf("attack %d is %s and %s", i, x, y)
		}
	}
	for i, k := range kinds() {
		if one.fleet[i].kind != k {
			t.Errorf("service %d is %s; want one of each kind first", i, one.fleet[i].kind)
		}
	}
}

func newRun(t *testing.T, seed uint64) *bench {
	t.Helper()
	o, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	o.seed = seed
	b, err := newBench(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSpread(t *testing.T) {
	var list []time.Duration
	for i := 200; i > 0; i-- {
		list = append(list, time.Duration(i)*time.Millisecond)
	}
	if got, want := spread(list), (times{200, 100, 198, 200}); got != want {
		t.Errorf("spread = %+v; want %+v", got, want)
	}
	if got, want := spread(list[:1]), (times{1, 200, 200, 200}); got != want {
		t.Errorf("spread of one = %+v; want %+v", got, want)
	}
}

func TestReport(t *testing.T) {
	b := newRun(t, 1)
	b.times[attackKill] = []time.Duration{40 * time.Millisecond}
	b.ledger.add(finding{Loss: lostExit, Unit: "x.service", Text: "it went"})
	r := b.report()
	var text, js strings.Builder
	if err := errors.Join(r.print(&text, false), r.print(&js, true)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"exit lost                   1", "round 0: exit lost: x.service: it went", "kill                    1      40.0"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "nothing was lost") {
		t.Error("it says that nothing was lost")
	}
	var back report
	if err := json.Unmarshal([]byte(js.String()), &back); err != nil || back.Lost[lostExit] != 1 || back.Recovery[attackKill].P99 != 40 {
		t.Errorf("as JSON: %v, %+v", err, back)
	}
}

func TestParseRollup(t *testing.T) {
	m, err := parseRollup("00400000-7ffe ---p 00000000 00:00 0 [rollup]\nRss:  9000 kB\nPss:    8000 kB\nPss_Anon: 3 kB\nAnonymous:   5000 kB\n")
	if err != nil || m != (memory{5000, 8000}) {
		t.Errorf("parseRollup = %+v, %v", m, err)
	}
	if _, err := parseRollup("Pss: 1 kB\n"); err == nil {
		t.Error("parseRollup without Anonymous gives no error")
	}
}
