package pid1

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/policy"
	"github.com/sysmaster-go/sysmaster/init/proc"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

func scenarios() map[string]scenario {
	all := attacks()
	maps.Copy(all, map[string]scenario{
		"killed50": {core: coreKilled50},
		"orphans":  {core: coreOrphans},
		"signals":  {core: coreSignals},
		"garbage":  {core: coreGarbage},
		"full":     {config: func(c *Config) { c.MaxExits, c.MaxZombies = 16, 1000 }, core: coreFull},
		"lost":     {config: func(c *Config) { c.MaxExits, c.MaxZombies = 16, 30 }, core: coreLost},
		"stubborn": {core: coreStubborn},
		"hang":     {config: func(c *Config) { c.HangIdle, c.HangBusy = time.Second, 200*time.Millisecond }, core: coreHang},
		"hurried":  {config: func(c *Config) { c.Hurry, c.HelloTimeout, c.HangBusy = true, time.Second, time.Second }, core: coreHurried},
		"calmed":   {config: func(c *Config) { c.Hurry = true }, core: coreCalmed},
		"exits":    {core: func(b *testbed) { b.save(); os.Exit(1) }},
		"register": {core: coreRegister},
		"ignores":  {config: func(c *Config) { c.TakeTimeout = 300 * time.Millisecond }, core: coreIgnores},
		"nocore": {config: func(c *Config) {
			c.Core = Command{Path: "/nonexistent/core"}
			c.Rescue = nil
			c.TakeTimeout = 300 * time.Millisecond
		}},
		"norescue":    {config: func(c *Config) { c.Core = Command{Path: "/nonexistent/core"}; c.TakeTimeout = 300 * time.Millisecond }},
		"crashes":     {core: coreCrashes},
		"roles":       {core: coreRoles},
		"crashreboot": {config: func(c *Config) { c.Rescue, c.CrashReboot = nil, 100*time.Millisecond }, core: func(b *testbed) { b.save(); os.Exit(1) }},
		"unattended": {config: func(c *Config) {
			c.Rescue = []Command{{Path: "/bin/sleep", Args: []string{"1000"}}}
			c.CrashReboot = 200 * time.Millisecond
		}, core: func(b *testbed) { b.save(); os.Exit(1) }},
		"bigstore":  {core: coreBigStore},
		"defaultfs": {config: func(c *Config) { c.APIFS = nil }, core: func(b *testbed) { b.must(b.Alive(1, false)); b.exit(3) }},
		"storm":     {core: coreStorm},
		"cores":     {core: coreCores},
		"stays":     {core: coreStays},
		"programs":  {config: func(c *Config) { c.Preflight = 10 * time.Second }, core: corePrograms},
		"both":      {config: func(c *Config) { c.Preflight, c.TrialTimeout = 30*time.Second, 30*time.Second }, core: coreBoth},
	})
	maps.Copy(all, hangScenarios())
	all["oom"] = oomScenario()
	all["lastwords"] = scenario{core: coreLastWords, config: func(c *Config) { c.HangBusy, c.AbortGrace = time.Second, 20*time.Second }}
	return all
}

// machine is a running init.
type machine struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	log   []string
}

// boot starts a scenario's init as PID 1 of new namespaces, as root directly,
// else with a user namespace, or as a keeper without any.
func boot(t *testing.T, name string, keeper bool) *machine {
	t.Helper()
	return bootProgram(t, "/proc/self/exe", name, keeper)
}

// bootProgram does it with another binary of this test, and more in its environment.
func bootProgram(t *testing.T, program, name string, keeper bool, env ...string) *machine {
	t.Helper()
	return bootWith(t, exec.Command(program), name, "", keeper, env...)
}

// bootWith does it by a command that executes this program, with the scenario's argument.
func bootWith(t *testing.T, cmd *exec.Cmd, name, argument string, keeper bool, env ...string) *machine {
	t.Helper()
	cmd.Env = append(append(os.Environ(), envRole+"=init", envScenario+"="+name, envArgument+"="+argument), env...)
	// A test that times out takes its init along. The signal comes when the
	// thread that forked ends, which this goroutine therefore keeps.
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if !keeper {
		cmd.Env = append(cmd.Env, envPrepared+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS}
		if os.Getuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	if cmd.Stderr == nil {
		cmd.Stderr = w
	}
	all, before := unix.Sigset_t{Val: [16]uint64{^uint64(0)}}, unix.Sigset_t{}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil { // as Settle executes init
		t.Fatal(err)
	}
	err = cmd.Start()
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
			t.Skipf("namespaces are not allowed here: %v", err)
		}
		t.Fatal(err)
	}
	w.Close()
	m := &machine{t: t, cmd: cmd, lines: make(chan string, 10000)}
	go func() {
		defer close(m.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			m.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		r.Close()
	})
	return m
}

// until reads the output up to a line that contains text.
func (m *machine) until(text string) {
	m.t.Helper()
	deadline := time.After(5 * time.Minute)
	for {
		select {
		case line, ok := <-m.lines:
			if !ok {
				m.t.Fatalf("init ended before %q:\n%s", text, m.tail())
			}
			m.log = append(m.log, line)
			if strings.Contains(line, text) {
				return
			}
		case <-deadline:
			m.t.Fatalf("no %q within five minutes:\n%s", text, m.tail())
		}
	}
}

func (m *machine) tail() string {
	return strings.Join(m.log[max(len(m.log)-60, 0):], "\n")
}

// ends waits for the exit code.
func (m *machine) ends(code int) {
	m.t.Helper()
	deadline := time.After(5 * time.Minute)
	for open := true; open; {
		select {
		case line, ok := <-m.lines:
			if open = ok; ok {
				m.log = append(m.log, line)
			}
		case <-deadline:
			m.t.Fatalf("init does not end:\n%s", m.tail())
		}
	}
	_ = m.cmd.Wait()
	got := m.cmd.ProcessState.ExitCode()
	if got == 77 && strings.Contains(m.tail(), "unprepared") {
		m.t.Skip(m.tail())
	}
	if got != code || strings.Contains(m.tail(), "FAIL") {
		m.t.Errorf("init ended with %v; want exit code %d:\n%s", m.cmd.ProcessState, code, m.tail())
	}
}

func (m *machine) has(text string) {
	m.t.Helper()
	if !strings.Contains(strings.Join(m.log, "\n"), text) {
		m.t.Errorf("output has no %q:\n%s", text, m.tail())
	}
}

func TestScenarios(t *testing.T) {
	for name, code := range map[string]int{
		"killed50": 50, "orphans": 10, "signals": 11, "garbage": 12, "full": 13, "lost": 14,
		"stubborn": 15, "hang": 16, "register": 18, "crashes": 17, "bigstore": 19, "defaultfs": 3,
		"roles": 21, "lastwords": 22, "oom": 23, "crashreboot": 133, "unattended": 133, "hurried": 24, "calmed": 25,
	} {
		t.Run(name, func(t *testing.T) {
			m := boot(t, name, false)
			m.ends(code)
		})
	}
}

// A keeper needs neither namespaces nor root.
func TestKeeper(t *testing.T) {
	for name, code := range map[string]int{"orphans": 10, "stubborn": 15, "crashes": 17} {
		t.Run(name, func(t *testing.T) { boot(t, name, true).ends(code) })
	}
	t.Run("SIGTERM", func(t *testing.T) {
		m := boot(t, "ignores", true)
		m.until("first turn")
		if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		m.ends(0)
	})
}

// A core that only kills itself: its descriptors, its service, and the put of
// its last moment are there each time.
func coreKilled50(b *testbed) {
	inode := func() uint64 {
		var st unix.Stat_t
		b.must(unix.Fstat(b.fds["memory"], &st))
		return st.Ino
	}
	if b.welcome.Generation == 1 {
		if b.welcome.Cause != fdstore.CauseNone {
			b.fail("first core's welcome: %+v", b.welcome)
		}
		b.kept.Service = b.children(1, "exec sleep 1000")[0]
		b.kept.Inode = inode()
	} else if b.welcome.Cause != fdstore.CauseKill || b.welcome.Status != int32(unix.SIGKILL) {
		b.fail("welcome: %+v; want the cause kill by 9", b.welcome)
	}
	if err := unix.Kill(b.kept.Service, 0); err != nil || inode() != b.kept.Inode {
		b.fail("service %d: %v; memory's inode %d; want %d", b.kept.Service, err, inode(), b.kept.Inode)
	}
	if len(b.fds) != 1+b.kept.Puts {
		b.fail("%d descriptors kept; want %d", len(b.fds), 1+b.kept.Puts)
	}
	b.must(b.Alive(1, false))
	if b.welcome.Generation == 51 {
		b.exit(50)
	}
	_, err := b.Put(fmt.Sprintf("last/%d", b.welcome.Generation), b.fds["memory"])
	b.must(err)
	b.kept.Puts++
	b.die(unix.SIGKILL)
}

// A thousand children lose their parent; their exits reach its successors,
// each pid exactly once per acknowledgement, whatever those die of.
func coreOrphans(b *testbed) {
	const number = 1000
	if b.welcome.Generation == 1 {
		b.must(b.Alive(1, true))
		for i, pid := range b.children(number, "read x; exit 3") {
			b.kept.Expect[pid] = true
			if i%100 == 0 {
				b.must(b.Alive(uint64(i), true))
			}
		}
		b.die(unix.SIGKILL) // closes the pipe that all of them read
	}
	early := map[uint64]bool{}
	for _, m := range b.later {
		early[m.Exit.ID] = true
	}
	for id := range b.kept.Seen { // what the core before was told is known: it comes before StoredEnd
		if _, done := b.kept.Acked[id]; !done && !early[id] {
			b.fail("exit %d did not come before StoredEnd; %d did", id, len(early))
		}
	}
	for n := 0; len(b.kept.Acked) < number; n++ {
		e := b.await(fdstore.KindExit).Exit
		if pid, again := b.kept.Acked[e.ID]; again {
			b.fail("exit %d of %d came again after its acknowledgement", e.ID, pid)
		}
		if pid, seen := b.kept.Seen[e.ID]; seen && pid != e.PID {
			b.fail("exit %d was of %d, now of %d", e.ID, pid, e.PID)
		}
		b.kept.Seen[e.ID] = e.PID
		if !b.kept.Expect[e.PID] || e.Code != proc.CLDExited || e.Status != 3 || e.StartTime == 0 || e.Cgroup == "" {
			b.fail("unexpected exit %+v", e)
		}
		if b.welcome.Generation == 2 && n == 100 {
			b.die(unix.SIGSEGV) // without an acknowledgement
		}
		b.must(b.AckExit(e.ID))
		b.kept.Acked[e.ID] = e.PID
		delete(b.kept.Expect, e.PID)
		if b.welcome.Generation < 6 && n == 150 {
			b.must(b.Alive(1, true))
			b.die(unix.SIGKILL)
		}
	}
	if len(b.kept.Expect) != 0 {
		b.fail("%d exits missing", len(b.kept.Expect))
	}
	b.exit(10)
}

// Every signal that user space can send reaches PID 1 and does not end it; what
// is the core's business comes to it, and again to the next one if not taken.
func coreSignals(b *testbed) {
	want := []int{1, 2, 10, 12, 15, 28, 30}
	for n := policy.RTMin; n <= policy.RTMin+29; n++ {
		if n < policy.RTMin+13 || n > policy.RTMin+16 {
			want = append(want, n)
		}
	}
	b.must(b.Alive(1, false))
	if b.welcome.Generation == 1 {
		for n := 1; n <= 64; n++ {
			if n < policy.RTMin+13 || n > policy.RTMin+16 {
				b.must(unix.Kill(1, syscall.Signal(n)))
			}
		}
	}
	if b.welcome.Generation == 3 {
		b.put("barrier", b.fds["memory"])
		if len(b.later) != 0 {
			b.fail("received %+v though all was taken", b.later)
		}
		b.exit(11)
	}
	got := map[int]uint64{}
	for len(got) < len(want) {
		m := b.await(fdstore.KindSignal)
		got[m.Signal] = m.ID
	}
	for _, n := range want {
		if got[n] == 0 {
			b.fail("signal %d did not come: %v", n, got)
		}
	}
	if b.welcome.Generation == 1 {
		b.die(unix.SIGKILL) // takes none
	}
	for _, id := range got {
		b.must(b.AckSignal(id))
	}
	if b.welcome.Generation == 2 {
		b.die(unix.SIGKILL)
	}
}

func coreGarbage(b *testbed) {
	switch b.welcome.Generation {
	case 1:
		fd := b.fds["memory"]
		for i := range 500 {
			p := []byte(strings.Repeat("SM\x01\x03garbage", i%60+1))
			for b2 := range p {
				p[b2] ^= byte(i * b2)
			}
			err := unix.Sendmsg(b.FD(), p, unix.UnixRights(fd, fd), nil, 0)
			if err == unix.EAGAIN {
				_, _ = unix.Poll([]unix.PollFd{{Fd: int32(b.FD()), Events: unix.POLLOUT}}, -1)
			} else {
				b.must(err)
			}
		}
		b.put("after", fd)
		b.must(b.Alive(1, false))
		b.must(b.Hello()) // once too often
		b.put("after2", fd)
		b.die(unix.SIGKILL)
	case 2:
		if len(b.fds) != 3 {
			b.fail("%d descriptors kept; want 3", len(b.fds))
		}
		b.must(b.Alive(1, false))
		b.save()
		for { // until init has enough
			err := unix.Sendto(b.FD(), []byte("garbage"), 0, nil)
			if err == unix.EAGAIN {
				_, _ = unix.Poll([]unix.PollFd{{Fd: int32(b.FD()), Events: unix.POLLOUT}}, -1)
			}
		}
	}
	if b.welcome.Cause != fdstore.CauseHang {
		b.fail("cause %v; want hang", b.welcome.Cause)
	}
	b.exit(12)
}

// More exits than the log holds: the kernel keeps the rest until room is made.
func coreFull(b *testbed) {
	if b.welcome.Generation == 1 {
		for _, pid := range b.children(200, "read x; exit 4") {
			b.kept.Expect[pid] = true
		}
		b.die(unix.SIGKILL)
	}
	for pid := range b.kept.Expect { // a core that turns is told of those alone that it registers
		for {
			p, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil || strings.Contains(string(p), ") Z ") {
				break
			}
			_, _ = unix.Poll(nil, 1)
		}
	}
	b.must(b.Alive(1, true))
	var first []fdstore.Exit
	for len(first) < 16 {
		first = append(first, b.await(fdstore.KindExit).Exit)
	}
	zombies := 0
	for pid := range b.kept.Expect {
		p, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && strings.Contains(string(p), ") Z 1 ") {
			zombies++
		}
	}
	if zombies == 0 {
		b.fail("no zombie is left though the log is full")
	}
	for _, e := range first {
		b.must(b.AckExit(e.ID))
		delete(b.kept.Expect, e.PID)
	}
	for len(b.kept.Expect) > 0 {
		e := b.await(fdstore.KindExit).Exit
		if !b.kept.Expect[e.PID] || e.Status != 4 {
			b.fail("unexpected exit %+v", e)
		}
		delete(b.kept.Expect, e.PID)
		b.must(b.AckExit(e.ID))
	}
	b.exit(13)
}

// Beyond the stated bound exits are lost, counted, and nothing worse happens.
func coreLost(b *testbed) {
	switch b.welcome.Generation {
	case 1:
		b.children(200, "read x; exit 4")
		b.die(unix.SIGKILL)
	default:
		b.must(b.Alive(1, true))
		if b.welcome.Lost < 200-16-31 {
			b.die(unix.SIGKILL) // init counts the zombies once a second
		}
	}
	b.exit(14)
}

func coreStubborn(b *testbed) {
	b.must(b.Alive(1, false))
	var ready [2]int
	b.must(unix.Pipe2(ready[:], 0))
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "trap '' TERM HUP INT; echo; while :; do sleep 1000; done"},
		&syscall.ProcAttr{Files: []uintptr{0, uintptr(ready[1]), 2}})
	b.must(err)
	_, err = unix.Read(ready[0], make([]byte, 1))
	b.must(err)
	fmt.Println("stubborn process", pid)
	b.exit(15)
}

// A stopped core, one that is busy and silent, and one that never begins.
func coreHang(b *testbed) {
	if b.welcome.Generation > 1 && b.welcome.Cause != fdstore.CauseHang {
		b.fail("cause %v; want hang", b.welcome.Cause)
	}
	switch b.welcome.Generation {
	case 1:
		b.must(b.Alive(1, true))
		b.die(unix.SIGSTOP)
	case 2:
		b.must(b.Alive(1, false)) // idle: the long interval
		b.save()
		forever()
	case 3:
		b.must(b.Alive(1, false))
		b.must(unix.Kill(1, unix.SIGHUP)) // never acknowledged: the short one
		b.save()
		forever()
	}
	b.exit(16)
}

// A process that ended before it was registered, and one after.
func coreRegister(b *testbed) {
	b.must(b.Alive(1, false))
	// A daemon as Type=forking has them: it runs script only once its parent is
	// gone, since a shell may otherwise reap it itself.
	orphan := func(script string) int {
		var pipe, gate [2]int
		b.must(unix.Pipe2(pipe[:], unix.O_CLOEXEC))
		b.must(unix.Pipe2(gate[:], unix.O_CLOEXEC))
		pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "(read x <&3; " + script + ") & echo $!"},
			&syscall.ProcAttr{Files: []uintptr{0, uintptr(pipe[1]), 2, uintptr(gate[0])}})
		b.must(err)
		var status unix.WaitStatus
		_, err = unix.Wait4(pid, &status, 0, nil)
		b.must(err)
		b.must(unix.Close(gate[1]))
		p := make([]byte, 32)
		n, err := unix.Read(pipe[0], p)
		b.must(err)
		var grandchild int
		fmt.Sscan(string(p[:n]), &grandchild)
		return grandchild
	}
	early := orphan("exit 5")
	for unix.Kill(early, 0) == nil { // until init has reaped it
		_, _ = unix.Poll(nil, 1)
	}
	b.must(b.Register(early, 0))
	if e := b.await(fdstore.KindExit).Exit; e.PID != early || e.Status != 5 {
		b.fail("exit %+v; want that of %d with 5", e, early)
	}
	late := orphan("exec sleep 1000")
	b.must(b.Register(late, startTime(late)))
	b.put("barrier", b.fds["memory"])
	b.must(unix.Kill(late, unix.SIGUSR1))
	if e := b.await(fdstore.KindExit).Exit; e.PID != late || e.Code != proc.CLDKilled || e.Status != int32(unix.SIGUSR1) {
		b.fail("exit %+v; want that of %d by 10", e, late)
	}
	unregistered := orphan("exit 6")
	for unix.Kill(unregistered, 0) == nil {
		_, _ = unix.Poll(nil, 1)
	}
	b.put("barrier2", b.fds["memory"])
	if m, err := b.Receive(); err != fdstore.ErrAgain || len(b.later) != 0 {
		b.fail("received %+v, %v, %v; want nothing of an unregistered process", m, err, b.later)
	}
	b.exit(18)
}

func coreIgnores(b *testbed) {
	b.must(b.Alive(1, false))
	for b.next().Kind != 0 {
	}
}

func coreCrashes(b *testbed) {
	b.save()
	switch g := b.welcome.Generation; {
	case g > 1 && b.welcome.Cause != fdstore.CauseCrash:
		b.fail("cause %v; want crash", b.welcome.Cause)
	case g == 1:
		panic("as cores do")
	case g == 2:
		b.die(unix.SIGILL)
	case g == 3:
		b.die(unix.SIGABRT)
	}
	b.exit(17)
}

// A core in its normal role dies until its budget is spent; one in the rescue role ends well,
// which asks for the normal one.
func coreRoles(b *testbed) {
	role := os.Getenv(fdstore.EnvRole)
	switch g := b.welcome.Generation; {
	case g <= 4 && role == "":
		b.save()
		os.Exit(2)
	case g == 5 && role == fdstore.RoleRescue:
		b.save()
		os.Exit(2) // it has a budget of its own
	case g == 6 && role == fdstore.RoleRescue:
		b.must(b.Pulse(1, time.Minute))
		b.put("barrier", b.fds["memory"])
		b.save()
		os.Exit(0)
	case g == 7 && role == "":
		b.exit(21)
	}
	b.fail("role %q", role)
}

func coreBigStore(b *testbed) {
	const number = 2000
	if b.welcome.Generation == 1 {
		b.must(b.Alive(1, true))
		for i := range number {
			for {
				_, err := b.Put(fmt.Sprintf("many/%d", i), b.fds["memory"])
				if err == nil {
					break
				}
				b.fail("put: %v", err)
			}
		}
		for range number {
			if m := b.await(fdstore.KindPutResult); m.Errno != 0 {
				b.fail("put: %v", m.Errno)
			}
		}
		b.die(unix.SIGKILL)
	}
	if len(b.fds) != number+1 {
		b.fail("%d descriptors; want %d", len(b.fds), number+1)
	}
	_, err := b.DropPrefix("many/")
	b.must(err)
	if m := b.await(fdstore.KindPutResult); m.Errno != 0 {
		b.fail("drop: %v", m.Errno)
	}
	if _, err := b.Drop("many/1"); err != nil {
		b.fail("drop: %v", err)
	}
	if m := b.await(fdstore.KindPutResult); m.Errno != unix.ENOENT {
		b.fail("drop: %v; want ENOENT", m.Errno)
	}
	b.exit(19)
}

func TestRescueWhenTheCoreOnlyExits(t *testing.T) {
	m := boot(t, "exits", false)
	m.until("cannot be kept alive; all services stay as they are; starting it in the rescue role")
	m.until("cannot be kept alive; all services stay as they are; not in the rescue role either")
	m.until("cannot") // the first rescue command does not exist
	m.until("rescue: here")
	m.until("core 8 started") // after the shell the core has another chance
	if err := m.cmd.Process.Signal(syscall.Signal(policy.RTMin + 14)); err != nil {
		t.Fatal(err)
	}
	m.ends(0)
}

func TestRebootWithoutCore(t *testing.T) {
	for _, name := range []string{"nocore", "norescue"} {
		m := boot(t, name, false)
		m.until("cannot be kept alive")
		if err := m.cmd.Process.Signal(syscall.Signal(policy.RTMin + 5)); err != nil {
			t.Fatal(err)
		}
		m.ends(133)
	}
}

func TestShutdownSignalThatTheCoreIgnores(t *testing.T) {
	m := boot(t, "ignores", false)
	m.until("first turn")
	if err := m.cmd.Process.Signal(syscall.Signal(policy.RTMin + 4)); err != nil {
		t.Fatal(err)
	}
	m.ends(0)
	m.has("the core does not take the request")
}

func TestCtrlAltDelSevenTimes(t *testing.T) {
	m := boot(t, "ignores", false)
	m.until("first turn")
	for range burstCount {
		if err := m.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		m.until("received signal 2")
	}
	m.ends(133)
}
