package main

import (
	"strings"
	"testing"
)

// storeHelp are shell functions for what the cases below do again and again: ids prints the main processes of the
// services that must not notice anything, newcore kills the core (stopped before, so that what $1 does happens while nobody
// writes) and waits for the next one, same compares.
const storeHelp = `
set -u
fail() { echo "FAIL: $*"; exit 1; }
ids() { sctl show -p MainPID --value ticker.service beacon.service daemon.service family.service; }
until_() { n=0; until "$@" >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 200 ] || fail "never: $*"; sleep 0.05; done; }
newcore() {
	p=$(pidof sysmaster-core); kill -STOP $p; eval "${1:-:}"; kill -KILL $p
	other() { q=$(pidof sysmaster-core) && [ "$q" != $p ] && sctl list-units; }; until_ other
}
same() { [ "$(ids)" = "$before" ] || fail "services were touched: $before became $(ids)"; }
last() { ls -t /run/sysmaster/state/log.* | sort -t. -k2 -n | tail -1; }
printf '[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c "echo ran >>/var/log/toggled"\n' >/etc/systemd/system/toggle.service
fill() { dd if=/dev/zero of=/run/sysmaster/state/fill bs=4k oflag=append conv=notrunc 2>/dev/null; } # again and again: compaction makes room
# One that is accepted before the core has noticed that there is no room waits with its spawn held.
try() { timeout 5 sctl start toggle.service 2>/tmp/why; r=$?; [ $r != 124 ] || { sctl stop toggle.service; sctl start toggle.service 2>/tmp/why; r=$?; }; return $r; }
before=$(ids)
`

// lostHelp is for a log of which nothing is left: lose has $1 do that to it, and looks at what the next core makes of it.
const lostHelp = `
procs() { for p in /proc/[0-9]*; do grep -qz '^SYSMASTER_SPAWN=' $p/environ 2>/dev/null && echo ${p#/proc/} $(tr '\0' ' ' <$p/cmdline); done | sort; }
service() { procs | grep "demo $1$"; }
lose() {
	had=$(procs); [ $(echo "$had" | wc -l) -ge 4 ] || fail "they are $had"
	newcore "$1"
	sctl status | grep -q 'Trouble: the state store is lost' || fail "$(sctl status)"
	[ "$(procs)" = "$had" ] || fail "processes were $had and are $(procs)"
	[ "$(sctl is-system-running)" = degraded ] || fail "it is $(sctl is-system-running)"
	sctl status beacon.service | grep -q 'lost or set aside' || fail "$(sctl status beacon.service)"
	sctl start beacon.service 2>/dev/null && fail "it was started beside itself"
	newcore; [ "$(procs)" = "$had" ] || fail "after one more core processes were $had and are $(procs)"
	sctl stop beacon.service || fail "stop of what was adopted"
	[ -z "$(service beacon)" ] || fail "it runs on: $(service beacon)"
	sctl reset-failed; ended() { [ -z "$(procs)" ]; }; until_ ended
	until_ sctl start default.target
	until_ sctl is-active --quiet beacon.service; sctl is-active --quiet ticker.service || fail "ticker does not run"
	[ $(service beacon | wc -l) = 1 ] || fail "$(service beacon)"
	before=$(ids)
}
`

// works is what must be possible at the end of each case.
const works = `
same
sctl start toggle.service || fail "start"
sctl is-active --quiet toggle.service || fail "it is not active"
sctl stop toggle.service || fail "stop"
same
echo good
`

// fallback makes the core keep its state in /run/sysmaster/state itself, as where private directories are not possible.
const fallback = "sysmaster.state-size=nonsense"

// TestStore does to the real core's log, with real services, what may happen to it. No service notices; what ends
// something goes on; what begins something is refused, or held until the log can be written again.
func TestStore(t *testing.T) {
	dir := build(t)
	for _, c := range []struct{ name, option, script string }{
		{"space", "sysmaster.state-size=4m", `
fill; n=0; while try && sctl stop toggle.service; do fill; n=$((n+1)); [ $n -lt 1000 ] || fail "never refused"; done
grep -q 'cannot start toggle.service: .*no space left for the state' /tmp/why || fail "it says $(cat /tmp/why)"
same
sctl start echo.service 2>/dev/null && fail "a start that cannot be recorded"
sctl stop beacon.service || fail "stop"
sctl is-active --quiet beacon.service && fail "beacon was not stopped"
sctl kill --signal=KILL ticker.service || fail "kill"
held() { [ "$(sctl show -p ActiveState --value ticker.service)" = activating ] && [ "$(sctl show -p MainPID --value ticker.service)" = 0 ]; }
until_ held
sctl status | grep -q 'Trouble: nothing new is started' || fail "$(sctl status)"
sleep 1.5; held || fail "its restart was not held"
newcore; held || fail "the next core does not hold it"
rm /run/sysmaster/state/fill
until_ sctl is-active --quiet ticker.service
sctl status | grep Trouble && fail "it still has troubles"
sctl start beacon.service || fail "start of beacon"
before=$(ids)`},
		{"space, power-off", "sysmaster.state-size=4m", `
fill; while try && sctl stop toggle.service; do fill; done
echo good; sctl poweroff; exec sleep 1000`},
		{"full /run", "", `
dd if=/dev/zero of=/run/fill bs=1M 2>/dev/null; dd if=/dev/zero of=/run/fill2 bs=1 2>/dev/null
newcore`},
		{"read-only /run", "", `newcore "mount -o remount,ro /run" || fail remount`},
		{"/run/sysmaster removed", "", `rm -rf /run/sysmaster; newcore; [ -e "$(last)" ] || fail "the log is not shown again"`},
		{"/run/sysmaster mounted over", "", `mount -t tmpfs none /run/sysmaster || fail mount; newcore; [ -e "$(last)" ] || fail "the log is not shown again"`},
		{"/run mounted over", "", `
mount -t tmpfs -o mode=755 none /run || fail mount
p=$(pidof sysmaster-core); kill -KILL $p; other() { q=$(pidof sysmaster-core) && [ "$q" != $p ]; }; until_ other
newlink() { [ -L /run/sysmaster/state ]; }; until_ newlink
umount -l /run || fail umount; until_ sctl list-units`},
		{"torn", "", `newcore 'f=$(last); truncate -s -7 $f'`},
		{"flipped", "", `newcore 'f=$(last); printf "\377\377" | dd of=$f bs=1 conv=notrunc seek=$(($(stat -c %s $f) - 30)) 2>/dev/null'
sctl status | grep -q 'Trouble: the state store, as this manager found it' || fail "$(sctl status)"`},
		{"the newest commits lost", "", `
printf '[Service]\nExecStart=/bin/sleep 54321\n' >/etc/systemd/system/lone.service
lone() { grep -lz '^54321$' /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3; }
single() { [ $(lone | wc -l) = 1 ]; } # a shim that has not executed it yet is none
one() { until_ single; }
sctl start lone.service || fail start
one; old=$(lone)
newcore 'f=$(last); head -c 1500 /dev/zero | tr "\0" "\377" | dd of=$f bs=1 conv=notrunc seek=$(($(stat -c %s $f) - 1500)) 2>/dev/null'
sctl status lone.service | grep -q 'older than its processes\|lost or set aside' || fail "$(sctl status lone.service)"
sctl start lone.service 2>/dev/null && fail "it was started beside itself"
one; [ "$(lone)" = "$old" ] || fail "it was touched"
newcore; one
sctl stop lone.service || fail stop
[ -z "$(lone)" ] || fail "it was not stopped"
sctl start lone.service || fail "start after stop"
one; same
sctl is-active --quiet lone.service || fail "it is not active"`},
		{"all of it removed, and written again", "", `
rm -f /run/sysmaster/state/*; sctl start toggle.service; sctl stop toggle.service
back() { [ -e "$(last)" ] && [ $(stat -c %s $(last)) -gt 3000 ]; }; until_ back
newcore`},
		{"all of it removed", "", lostHelp + `lose 'rm -f /run/sysmaster/state/*'`},
		{"all of it overwritten", "", lostHelp + `lose 'for f in /run/sysmaster/state/*.*; do
	head -c $(stat -c %s $f) /dev/urandom | dd of=$f conv=notrunc 2>/dev/null; done'`},
		{"fallback, all of it removed", fallback, lostHelp + `lose 'rm -rf /run/sysmaster'`},
		{"fallback, torn", fallback, `newcore 'f=$(last); truncate -s -7 $f'`},
		{"fallback, removed", fallback, `
rm -rf /run/sysmaster; sctl start toggle.service; sctl stop toggle.service
until_ test -e /run/sysmaster/state; newcore`},
		{"fallback, read-only", fallback, `
mount -t tmpfs -o ro none /run/sysmaster/state || fail mount
timeout 1 sctl start toggle.service # accepted, perhaps, before anybody has noticed; then its spawn is held
sctl start echo.service 2>/tmp/why && fail "a start that cannot be recorded"
grep -q 'is not writable' /tmp/why || fail "it says $(cat /tmp/why)"
sctl stop beacon.service || fail stop
sctl is-active --quiet beacon.service && fail "beacon was not stopped"
umount /run/sysmaster/state || fail umount
until_ sctl start toggle.service; sctl stop toggle.service
sctl start beacon.service || fail "start of beacon"
before=$(ids); newcore`},
		{"boots", "sysmaster.boot-attempts=3", `
boots() { [ "$(tail -n 1 /var/lib/sysmaster/boot | cut -d' ' -f1,2)" = "0 0" ]; }; until_ boots
newcore; boots || fail "a core was counted: $(tail -n 1 /var/lib/sysmaster/boot)"
mount --bind -o ro /var/lib /var/lib && mount -o remount,bind,ro /var/lib || fail mount; newcore; umount /var/lib`},
		{"moving in", fallback, `
[ -d /run/sysmaster/state -a ! -L /run/sysmaster/state ] || fail "it is not a directory"
sctl start toggle.service
sed 's/size=nonsense/size=8m/' /proc/1/cmdline >/tmp/options; mount --bind /tmp/options /proc/1/cmdline || fail mount
newcore
[ -L /run/sysmaster/state ] || fail "it is no link"
[ $(stat -f -c %b /run/sysmaster/state/) = 2048 ] || fail "it is another file system"
sctl is-active --quiet toggle.service || fail "the state did not move"
[ "$(cat /var/log/toggled)" = ran ] || fail "it ran again"
umount /proc/1/cmdline; newcore`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--", "/bin/sh", "-c", storeHelp + c.script + works}
			if c.option != "" {
				args = append([]string{"--option", c.option}, args...)
			}
			out, errs, code := sandboxed(t, dir, users()[0], args...)
			if code != 0 || !strings.HasSuffix(out, "good\n") {
				t.Errorf("sandbox exits %d, %s\n%s", code, out, errs)
			}
		})
	}
}

// TestLostWithoutGroups is the same where units have no control groups: what runs is found by its environment.
func TestLostWithoutGroups(t *testing.T) {
	users := users()
	out, errs, code := sandboxed(t, build(t), users[len(users)-1], "--", "/bin/sh", "-c",
		storeHelp+lostHelp+"lose 'rm -rf /run/sysmaster/state/*'"+works)
	if code != 0 || !strings.HasSuffix(out, "good\n") {
		t.Errorf("sandbox exits %d, %s\n%s", code, out, errs)
	}
}
