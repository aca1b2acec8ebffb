package pid1

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/apifs"
	"github.com/sysmaster-go/sysmaster/init/event"
	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/init/policy"
	"github.com/sysmaster-go/sysmaster/init/process"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// The test binary is also the init and the core of these tests: TestMain looks
// at the environment before any test runs.
const (
	envRole     = "PID1_TEST_ROLE"
	envScenario = "PID1_TEST_SCENARIO"
	envPrepared = "PID1_TEST_NAMESPACE"
	envCount    = "PID1_TEST_COUNT"
	envFiles    = "PID1_TEST_FILES"    // a directory with programs
	envArgument = "PID1_TEST_ARGUMENT" // of a scenario
	envSiege    = "SYSMASTER_SIEGE"    // set: the attacks in full, as "make siege" does
)

// siege gives the number of an attack: light for every run, heavy for "make siege".
func siege(light, heavy int) int {
	if os.Getenv(envSiege) != "" {
		return heavy
	}
	return light
}

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "init":
		signals := AcceptSignals()
		behave(trailer())
		os.Exit(testInit(signals))
	case "core":
		behaveAsCore(trailer())
		os.Exit(testCore())
	case "rescue":
		fmt.Println("rescue: here")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// testInit is the init of a scenario, in namespaces of its own or as a keeper.
func testInit(signals *process.Signals) int {
	if os.Getenv(fdstore.EnvFD) != "" {
		fmt.Println("FAIL: an init as a core")
		return 98
	}
	if os.Getenv(envPrepared) != "" && os.Getenv(handover.EnvState) == "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			fmt.Println("unprepared: cannot make / private:", err)
			return 77
		}
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			fmt.Println("unprepared: cannot mount /proc:", err)
			return 77
		}
	}
	keeper := os.Getenv(envPrepared) == ""
	role := func(name string) Command {
		// Not os.Environ(): of two values of a variable a Go program sees the first,
		// and a core that takes itself for an init starts one that does too.
		return Command{Path: "/proc/self/exe", Env: []string{
			envRole + "=" + name, envScenario + "=" + os.Getenv(envScenario), envCount + "=" + os.Getenv(envCount),
			envFiles + "=" + os.Getenv(envFiles), envArgument + "=" + os.Getenv(envArgument),
			envSiege + "=" + os.Getenv(envSiege), "PATH=" + os.Getenv("PATH"),
		}}
	}
	cfg := Config{
		Signals: signals, Subreaper: keeper, Core: role("core"), Console: os.Stdout,
		APIFS: []apifs.Action{}, Rescue: []Command{{Path: "/nonexistent/rescue"}, role("rescue")},
		HangIdle: time.Minute, HangBusy: time.Minute, AbortGrace: 300 * time.Millisecond,
		Retry: policy.Retry{Deaths: 3, Delay: time.Millisecond, MaxDelay: 5 * time.Millisecond, Rest: 50 * time.Millisecond},
	}
	cfg.Version = "one" + trailer()
	cfg.TrialTimeout = 2 * time.Second
	if trailer() == "small" && os.Getenv(handover.EnvRole) == "" {
		cfg.MaxFDs = 1
	}
	cfg.Shutdown.TermTimeout, cfg.Shutdown.KillTimeout = 500*time.Millisecond, 5*time.Second
	if s, ok := scenarios()[os.Getenv(envScenario)]; ok && s.config != nil {
		s.config(&cfg)
	}
	cfg.Observe = func(e event.Event) {
		stormy := e.Kind == event.Signal && (os.Getenv(envCount) != "" || os.Getenv(envScenario) == "flood") // not to wait for who reads it
		if e.Kind != event.Exit && e.Kind != event.Store && !stormy {
			fmt.Println("event", int(e.Kind), e.String())
		}
	}
	return Run(cfg)
}

// scenario is one story of an init and its cores.
type scenario struct {
	config func(*Config)
	core   func(*testbed) // runs in each core anew
}

// testbed is a core of a scenario. What must survive it lies in a memfd that
// init keeps, as it would be with a real one.
type testbed struct {
	*fdstore.Client
	welcome fdstore.Welcome
	fds     map[string]int
	kept    memory
	later   []fdstore.Message // received while waiting for something else
}

type memory struct {
	Service  int            // pid
	Inode    uint64         // of the kept memfd
	Puts     int            // done just before a death
	Expect   map[int]bool   // pids whose exits are to come
	Acked    map[uint64]int // exit id to pid
	Seen     map[uint64]int
	Signals  map[int]int
	Notes    []string
	Previous []string
}

func testCore() int {
	client, err := fdstore.FromEnviron(os.Getenv)
	if err != nil {
		fmt.Println("core: cannot begin:", err)
		return 1
	}
	b := &testbed{Client: client, fds: map[string]int{}}
	b.must(b.Hello())
	b.welcome = b.await(fdstore.KindWelcome).Welcome
	for {
		m := b.next()
		if m.Kind == fdstore.KindStoredEnd {
			if int(m.Count) != len(b.fds) {
				b.fail("StoredEnd says %d, received %d", m.Count, len(b.fds))
			}
			break
		}
		if m.Kind == fdstore.KindExit {
			b.later = append(b.later, m)
			continue
		}
		if m.Kind != fdstore.KindStored || m.FD < 0 {
			b.fail("received %+v before StoredEnd", m)
		}
		b.fds[m.Key] = m.FD
	}
	b.load()
	scenarios()[os.Getenv(envScenario)].core(b)
	return 0
}

func (b *testbed) fail(format string, args ...any) {
	fmt.Printf("FAIL core %d: %s\n", b.welcome.Generation, fmt.Sprintf(format, args...))
	b.must(b.Shutdown(fdstore.Shutdown{Verb: fdstore.VerbExit, Code: 99}))
	forever()
}

func (b *testbed) must(err error) {
	if err != nil {
		b.fail("%v", err)
	}
}

// next gives the next message, waiting for it: until init, which sends it, has slept for 30 looks in
// a row. A machine that is merely slow has it runnable, or at work.
func (b *testbed) next() fdstore.Message {
	idle, worked := 0, int64(0)
	for {
		b.must(b.Flush())
		m, err := b.Receive()
		if err == nil {
			return m
		}
		if err != fdstore.ErrAgain {
			b.fail("cannot receive: %v", err)
		}
		if idle == 30 {
			b.fail("nothing received for 30 s, in which init slept")
		}
		fds := []unix.PollFd{{Fd: int32(b.FD()), Events: unix.POLLIN}}
		if b.Pending() > 0 {
			fds[0].Events |= unix.POLLOUT
		}
		if n, _ := unix.Poll(fds, 1000); n == 0 {
			if state, ticks := atWork(os.Getppid()); state != 'S' || ticks != worked {
				idle, worked = -1, ticks
			}
			idle++
		}
	}
}

// atWork gives a process's state and the processor time that it has used (proc_pid_stat(5)), in
// hundredths of a second. Without /proc it sleeps for ever.
func atWork(pid int) (state byte, ticks int64) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, ok := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if err != nil || !ok || len(fields) < 13 {
		return 'S', 0
	}
	for _, f := range fields[11:13] {
		n, _ := strconv.ParseInt(f, 10, 64) // the kernel's
		ticks += n
	}
	return fields[0][0], ticks
}

// await gives the next message of a kind and keeps the others for pending.
func (b *testbed) await(kind fdstore.Kind) fdstore.Message {
	for i, m := range b.later {
		if m.Kind == kind {
			b.later = append(b.later[:i], b.later[i+1:]...)
			return m
		}
	}
	for {
		m := b.next()
		if m.Kind == kind {
			return m
		}
		b.later = append(b.later, m)
	}
}

func (b *testbed) put(key string, fd int) {
	seq, err := b.Put(key, fd)
	b.must(err)
	if m := b.await(fdstore.KindPutResult); m.Seq != seq || m.Errno != 0 {
		b.fail("result of put %d: %+v", seq, m)
	}
}

func (b *testbed) load() {
	fd, ok := b.fds["memory"]
	if !ok {
		created, err := unix.MemfdCreate("memory", unix.MFD_CLOEXEC)
		b.must(err)
		b.fds["memory"] = created
		b.put("memory", created)
		b.kept = memory{Expect: map[int]bool{}, Acked: map[uint64]int{}, Seen: map[uint64]int{}, Signals: map[int]int{}}
		return
	}
	var st unix.Stat_t
	b.must(unix.Fstat(fd, &st))
	p := make([]byte, st.Size)
	_, err := unix.Pread(fd, p, 0) // no os.File: the garbage collector would close it
	b.must(err)
	b.must(json.Unmarshal(p, &b.kept))
}

func (b *testbed) save() {
	p, err := json.Marshal(b.kept)
	b.must(err)
	b.must(unix.Ftruncate(b.fds["memory"], 0))
	_, err = unix.Pwrite(b.fds["memory"], p, 0)
	b.must(err)
}

func (b *testbed) die(sig syscall.Signal) {
	b.save()
	b.empty()
	b.must(unix.Kill(os.Getpid(), sig))
	forever()
}

// empty sends what is queued.
func (b *testbed) empty() {
	for b.Pending() > 0 {
		b.must(b.Flush())
	}
}

func (b *testbed) exit(code uint8) {
	b.must(b.Shutdown(fdstore.Shutdown{Verb: fdstore.VerbExit, Code: code}))
	b.empty()
	forever()
}

// children starts n processes that end when the returned descriptor, which
// only this core has, is closed - by its death at the latest.
func (b *testbed) children(n int, script string) []int {
	var pipe [2]int
	b.must(unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	var pids []int
	for range n {
		pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", script}, &syscall.ProcAttr{Files: []uintptr{uintptr(pipe[0]), 1, 2}})
		b.must(err)
		pids = append(pids, pid)
	}
	b.must(unix.Close(pipe[0]))
	return pids
}

func startTime(pid int) uint64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	var n uint64
	rest := b
	for i := range rest {
		if rest[len(rest)-1-i] == ')' {
			rest = rest[len(rest)-i:]
			break
		}
	}
	field := 3
	for _, w := range splitFields(string(rest)) {
		if field == 22 {
			n, _ = strconv.ParseUint(w, 10, 64)
		}
		field++
	}
	return n
}

func splitFields(s string) []string {
	var out []string
	word := ""
	for _, c := range s + " " {
		if c == ' ' || c == '\n' {
			if word != "" {
				out = append(out, word)
			}
			word = ""
			continue
		}
		word += string(c)
	}
	return out
}

// forever waits without the runtime's calling it a deadlock.
func forever() {
	for {
		_ = unix.Pause()
	}
}
