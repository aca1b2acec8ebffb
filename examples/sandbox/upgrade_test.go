package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goBuild builds one program into dir.
func goBuild(t *testing.T, dir, name, source, ldflags string, more ...string) {
	t.Helper()
	args := append([]string{"build", "-ldflags", ldflags, "-o", filepath.Join(dir, name)}, more...)
	cmd := exec.Command("go", append(args, source)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", source, err, out)
	}
}

// others adds the programs that the sandbox is asked to go over to.
func others(t *testing.T, dir string) {
	t.Helper()
	if out, err := exec.Command("sh", "../../init/process/overlay.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("overlay.sh: %v\n%s", err, out)
	}
	overlay := []string{"-overlay", filepath.Join(dir, "overlay.json")}
	goBuild(t, dir, "sysmaster-init", "../sysmaster/init", "-X main.version=one", overlay...)
	goBuild(t, dir, "init-two", "../sysmaster/init", "-X main.version=two", overlay...)
	goBuild(t, dir, "sysmaster-core", "../sysmaster/core", "-X main.version=one")
	goBuild(t, dir, "core-two", "../sysmaster/core", "-X main.version=two")
	for _, how := range []string{"preflight-exits", "preflight-hangs", "preflight-cannot", "trial-exits", "trial-hangs"} {
		goBuild(t, dir, how, "./testdata/other", "-X main.how="+how)
	}
	b, err := os.ReadFile(filepath.Join(dir, "core-two"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	b[18] ^= 0x55 // e_machine (elf(5))
	for name, text := range map[string][]byte{"alien": b, "text": []byte("#!/bin/sh\nexit 0\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

const upgradeHelp = `
bin=/opt/sysmaster/bin
no() { # WHAT PROGRAM REASON: it is not exchanged, and says why
	sctl upgrade $1 $2 >/tmp/out 2>&1 && fail "$1 $2 was taken: $(cat /tmp/out)"
	grep -q "$3" /tmp/out || fail "$1 $2: $(cat /tmp/out)"
	same; sctl list-units >/dev/null || fail "the API does not answer after $1 $2"
}
yes_() { # WHAT PROGRAM TEXT
	sctl upgrade $1 $2 >/tmp/out 2>&1 || fail "$1 $2: $(cat /tmp/out)"
	grep -q "$3" /tmp/out || fail "$1 $2: $(cat /tmp/out)"
	same; sctl list-units >/dev/null || fail "the API does not answer after $1 $2"
}
has() { sctl version >/tmp/version 2>&1; grep -q "$1" /tmp/version || fail "no $1 in: $(cat /tmp/version)"; }
`

// TestUpgrade exchanges core and init of a running machine for good and for bad programs. In no case
// does a service notice, and the manager answers again.
func TestUpgrade(t *testing.T) {
	dir := build(t)
	others(t, dir)
	for _, c := range []struct{ name, script string }{
		{"core", `
has "Core: one"
yes_ core $bin/core-two "upgraded from version one to two"
has "Core: two"; has "Previous: one, held"
sctl daemon-reexec; same; has "Core: two"
yes_ core $bin/sysmaster-core "upgraded from version two to one"
has "Core: one"; has "Previous: two"`},
		{"refused", `
no core $bin/missing "no such file"
no core $bin/text "not a program in ELF"
no core $bin/plain "not executable"
no core $bin/alien "another architecture"
no core /bin/sh "not a program that can take over"
no core /etc "not a regular file"
no core $bin/preflight-exits "preflight failed"
no core $bin/preflight-cannot "cannot read the state of 3 units"
no init $bin/missing "no such file"
no init /bin/sh "not a program that can take over"
no init $bin/alien "another architecture"
no init $bin/preflight-exits "exit status 7"
has "Core: one"`},
		{"hanging preflights", `
no core $bin/preflight-hangs "did not end"
no init $bin/preflight-hangs "did not end"`},
		{"rolled back", `
no core $bin/trial-exits "rolled back.*exit status 7"
has "Core: one"
no core $bin/trial-hangs "rolled back.*did not report healthy"
has "Core: one"`},
		{"init", `
fds() { ls -l /proc/1/fd | wc -l; }
count=$(fds)
yes_ init $bin/init-two "upgraded from version one to two"
has "Init: two"
yes_ init $bin/sysmaster-init "upgraded from version two to one"
p=$(pidof sysmaster-core); i=0
again() { kill -TERM 1; i=$((i+1)); other() { q=$(pidof sysmaster-core) && [ "$q" != $p ] && sctl list-units; }; until_ other; p=$q; }
again; again; again
has "Init: one"
[ $(fds) -le $((count+3)) ] || fail "descriptors leak: $count became $(fds): $(ls -l /proc/1/fd)"
[ "$(cat /proc/1/comm)" = sysmaster-init ] || fail "it is called $(cat /proc/1/comm)"
for p in 1 $(pidof sysmaster-core) $(sctl show -p MainPID --value ticker.service); do
	# one thread of a Go program's blocks most: that of os/signal
	[ $p = 1 ] || grep -q 'SigBlk:.0000000000000000' /proc/$p/task/*/status || fail "process $p has signals blocked: $(cat /proc/$p/status)"
done
newcore`},
		{"replaced on disk", `
cp $bin/sysmaster-core /run/old && cp $bin/core-two /run/new
p=$(pidof sysmaster-core)
sctl daemon-reexec; same; has "Core: one"
newcore; has "Core: one"`},
		{"killed at any moment", `
v=two; p=core-two
for d in 0 0.01 0.02 0.04 0.06 0.08 0.1 0.15 0.2 0.3 0.5; do
	sctl upgrade core $bin/$p >/tmp/out 2>&1 & u=$!
	sleep $d; kill -KILL $(pidof sysmaster-core)
	if wait $u; then # whoever was killed: the answer is true, and there is one
		has "Core: $v"
		if [ $v = two ]; then v=one; p=sysmaster-core; else v=two; p=core-two; fi
	else
		grep -q "rolled back.*SIGKILL" /tmp/out || fail "after $d: $(cat /tmp/out)"
	fi
	until_ sctl list-units; same
done`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, errs, code := sandboxed(t, dir, users()[0], "--", "/bin/sh", "-c", storeHelp+upgradeHelp+c.script+works)
			if code != 0 || !strings.HasSuffix(out, "good\n") {
				t.Errorf("sandbox exits %d, %s\n%s", code, out, errs)
			}
		})
	}
}
