package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sysmaster-go/sysmaster/examples/sandbox/sandboxtest"
)

// build makes the binaries in a directory that any user may read.
func build(t *testing.T) string {
	t.Helper()
	return sandboxtest.Programs(t)
}

// sandboxed runs sandbox as the user and gives its output and exit code. Where the machine
// does not allow it the test is skipped with sandbox's own reason.
func sandboxed(t *testing.T, dir string, uid int, args ...string) (out, errs string, code int) {
	t.Helper()
	return sandboxtest.Run(t, dir, uid, 3*time.Minute, args...)
}

// users are who can try here: root and nobody, or only who runs the test.
func users() []int {
	if os.Getuid() == 0 {
		return []int{0, 65534}
	}
	return []int{os.Getuid()}
}

func TestSandbox(t *testing.T) {
	dir := build(t)
	for _, uid := range users() {
		name := "user"
		if uid == 0 {
			name = "root"
		}
		t.Run(name, func(t *testing.T) {
			t.Run("check", func(t *testing.T) { testCheck(t, dir, uid) })
			t.Run("command", func(t *testing.T) { testCommand(t, dir, uid) })
			t.Run("broken", func(t *testing.T) { testBroken(t, dir, uid) })
			t.Run("left", func(t *testing.T) { testLeft(t, dir, uid) })
		})
	}
	t.Run("incomplete", func(t *testing.T) { testIncomplete(t, dir) })
}

// testCheck is the demonstration without a terminal.
func testCheck(t *testing.T, dir string, uid int) {
	out, errs, code := sandboxed(t, dir, uid)
	if code != 0 {
		t.Fatalf("sandbox exits %d\n%s\n%s", code, out, errs)
	}
	for _, want := range []string{
		"State: running", "echo.socket answers", "ticker.service       kept process", "beacon.service       kept process",
		"daemon.service       kept process", "family.service       kept process", "prepare.service      ran once",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("sandbox does not say %q:\n%s", want, out)
		}
	}
	if uid != 0 && !strings.Contains(errs, "weaker") {
		t.Errorf("sandbox does not say that it has no control groups: %s", errs)
	}
}

// testCommand looks at the sandbox from inside: it has what it needs, and no way to the host.
func testCommand(t *testing.T, dir string, uid int) {
	for _, c := range []struct {
		script string
		code   int
		want   string
	}{
		{"exit 7", 7, ""},
		{"kill -TERM $$", 128 + 15, ""},
		{"echo $$ $(cat /etc/hostname) $(hostname)", 0, "sandbox sandbox\n"},
		{"ls -d /root/.* /home/* " + dir + " 2>/dev/null | grep -v '/\\.*$'", 1, ""},
		{"(: >/usr/written) || echo refused", 0, "refused\n"},
		{"chmod 600 /dev/null || echo refused", 0, "refused\n"},
		{"(echo 1 >/proc/sys/kernel/panic) || echo refused", 0, "refused\n"},
		{"sctl reboot; exec sleep 1000", 0, ""},
		{"for n in 1 2 3 4 5; do p=$(pidof sysmaster-core); kill -9 $p; until q=$(pidof sysmaster-core) && [ $q != $p ] && sctl is-system-running >/dev/null; do sleep 0.05; done; done; sctl show -p NRestarts --value ticker.service beacon.service; cat /run/demo/prepared", 0, "0\n\n0\nprepared\n"},
		{"sctl kill --signal=KILL ticker.service; until sctl is-active --quiet ticker.service && [ $(sctl show -p NRestarts --value ticker.service) = 1 ]; do sleep 0.1; done; echo back", 0, "back\n"},
		{hurryScript, 0, "\n0\n"},
		{filesScript, 0, "Before\nBefore\nsame\nsame\nreload no yes yes no\nactive\nnot-found\nreload no no yes\nreload no no no After more\n"},
		{"printf '[Service]\\nExecStart=/bin/false\\nType=oneshot\\n' >/etc/systemd/system/sad.service; sctl start sad.service; sctl is-failed sad.service", 0, "failed\n"},
	} {
		out, errs, code := sandboxed(t, dir, uid, "--", "/bin/sh", "-c", c.script)
		if code != c.code || !strings.HasSuffix(out, c.want) {
			t.Errorf("sandbox -- sh -c %q = %d, %q; want %d, %q\n%s", c.script, code, out, c.code, c.want, errs)
		}
	}
}

// hurryScript: a core that recovered before all others, and what it starts, are scheduled like the rest (SCHED_OTHER is 0).
const hurryScript = `
p=$(pidof sysmaster-core); kill -9 $p; until q=$(pidof sysmaster-core) && [ $q != $p ] && sctl is-system-running; do sleep 0.05; done
sctl restart ticker.service
sed 's/.*) //' /proc/[0-9]*/task/*/stat | cut -d' ' -f39 | sort -u`

// filesScript changes one unit file and deletes another while the core is dead: it is as if nothing had been, until
// daemon-reload, which a crash never is. Which units need one is known before and after, a new drop-in included.
const filesScript = `
cd /etc/systemd/system
needs() { echo reload $(for u in "$@"; do sctl show -p NeedDaemonReload --value $u.service; done); }
for u in edited deleted added; do printf '[Unit]\nDescription=Before\n[Service]\nExecStart=/bin/sleep 1000\n' >$u.service; sctl start $u.service; done
e=$(sctl show -p MainPID --value edited.service) d=$(sctl show -p MainPID --value deleted.service)
p=$(pidof sysmaster-core); kill -STOP $p
printf '[Unit]\nDescription=After\n[Service]\nExecStart=/bin/false\n' >edited.service; rm deleted.service
kill -9 $p; until q=$(pidof sysmaster-core) && [ $q != $p ] && sctl is-system-running >/dev/null; do sleep 0.05; done
sctl show -p Description --value edited.service; sctl show -p Description --value deleted.service
[ $(sctl show -p MainPID --value edited.service) = $e ] && kill -0 $e && echo same
[ $(sctl show -p MainPID --value deleted.service) = $d ] && kill -0 $d && echo same
needs ticker edited deleted added
sctl restart edited.service; sctl is-active edited.service
sctl stop deleted.service; sctl daemon-reload; sctl show -p LoadState --value deleted.service
mkdir added.service.d; printf '[Unit]\nDescription=After more\n' >added.service.d/more.conf; needs ticker edited added
sctl daemon-reload; echo $(needs ticker edited added) $(sctl show -p Description --value added.service)`

// testBroken: what goes wrong is told, with the console's log.
func testBroken(t *testing.T, dir string, uid int) {
	out, errs, code := sandboxed(t, dir, uid, "--timeout", "1ms")
	if code != 1 || !strings.Contains(errs, "--- console ---") || !strings.Contains(errs, "the boot took more than 1ms") {
		t.Errorf("sandbox --timeout 1ms = %d\n%s\n%s", code, out, errs)
	}
	_, errs, code = sandboxed(t, dir, uid, "--", "/nonexistent")
	if code != 127 || !strings.Contains(errs, "cannot run /nonexistent") {
		t.Errorf("sandbox -- /nonexistent = %d; want 127\n%s", code, errs)
	}
}

// testLeft: a sandbox that is killed takes everything inside along.
func testLeft(t *testing.T, dir string, uid int) {
	cmd := exec.Command(filepath.Join(dir, "sandbox"), "--", "/bin/sh", "-c", "echo up; exec sleep 1000")
	cmd.Dir = "/"
	if uid != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout = w
	err = errors.Join(out.SetReadDeadline(time.Now().Add(20*time.Second)), cmd.Start(), w.Close())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3)
	if _, err := out.Read(b); err != nil || string(b) != "up\n" {
		_ = cmd.Wait()
		if cmd.ProcessState.ExitCode() == exitForbidden {
			t.Skip("not allowed here; TestSandbox/check says why")
		}
		t.Fatalf("the command says %q, %v", b, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// The pipe's other end is held by what runs inside: it ends when the last one has died.
	if n, err := out.Read(b); err != io.EOF {
		t.Errorf("what runs inside outlives sandbox: read %q, %v; want the end", b[:n], err)
	}
	_ = cmd.Wait() // killed
	sweep()
}

func testIncomplete(t *testing.T, dir string) {
	alone := t.TempDir()
	text, err := os.ReadFile(filepath.Join(dir, "sandbox"))
	if err == nil {
		err = os.WriteFile(filepath.Join(alone, "sandbox"), text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, errs, code := sandboxed(t, alone, os.Getuid())
	if code != 1 || !strings.Contains(errs, "cannot find sysmaster-init beside sandbox") {
		t.Errorf("sandbox alone = %d: %s", code, errs)
	}
}

func TestTail(t *testing.T) {
	var console tail
	for range 5 * tailMax / 10 {
		if _, err := console.Write([]byte("123456789\n")); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(console.text()); n != tailMax {
		t.Errorf("tail keeps %d bytes; want %d", n, tailMax)
	}
}
