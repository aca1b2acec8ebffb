package main

import (
	"strings"
	"testing"
)

// rescueScript kills the core as if it had crashed by itself, over nothing that could be quarantined, until init gives
// it up and starts the one that is to rescue.
const rescueScript = `
printf '[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\n' >/etc/systemd/system/rescue.target
tick=$(sctl show -p MainPID --value ticker.service)
until sctl is-active --quiet rescue.target 2>/dev/null; do
	p=$(pidof sysmaster-core) && [ "$p" != "$last" ] && sctl show >/dev/null 2>&1 && kill -ABRT $p && last=$p
	sleep 0.05
done
kill -0 $tick && echo "ticker lives"
sctl list-units --all --no-legend
sctl status | grep Trouble
if [ -e /sys/fs/cgroup/system.slice ]; then
	sctl status ticker.service
	# Its group is empty before init has reaped it: of a core that knew nothing of the process nobody waits for that.
	sctl stop ticker.service && ! grep -qs 'State:.[^Z]' /proc/$tick/status && echo "stop works"
	sctl reset-failed family.service && sctl start family.service && echo "start works" # it has no Restart=
	sctl start ticker.service; until sctl is-active --quiet ticker.service; do sctl status ticker.service; sleep 0.5; done; sctl is-active ticker.service
fi
p=$(pidof sysmaster-core); kill -9 $p; until q=$(pidof sysmaster-core) && [ $q != $p ] && sctl show >/dev/null 2>&1; do sleep 0.05; done
sctl is-active rescue.target
ls /run/sysmaster/state/ | grep -c ^aside.1.log
`

// TestRescue: beyond init's budget there is a core that knows nothing of before, and services that run on.
func TestRescue(t *testing.T) {
	dir := build(t)
	for _, uid := range users() {
		out, errs, code := sandboxed(t, dir, uid, "--", "/bin/sh", "-c", rescueScript)
		want := []string{"ticker lives\n", "\nactive\n", "Trouble: this is the rescue"}
		if uid == 0 {
			want = append(want, "set aside", "stop works\n", "start works\n", "active\nactive\n")
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("user %d: no %q", uid, w)
			}
		}
		if code != 0 || t.Failed() {
			t.Fatalf("user %d: exit code %d\n%s\n%s", uid, code, out, errs)
		}
	}
}
