package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sealed makes the binaries as make build does: init can take any signal at any moment. Others are built beside them.
func sealed(t *testing.T, more ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: the attacks are mounts and control groups")
	}
	dir := build(t)
	overlay := t.TempDir()
	if out, err := exec.Command("sh", "../../init/process/overlay.sh", overlay).CombinedOutput(); err != nil {
		t.Fatalf("overlay.sh: %v\n%s", err, out)
	}
	builds := [][]string{{"-overlay", filepath.Join(overlay, "overlay.json"), "-o", filepath.Join(dir, "sysmaster-init"), "../sysmaster/init"}}
	for _, m := range more {
		builds = append(builds, []string{"-o", filepath.Join(dir, m), "./testdata/" + m})
	}
	for _, args := range builds {
		cmd := exec.Command("go", append([]string{"build"}, args...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build %v: %v\n%s", args, err, out)
		}
	}
	return dir
}

// cores gives the number of the last core that the console says was started; the first one is none.
func cores(console string) (n int) {
	for _, m := range regexp.MustCompile(`(?m)^sysmaster-init: core (\d+) started`).FindAllStringSubmatch(console, -1) {
		n, _ = strconv.Atoi(m[1]) // digits
	}
	return n
}

// waits is what the script before init leaves behind: once the root is broken and init had a second, it kills all that it can
// three times, and asks init for the end, for which nothing but init is needed.
const waits = `(until [ -e /tmp/broken ]; do sleep 0.1; done; sleep 1; for i in 1 2 3; do kill -9 -1; sleep 1; done; MIDDLE
echo attack over; kill -48 1) & `

// TestBrokenRoot breaks what init and core stand on, before they begin. Init lives, starts cores as often as they die and as its
// bounds allow, and ends when it is asked to. works: the core can do without, too.
func TestBrokenRoot(t *testing.T) {
	dir := sealed(t)
	for _, c := range []struct {
		name, script, middle string
		works                bool
		say                  string // on the console
	}{
		{"/run read-only", "mount -o remount,ro /run", "mount -o remount,rw /run; until sctl is-system-running | grep -Eq \"running|degraded\"; do sleep 0.2; done", false, "read-only file system"},
		{"/run full", "dd if=/dev/zero of=/run/full bs=1M 2>/dev/null; i=0; while : >/run/f$i; do i=$((i+1)); done 2>/dev/null", "", true, ""},
		{"no /dev/null", "umount -l /dev/null; rm /dev/null", "", false, "cannot open /dev/null"},
		{"no /dev", "umount -l /dev; rm -rf /dev", "", true, ""},
		{"/dev/console is a FIFO, /dev/kmsg a directory", "mkfifo /dev/console; mkdir /dev/kmsg", "", true, ""},
		{"no /sys", "umount -l /sys; rm -rf /sys", "", true, ""},
		{"no /proc", "umount -l /proc", "", true, ""},
		{"/proc covered", "mount -t tmpfs -o ro,mode=000 none /proc", "", true, "/proc is not there; mount -t proc proc /proc"},
		{"/etc empty and unreadable", "mount -t tmpfs -o ro,mode=000 none /etc", "", true, ""},
		{"FIFOs in /etc", "cd /etc; rm -f passwd group hostname machine-id os-release; mkfifo passwd group hostname machine-id os-release nsswitch.conf locale.conf fstab", "", true, ""},
		{"root read-only", "mount -t tmpfs -o ro none /var; mount -o remount,ro /", "", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before := strings.ReplaceAll(waits, "MIDDLE", c.middle) + "(sleep 0.3; : >/tmp/broken) & " + c.script + "\ntrue"
			out, console, code := sandboxed(t, dir, 0, "--console", "--timeout", "100s", "--before", before, "--", "/bin/sleep", "1000")
			if code != 0 || !strings.Contains(console, "attack over\n") || !strings.Contains(console, "poweroff: a signal asks for it") {
				t.Fatalf("exit code %d; want 0, after the attack\n%s\n%s", code, out, console)
			}
			if n := cores(console); n < 3 {
				t.Errorf("%d cores were started; want 3 at least\n%s", n, console)
			} else if n > 40 {
				t.Errorf("%d cores were started in some seconds\n%s", n, console)
			}
			if works := strings.Contains(console, "Startup finished"); works != (c.works || c.middle != "") {
				t.Errorf("a core finished the start: %v; want %v\n%s", works, c.works, console)
			}
			if !strings.Contains(console, c.say) {
				t.Errorf("no %q on the console\n%s", c.say, console)
			}
		})
	}
}

// attack is what the scripts below share: newcore waits for another core than $1, that answers; group makes a group of the v1
// controller $1 in $g, with init and the core in it.
const attack = `
set -u
fail() { echo "FAIL: $*"; exit 1; }
until_() { n=0; until "$@" >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 600 ] || fail "never: $*"; sleep 0.05; done; }
newcore() { other() { q=$(pidof sysmaster-core) && [ "$q" != "$1" ] && sctl list-units; }; until_ other "$1"; }
ids() { sctl show -p MainPID --value ticker.service beacon.service daemon.service family.service; }
group() {
	mkdir /tmp/groups && mount -t cgroup -o $1 none /tmp/groups || { echo "skip: no v1 controller $1"; exit 0; }
	g=/tmp/groups/sysmaster-siege-NUMBER; mkdir $g || fail mkdir
	trap 'for p in $(cat $g/cgroup.procs); do echo $p >/tmp/groups/cgroup.procs; done; rmdir $g' EXIT
	echo 1 >$g/cgroup.procs; echo $p >$g/cgroup.procs
}
until_ pidof sysmaster-core
before=$(ids); p=$(pidof sysmaster-core)
`

// removeGroups removes the groups of that name that a sandbox which ended early left in the host's v1 hierarchies.
func removeGroups(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup") // cgroups(7)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 && f[1] != "" {
			if err := os.Remove(filepath.Join("/sys/fs/cgroup", f[1], f[2], name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		}
	}
}

// TestSiege attacks init while it runs, from inside, as root.
func TestSiege(t *testing.T) {
	dir := sealed(t, "hungfs")
	number := strconv.Itoa(os.Getpid())
	t.Cleanup(func() { removeGroups(t, "sysmaster-siege-"+number) })
	for _, c := range []struct {
		name, script string
		check        func(t *testing.T, out, console string)
	}{
		{name: "memory", script: attack + `
group memory
i=0; while [ $i -lt 1000 ]; do printf '[Service]\nExecStart=/bin/true\n' >/etc/systemd/system/u$i.service; i=$((i+1)); done
echo $$ >$g/cgroup.procs; dd if=/dev/zero of=/tmp/ballast bs=1M count=40 2>/dev/null || fail ballast; echo $$ >/tmp/groups/cgroup.procs
echo $(( $(cat $g/memory.usage_in_bytes) + 4096 * 1024 )) >$g/memory.limit_in_bytes || fail limit
kills() { grep '^oom_kill ' $g/memory.oom_control | cut -d' ' -f2; }
n=0; while [ "$(kills)" -lt 5 ]; do n=$((n+1)); [ $n -lt 60 ] || fail "never out of memory: $(cat $g/memory.max_usage_in_bytes)"
	timeout 1 sctl daemon-reload 2>/dev/null; timeout 1 sctl start $(cd /etc/systemd/system; ls u*.service) 2>/dev/null; done
k=$(kills)
[ $(cat /proc/1/comm) = sysmaster-init ] || fail init
echo -1 >$g/memory.limit_in_bytes; newcore $p
[ "$(ids)" = "$before" ] || fail "services were touched: $before became $(ids)"
echo "the kernel killed $k for memory; init's score $(cat /proc/1/oom_score_adj), core's $(cat /proc/$q/oom_score_adj)"`,
			check: func(t *testing.T, out, console string) {
				want := "init's score -1000, core's 0"
				if strings.Contains(console, "not allowed to be spared when memory runs out") {
					want = "init's score 0, core's 100" // CAP_SYS_RESOURCE is missing here
				}
				if !strings.Contains(out, want) {
					t.Errorf("want %s", want)
				}
			}},
		{name: "no process numbers", script: attack + `
group pids
echo 1 >$g/pids.max; kill -9 $p
i=0; while [ $i -lt 2000 ]; do kill -1 1; kill -10 1; kill -60 1; i=$((i+1)); done
sleep 1; pidof sysmaster-core && fail "a core in spite of it"
echo max >$g/pids.max; newcore $p
[ "$(ids)" = "$before" ] || fail "services were touched: $before became $(ids)"
echo 1 >$g/pids.max; echo survived`,
			check: func(t *testing.T, out, console string) {
				if !strings.Contains(console, "cannot start the core: resource temporarily unavailable") {
					t.Error("no start was refused")
				}
			}},
		{name: "address space", script: attack + `
prlimit --pid 1 --as=1000000:unlimited || { echo "skip: no prlimit"; exit 0; }
i=0; while [ $i -lt 5000 ]; do kill -1 1; kill -60 1; i=$((i+1)); done
kill -9 $p; sleep 1; pidof sysmaster-core && fail "a core in 1 MB"
prlimit --pid 1 --as=unlimited:unlimited; newcore $p
[ "$(ids)" = "$before" ] || fail "services were touched: $before became $(ids)"
echo survived`},
		{name: "unkillable", script: attack + `
mkdir /tmp/dev /tmp/hung && mount -t devtmpfs none /tmp/dev && : >/dev/fuse && mount --bind /tmp/dev/fuse /dev/fuse && : <>/dev/fuse || { echo "skip: no /dev/fuse"; exit 0; }
/opt/sysmaster/bin/hungfs /tmp/hung >/tmp/said & until_ grep silent /tmp/said
waits() { grep -Eq 'fuse|request_wait' /proc/$1/wchan; }; inD() { grep -q '^State:.D' /proc/$1/status; }
cat /tmp/hung/file & until_ waits $!
printf '[Service]\nExecStart=/bin/cat /tmp/hung/below/x\nTimeoutStopSec=1\n' >/etc/systemd/system/hung.service
sctl start --no-block hung.service; m() { h=$(sctl show -p MainPID --value hung.service); waits $h; }; until_ m
kill -9 $h; until_ inD $h
timeout 60 sctl stop hung.service; [ $? -lt 124 ] || fail "the stop has no end"
sctl show -p ActiveState -p Result hung.service
kill -9 $p; newcore $p; echo survived; kill -48 1; exec sleep 1000`,
			check: func(t *testing.T, out, console string) {
				if !strings.Contains(console, `survived SIGKILL`) || !strings.Contains(console, `"cat"`) {
					t.Error("init does not say what survived")
				}
			}},
		{name: "frozen", script: attack + `
[ -e /sys/fs/cgroup/system.slice/ticker.service/cgroup.freeze ] || { echo "skip: no control groups"; exit 0; }
echo 1 >/sys/fs/cgroup/system.slice/ticker.service/cgroup.freeze; echo 1 >/sys/fs/cgroup/system.slice/daemon.service/cgroup.freeze
kill -9 $p; newcore $p; echo survived; kill -48 1; exec sleep 1000`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			out, console, code := sandboxed(t, dir, 0, "--console", "--timeout", "100s", "--", "/bin/sh", "-c",
				strings.ReplaceAll(c.script, "NUMBER", number))
			if strings.HasPrefix(out, "skip: ") {
				t.Skip(out)
			}
			if code != 0 || strings.Contains(out, "FAIL") {
				t.Fatalf("exit code %d\n%s\n%s", code, out, console)
			}
			if c.check != nil {
				c.check(t, out, console)
			}
			if t.Failed() {
				t.Logf("%s\n%s", out, console)
			}
			t.Logf("%.1f s: %s", time.Since(start).Seconds(), strings.TrimSpace(out))
		})
	}
}

// stormer sends init every signal that asks for no end, some 130,000 times from the moment of its execution on.
const stormer = `while read -r l </proc/1/comm; [ "$l" != sysmaster-init ]; do :; done
i=0; while [ $i -lt 3000 ]; do i=$((i+1)); for n in SIGNALS 1 3 4 5 6 7 8 10 11 12 13 14 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 41 42 43 44 45 46 51 52 60 61 62 63 64; do kill -$n 1; done; done; : >/tmp/calm
`

// TestStormAtTheStart sends signals from init's first instruction on; with SIGTERM it executes itself all the while.
func TestStormAtTheStart(t *testing.T) {
	dir := sealed(t)
	for name, signals := range map[string]string{"without SIGTERM": "", "with SIGTERM": "15"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := "(" + strings.ReplaceAll(stormer, "SIGNALS", signals) + ") &"
			out, console, code := sandboxed(t, dir, 0, "--console", "--timeout", "100s", "--before", before, "--", "/bin/sh", "-c",
				attack+`until_ [ -e /tmp/calm ]; until_ sctl show; until p=$(pidof sysmaster-core); do sleep 0.05; done # the last signals may still end it
kill -9 $p; newcore $p; echo survived`)
			if code != 0 || out != "survived\n" {
				t.Errorf("exit code %d\n%s\n%s", code, out, console)
			}
			t.Logf("%d cores, %d executions", cores(console), strings.Count(console, "goes on, execution"))
		})
	}
}
