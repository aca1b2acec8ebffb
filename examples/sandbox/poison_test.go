package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// buildVenomous replaces the core in dir by one whose services it can die of: the reference core with one
// file more, and its kind of services wrapped.
func buildVenomous(t *testing.T, dir string) {
	t.Helper()
	core, err := filepath.Abs("../sysmaster/core")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(core, "files.go"))
	if err != nil {
		t.Fatal(err)
	}
	const plain = "service.Type(service.Options{AllowDegraded: allowDegraded})"
	wrapped := strings.Replace(string(text), plain, "venomous("+plain+")", 1)
	if wrapped == string(text) {
		t.Fatal("the core does not make its services as this test thinks")
	}
	tmp := t.TempDir()
	if err := os.WriteFile(filepath.Join(tmp, "files.go"), []byte(wrapped), 0o600); err != nil {
		t.Fatal(err)
	}
	venom, err := filepath.Abs("testdata/venom/venom.go")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(core, "files.go"): filepath.Join(tmp, "files.go"),
		filepath.Join(core, "venom.go"): venom,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tmp, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(tmp, "overlay.json"), "-o", filepath.Join(dir, "sysmaster-core"), core)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

// poisonScript lets the core die of the exit of a control process, three times, and looks what becomes of it.
// The service's main process, and everything else, must not notice.
const poisonScript = `
printf '[Service]\nExecStart=/bin/sleep 1000\nExecReload=/bin/sh -c "exit $$(cat /run/venom)"\n' >/etc/systemd/system/bad.service
sctl start bad.service || exit 1
pids() { sctl show -p MainPID --value $1; }
bad=$(pids bad.service) tick=$(pids ticker.service)
echo %d >/run/venom
sctl reload bad.service >/dev/null 2>&1 &
until [ "$(sctl show -p SubState --value bad.service 2>/dev/null)" = quarantined ]; do sleep 0.1; done
kill -0 $bad && echo "main lives"
[ "$(pids ticker.service)" = $tick ] && echo "ticker lives"
sctl list-units --failed --no-legend
sctl status bad.service
sctl start bad.service 2>&1
p=$(pidof sysmaster-core); kill -9 $p; until q=$(pidof sysmaster-core) && [ $q != $p ] && sctl show bad.service >/dev/null 2>&1; do sleep 0.05; done
sctl show -p SubState --value bad.service
echo 0 >/run/venom
sctl reset-failed bad.service
until [ "$(sctl show -p ActiveState --value bad.service)" = active ]; do sleep 0.1; done
[ "$(pids bad.service)" = $bad ] && echo "main is back"
sctl reload bad.service && echo "reload works"
sctl stop bad.service && ! kill -0 $bad 2>/dev/null && echo "stop works"
`

// TestPoison: a real core dies of a real process's exit, in each way that Go knows, and init starts the next. After
// three deaths the service is left alone.
func TestPoison(t *testing.T) {
	if testing.Short() {
		t.Skip("kills and hangs many cores")
	}
	dir := build(t)
	buildVenomous(t, dir)
	for status, name := range map[int]string{71: "throw", 72: "livelock", 73: "deadlock", 74: "memory", 75: "stack"} {
		t.Run(name, func(t *testing.T) {
			if strings.HasSuffix(name, "lock") {
				t.Parallel() // init notices a core that hangs by the clock
			}
			out, errs, code := sandboxed(t, dir, os.Getuid(), "--", "/bin/sh", "-c", fmt.Sprintf(poisonScript, status))
			for _, want := range []string{
				"main lives\n", "ticker lives\n", "bad.service", "quarantined: the manager died 3 times handling Exited; reset-failed lifts it",
				"it is quarantined", "\nquarantined\n", "main is back\n", "reload works\n", "stop works\n",
			} {
				if !strings.Contains(out, want) {
					t.Errorf("no %q", want)
				}
			}
			if code != 0 || t.Failed() {
				t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
			}
		})
	}
}
