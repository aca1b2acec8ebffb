package pid1

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// trailer is the word behind the end of this program's file, by which its copies differ.
func trailer() string {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return ""
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return ""
	}
	b := make([]byte, 32)
	if _, err := f.ReadAt(b, st.Size()-int64(len(b))); err != nil {
		return ""
	}
	_, word, ok := bytes.Cut(b, []byte("trailer:"))
	if !ok {
		return ""
	}
	return string(word)
}

// behave is how bad programs differ from this one.
func behave(how string) {
	switch role := os.Getenv(handover.EnvRole); {
	case how == "exits":
		os.Exit(7)
	case how == "hangs" && role == handover.RolePreflight:
		forever()
	case how == "blind" && role == handover.RolePreflight: // cannot read the state
		if err := os.Setenv(handover.EnvState, os.Getenv(handover.EnvReport)); err != nil {
			os.Exit(8)
		}
	case how == "waits" && role == handover.RolePreflight: // until it is told to go on
		dir := os.Getenv(envFiles)
		_ = os.Symlink(strconv.Itoa(os.Getpid()), filepath.Join(dir, "waiting")) // the second time it is there
		for unix.Access(filepath.Join(dir, "go"), unix.F_OK) != nil {
			_, _ = unix.Poll(nil, 1)
		}
	}
}

// copyWith makes a copy of a program with a trailer.
func copyWith(t *testing.T, program, word string) string {
	t.Helper()
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	pad := strings.Repeat("\x00", 32)
	name := filepath.Join(t.TempDir(), "init-"+word)
	if err := os.WriteFile(name, append(b, pad+"trailer:"+word...), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// sealed builds this test's program so that no signal ends it while it starts.
func sealed(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command to build with")
	}
	dir := t.TempDir()
	if out, err := exec.Command("sh", "process/overlay.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("overlay.sh: %v\n%s", err, out)
	}
	cmd := exec.Command("go", "test", "-c", "-o", filepath.Join(dir, "init"), "-overlay", filepath.Join(dir, "overlay.json"), ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v\n%s", err, out)
	}
	return filepath.Join(dir, "init")
}

// Init executes itself under a storm of SIGTERM: the core keeps its channel, each
// registered process's exit comes once, and what is kept stays. PID1_TEST_REEXECS sets how often.
func TestReexecUnderAStormOfSignals(t *testing.T) {
	count := 30
	if n, err := strconv.Atoi(os.Getenv("PID1_TEST_REEXECS")); err == nil {
		count = n
	}
	m := bootProgram(t, sealed(t), "storm", false, envCount+"="+strconv.Itoa(count))
	began := time.Now()
	m.until("first turn")
	over, sent := false, 0
	stop := make(chan struct{})
	sending := make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				sending <- n
				return
			default:
				_ = m.cmd.Process.Signal(syscall.SIGTERM) // at the end it is gone
				n++
				_, _ = unix.Poll(nil, 1)
			}
		}
	}()
	limit := time.After(5 * time.Minute)
	for !over {
		select {
		case line, ok := <-m.lines:
			m.log = append(m.log, line)
			over = !ok || strings.Contains(line, "storm over") || strings.Contains(line, "FAIL")
		case <-limit:
			_ = m.cmd.Process.Kill()
			over = true
		}
	}
	close(stop)
	sent = <-sending
	m.ends(21)
	t.Logf("%d executions under %d SIGTERMs in %v", count, sent, time.Since(began).Round(time.Millisecond))
}

// coreStorm lives through it; the one after it looks what is left.
func coreStorm(b *testbed) {
	const kept = 32
	if b.welcome.Generation > 1 {
		for i := range kept {
			var st unix.Stat_t
			fd, ok := b.fds[fmt.Sprintf("kept/%d", i)]
			if !ok || unix.Fstat(fd, &st) != nil || st.Size != int64(i) {
				b.fail("descriptor %d is not what it was", i)
			}
		}
		if len(b.fds) != kept+1 {
			b.fail("%d descriptors", len(b.fds))
		}
		b.exit(21)
	}
	for i := range kept {
		fd, err := unix.MemfdCreate("kept", unix.MFD_CLOEXEC)
		b.must(err)
		b.must(unix.Ftruncate(fd, int64(i)))
		b.put(fmt.Sprintf("kept/%d", i), fd)
	}
	want, err := strconv.Atoi(os.Getenv(envCount))
	b.must(err)
	reexecs, exits := 0, 0
	expect := map[int]bool{}
	seen := map[uint64]bool{}
	for turn := uint64(1); reexecs < want || len(expect) > 0; turn++ {
		b.must(b.Alive(turn, true))
		if reexecs < want && len(expect) < 8 {
			pid := stormChild(b)
			expect[pid] = true
			b.must(b.Register(pid, startTime(pid)))
		}
		for {
			b.must(b.Flush())
			m, err := b.Receive()
			if err == fdstore.ErrAgain {
				break
			}
			b.must(err)
			switch m.Kind {
			case fdstore.KindSignal:
				b.must(b.AckSignal(m.ID))
			case fdstore.KindOutcome:
				if m.Upgrade.Result != fdstore.ResultAdopted {
					b.fail("outcome %+v", m.Upgrade)
				}
				reexecs++
			case fdstore.KindExit:
				if !seen[m.Exit.ID] {
					if !expect[m.Exit.PID] || m.Exit.Status != 7 {
						b.fail("exit %+v is not expected", m.Exit)
					}
					delete(expect, m.Exit.PID)
					exits++
				}
				seen[m.Exit.ID] = true
				b.must(b.AckExit(m.Exit.ID))
			case fdstore.KindWelcome, fdstore.KindStored, fdstore.KindStoredEnd:
				b.fail("%+v: the channel began anew", m)
			}
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(b.FD()), Events: unix.POLLIN}}, 20)
	}
	fmt.Println("storm over:", reexecs, "executions,", exits, "exits")
	b.die(unix.SIGKILL)
}

// stormChild starts a process that is init's, and ends as soon as it is: a shell that were still there would reap it.
func stormChild(b *testbed) int {
	var pipe, gate [2]int
	b.must(unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	b.must(unix.Pipe2(gate[:], unix.O_CLOEXEC))
	defer unix.Close(pipe[0])
	shell, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "(read x <&3; exit 7) >/dev/null & echo $!"},
		&syscall.ProcAttr{Files: []uintptr{0, uintptr(pipe[1]), 2, uintptr(gate[0])}})
	b.must(err)
	b.must(unix.Close(pipe[1]))
	b.must(unix.Close(gate[0]))
	_, err = unix.Wait4(shell, nil, 0, nil)
	b.must(err)
	b.must(unix.Close(gate[1]))
	var p [32]byte
	n, err := unix.Read(pipe[0], p[:])
	b.must(err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(p[:n])))
	b.must(err)
	return pid
}

// Programs that cannot be init's successor cost nothing, and one that finds out late goes back.
func TestReexecOfOtherPrograms(t *testing.T) {
	dir := t.TempDir()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := func(name, target string) {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, word := range []string{"exits", "hangs", "blind", "small", "good"} {
		link(word, copyWith(t, own, word))
	}
	link("true", "/bin/true")
	b, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	b[18] ^= 0x55 // e_machine (elf(5))
	for name, text := range map[string][]byte{"alien": b, "text": []byte("not a program\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	m := bootProgram(t, own, "programs", false, envFiles+"="+dir)
	m.ends(22)
}

func corePrograms(b *testbed) {
	if b.welcome.Generation > 1 {
		b.fail("the core died: %+v", b.welcome)
	}
	b.must(b.Alive(1, false))
	for i, c := range []struct {
		name   string
		result fdstore.Result
		reason string
	}{
		{"true", fdstore.ResultRefused, "reported nothing"},
		{"text", fdstore.ResultRefused, "exec format error"},
		{"alien", fdstore.ResultRefused, "exec format error"},
		{"plain", fdstore.ResultRefused, "permission denied"},
		{"exits", fdstore.ResultRefused, "exit status 7"},
		{"hangs", fdstore.ResultRefused, "did not end"},
		{"blind", fdstore.ResultRefused, "damaged"},
		{"small", fdstore.ResultRolledBack, "exceeds the bounds"},
		{"good", fdstore.ResultAdopted, ""},
		{"good", fdstore.ResultAdopted, ""},
	} {
		fd, err := unix.Open(filepath.Join(os.Getenv(envFiles), c.name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		b.must(err)
		b.must(b.Upgrade(uint64(i+1), fdstore.TargetInit, "two", fd))
		b.must(unix.Close(fd))
		u := b.await(fdstore.KindOutcome).Upgrade
		if u.ID != uint64(i+1) || u.Result != c.result || !strings.Contains(u.Reason, c.reason) {
			b.fail("%s: %+v; want %v because of %q", c.name, u, c.result, c.reason)
		}
		fmt.Println(c.name, "gives", u.Result, u.Reason)
		b.put("after/"+strconv.Itoa(i), b.fds["memory"]) // it answers
	}
	status, err := os.ReadFile("/proc/self/status")
	b.must(err)
	if !strings.Contains(string(status), "SigBlk:\t0000000000000000") {
		b.fail("a core inherits blocked signals:\n%s", status)
	}
	if name, err := os.ReadFile("/proc/1/comm"); err != nil || !strings.HasPrefix(string(name), "init.test") {
		b.fail("init is called %q, %v", name, err)
	}
	b.exit(22)
}

// A preflight that ends while a core is on trial does not end the trial: init executes itself when it is over.
func TestReexecWaitsForATrial(t *testing.T) {
	dir := t.TempDir()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(copyWith(t, own, "waits"), filepath.Join(dir, "waits")); err != nil {
		t.Fatal(err)
	}
	m := bootProgram(t, own, "both", false, envFiles+"="+dir)
	m.ends(25)
}

func coreBoth(b *testbed) {
	dir := os.Getenv(envFiles)
	fd, err := unix.Open(filepath.Join(dir, "waits"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	b.must(err)
	if b.welcome.Generation > 2 {
		b.fail("the core was started anew")
	}
	if b.welcome.Generation == 1 {
		b.must(b.Alive(1, true))
		b.must(b.Upgrade(1, fdstore.TargetInit, "two", fd))
		for _, err := os.Readlink(filepath.Join(dir, "waiting")); err != nil; _, err = os.Readlink(filepath.Join(dir, "waiting")) {
			_, _ = unix.Poll(nil, 1)
		}
		b.save()
		b.must(b.Upgrade(2, fdstore.TargetCore, "two", fd))
		b.empty()
		os.Exit(0)
	}
	text, err := os.Readlink(filepath.Join(dir, "waiting"))
	b.must(err)
	pid, err := strconv.Atoi(text)
	b.must(err)
	b.must(os.WriteFile(filepath.Join(dir, "go"), nil, 0o644))
	for unix.Kill(pid, 0) != unix.ESRCH { // init has heard of its end
		_, _ = unix.Poll(nil, 1)
	}
	b.must(b.Healthy("two"))
	b.await(fdstore.KindAdopted)
	b.must(b.Alive(1, true))
	for id := range uint64(2) { // the core's, then init's
		if u := b.await(fdstore.KindOutcome).Upgrade; u.ID != 2-id || u.Result != fdstore.ResultAdopted {
			b.fail("outcome %+v", u)
		}
	}
	b.exit(25)
}
