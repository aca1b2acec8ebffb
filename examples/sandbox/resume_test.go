package main

import (
	"fmt"
	"testing"
)

// resumeScript restarts two services, one of which always fails, while cores are killed. Each restart is one start
// more, whatever was lost on the way, and sctl tells how it really ended.
const resumeScript = `
cd /run
core() { # not a child of it that has not become its program yet
	for q in $(pidof sysmaster-core); do
		read -r pid name state parent group rest 2>/dev/null </proc/$q/stat && [ "$parent $group" = "1 1" ] && echo $q && return
	done
	return 1
}
printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c "sleep 0.2; echo x >>/run/good"\nExecStop=/bin/sleep 0.2\n' >/etc/systemd/system/good.service
printf '[Service]\nType=oneshot\nExecStart=/bin/sh -c "sleep 0.2; echo x >>/run/bad; exit 3"\n[Unit]\nStartLimitIntervalSec=0\n' >/etc/systemd/system/bad.service
sed -i 's/^.Service./[Unit]\nStartLimitIntervalSec=0\n&/' /etc/systemd/system/good.service
sctl start good.service || exit 1
for n in 1 2 3 4 5 6; do
	for s in good bad; do
		sctl restart $s.service 2>>/run/said & c=$!
		for k in 1 2; do
			p=$(core) && kill -9 $p
			until q=$(core) && [ "$q" != "$p" ]; do sleep 0.02; done
		done
		wait $c; echo $s $? >>/run/codes
	done
done
sctl why good.service | grep -c 'was restarted .* because sctl (PID .*asked: Enqueue restart good.service replace'
grep -q 'connecting again' /run/said && echo resumed
grep -c 'as its state tells' /run/said
echo good $(grep -c 'good 0' /run/codes) $(wc -l </run/good) bad $(grep -c 'bad 1' /run/codes) $(wc -l </run/bad)
`

// TestRestartWhileCoresDie: with control groups it is always known whether a command ran. Without, one that nobody can tell
// of is failed, and not run again: never is there a start too many, nor a success without one.
func TestRestartWhileCoresDie(t *testing.T) {
	dir := build(t)
	for _, uid := range users() {
		out, errs, code := sandboxed(t, dir, uid, "--", "/bin/sh", "-c", resumeScript)
		var good, goodRuns, bad, badRuns int
		const want = "1\nresumed\n0\ngood %d %d bad %d %d\n"
		_, err := fmt.Sscanf(out, want, &good, &goodRuns, &bad, &badRuns)
		if code != 0 || err != nil || goodRuns != good+1 || bad != 6 || badRuns > 6 || uid == 0 && (good != 6 || badRuns != 6) {
			t.Errorf("as user %d the script ends with %d and prints %q\n%s", uid, code, out, errs)
		}
	}
}
