package spawn

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys/shim"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// dump shows all that a program can find out about how it was started. Nothing is piped or
// redirected, since the shell's own descriptors would be listed.
const dump = `exec > $OUT.tmp 2>&1
grep -E '^(Sig(Blk|Ign)|Umask|Uid|Gid|Groups|Cap|NoNewPrivs)' /proc/self/status
echo oom $(cat /proc/self/oom_score_adj)
echo cwd $(pwd -P)
echo nice $(nice)
grep -E 'open files|core file|processes|priority|locked' /proc/self/limits
ls -l /proc/$$/fd
awk '{ print ($1 == $6) ? "leader" : "no leader", $7 }' /proc/$$/stat
tr '\0' '\n' < /proc/$$/environ | sort
echo args "$@"
mv $OUT.tmp $OUT`

func dumped(t *testing.T, s *Spawner, req Request) []string {
	t.Helper()
	text := run(t, s, req)
	var lines []string
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		if before, target, ok := strings.Cut(l, " -> "); ok { // ls: the number comes last, after a date
			l = "fd " + before[strings.LastIndexByte(before, ' ')+1:] + " " + target
		} else if strings.HasPrefix(l, "total ") {
			continue
		}
		if !strings.HasPrefix(l, "OUT=") && !strings.HasPrefix(l, "SYSTEMD_EXEC_PID=") && !strings.HasPrefix(l, "PWD=") &&
			!strings.HasSuffix(l, "/out.tmp") {
			lines = append(lines, l)
		}
	}
	return lines
}

func field(lines []string, key string) string {
	for _, l := range lines {
		if strings.HasPrefix(l, key) {
			return strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(l, key), ":"))
		}
	}
	return "(no " + key + ")"
}

// TestBothWaysLookTheSame is the promise that makes the choice of the way invisible.
func TestBothWaysLookTheSame(t *testing.T) {
	needRoot(t)
	s := newSpawner(t)
	require.Empty(t, s.Indirect())
	for _, c := range []struct {
		name   string
		change func(*execspec.Context, *Request)
		way    execspec.Way
	}{
		{"plain", func(*execspec.Context, *Request) {}, execspec.Thread},
		{"keyring of ours", func(c *execspec.Context, _ *Request) { c.KeyringMode = execspec.KeyringInherit }, execspec.Direct},
		{"user", func(c *execspec.Context, _ *Request) {
			c.User = "nobody"
			c.SupplementaryGroups = []string{"tty", "audio"}
		}, execspec.Thread},
		{"group", func(c *execspec.Context, _ *Request) { c.Group = "daemon" }, execspec.Thread},
		{"full privileges", func(c *execspec.Context, r *Request) { c.User = "nobody"; r.Command.Privileges = '+' }, execspec.Thread},
		{"environment", func(c *execspec.Context, r *Request) {
			c.Environment, r.Env = []string{"A=1", "B=2"}, []string{"B=3", "MAINPID=77"}
			r.NotifySocket, r.Invocation, r.Mark = "/run/n", [16]byte{0xab}, "x.service/7"
		}, execspec.Thread},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := context()
			req := request(ctx, shell(dump, "sh", "one", "two words"))
			c.change(ctx, &req)
			way, _ := s.way(&req, &streams{}, &identity{})
			require.Equal(t, c.way.String(), way.String())
			direct := dumped(t, s, req)
			through := newSpawner(t)
			through.indirect = []string{"forced by the test"}
			require.Equal(t, direct, dumped(t, through, req))

			require.Equal(t, "0000000000001000", field(direct, "SigIgn"), "only SIGPIPE is ignored")
			require.Equal(t, "0000000000000000", field(direct, "SigBlk"))
			require.Equal(t, "0022", field(direct, "Umask"))
			require.Equal(t, []string{"1024", strconv.FormatUint(coreLimit.Max, 10)}, strings.Fields(field(direct, "Max open files"))[:2])
			require.Equal(t, "0", field(direct, "oom"))
			require.Equal(t, "/", field(direct, "cwd"))
			require.Contains(t, direct, "leader 0", "a session leader without a terminal")
		})
	}
}

func TestSettingsOfTheShim(t *testing.T) {
	needRoot(t)
	s := newSpawner(t)
	c := context()
	c.UMask, c.IgnoreSIGPIPE = 0o027, false
	c.OOMScoreAdjust, c.OOMScoreAdjustSet = 500, true
	c.Nice, c.NiceSet = -5, true
	c.Limits = []execspec.Limit{
		{Resource: execspec.LimitCORE, Soft: 0, Hard: execspec.RLimInfinity},
		{Resource: execspec.LimitNOFILE, Soft: 4096, Hard: 8192},
		{Resource: execspec.LimitMEMLOCK, Soft: 65536, Hard: 65536},
	}
	c.User, c.NoNewPrivileges = "daemon", true
	c.WorkingDirectory = "/usr"
	c.CapabilityBoundingSet = 1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_CHOWN
	c.AmbientCapabilities = 1 << unix.CAP_NET_BIND_SERVICE
	got := dumped(t, s, request(c, shell(dump)))
	require.Equal(t, "0000000000000000", field(got, "SigIgn"))
	require.Equal(t, "0027", field(got, "Umask"))
	require.Equal(t, "500", field(got, "oom"))
	require.Equal(t, "-5", field(got, "nice"))
	require.Equal(t, []string{"4096", "8192"}, strings.Fields(field(got, "Max open files"))[:2])
	require.Equal(t, []string{"0", "unlimited"}, strings.Fields(field(got, "Max core file size"))[:2])
	require.Equal(t, []string{"65536", "65536"}, strings.Fields(field(got, "Max locked memory"))[:2])
	require.Equal(t, "1\t1\t1\t1", field(got, "Uid"))
	require.Equal(t, "1\t1\t1\t1", field(got, "Gid"))
	require.Equal(t, "1", field(got, "Groups"))
	require.Equal(t, "/usr", field(got, "cwd"))
	require.Equal(t, "1", field(got, "NoNewPrivs"))
	require.Equal(t, "0000000000000401", field(got, "CapBnd"))
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
		require.Equal(t, "0000000000000400", field(got, set), set)
	}
	require.Equal(t, "daemon", field(got, "USER="))
	require.Equal(t, "daemon", field(got, "LOGNAME="))
}

func TestSchedulingSecureBitsAndRoot(t *testing.T) {
	needRoot(t)
	s := newSpawner(t)
	c := context()
	c.CPUSchedulingPolicy, c.CPUSchedulingSet, c.CPUSchedulingResetOnFork = 3, true, true // batch
	c.CPUAffinity = []int{0}
	c.IOSchedulingClass, c.IOSchedulingPriority, c.IOSchedulingSet = 3, 0, true
	c.TimerSlack, c.TimerSlackSet = 123*time.Microsecond, true
	c.CoredumpFilter, c.CoredumpFilterSet = 0x7, true
	c.SecureBits = 1 << 4 // keep-caps
	c.KeyringMode = execspec.KeyringShared
	got := run(t, s, request(c, shell(`{ awk '{print $41}' /proc/$$/stat; grep Cpus_allowed_list /proc/$$/status; cat /proc/$$/timerslack_ns /proc/$$/coredump_filter; } > $OUT`)))
	require.Equal(t, "3\nCpus_allowed_list:\t0\n123000\n00000007\n", got)

	c = context()
	dir := outDir(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "proc"), 0o755))
	c.RootDirectory = dir
	p, err := s.Start(request(c, shell("true")))
	require.NoError(t, err)
	failure, ws := finished(t, p)
	require.Equal(t, &unit.SpawnError{Status: 203, Step: "execve", Msg: "/bin/sh: no such file or directory"}, failure)
	require.Equal(t, 203, ws.ExitStatus())
}

func TestDescriptors(t *testing.T) {
	s := newSpawner(t)
	dir := t.TempDir()
	var fds []FD
	for i, name := range []string{"http", "", "third"} {
		f, err := os.Create(filepath.Join(dir, strconv.Itoa(i)))
		require.NoError(t, err)
		defer f.Close()
		fds = append(fds, FD{int(f.Fd()), name})
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	fds = append(fds, FD{pair[0], "socket"})
	// One that is not to be seen, though it is inheritable.
	leak, err := unix.Dup(pair[1])
	require.NoError(t, err)
	defer unix.Close(leak)

	req := request(context(), shell(`exec > $OUT; echo $LISTEN_FDS $LISTEN_FDNAMES; [ $LISTEN_PID = $$ ] && [ $WATCHDOG_PID = $$ ] && [ $SYSTEMD_EXEC_PID = $$ ] && echo pid
	echo $WATCHDOG_USEC; ls -m /proc/$$/fd; grep flags /proc/$$/fdinfo/6; readlink /proc/$$/fd/3 /proc/$$/fd/4 /proc/$$/fd/5`))
	req.FDs, req.Watchdog = fds, 90*time.Second
	got := run(t, s, req)
	lines := strings.Split(strings.TrimSpace(got), "\n")
	require.Equal(t, "4 http:unknown:third:socket", lines[0])
	require.Equal(t, "pid", lines[1])
	require.Equal(t, "90000000", lines[2])
	require.Equal(t, "0, 1, 2, 3, 4, 5, 6", lines[3], "nothing else is open")
	require.Regexp(t, `^flags:\s+02$`, lines[4], "the socket blocks again")
	require.Equal(t, []string{dir + "/0", dir + "/1", dir + "/2"}, lines[5:])
}

func TestStreams(t *testing.T) {
	s := newSpawner(t)
	dir := outDir(t)
	path := func(n string) string { return filepath.Join(dir, n) }
	read := func(n string) string {
		b, err := os.ReadFile(path(n))
		require.NoError(t, err)
		return string(b)
	}
	require.NoError(t, os.WriteFile(path("in"), []byte("input\n"), 0o644))
	require.NoError(t, os.WriteFile(path("append"), []byte("before\n"), 0o644))
	require.NoError(t, os.WriteFile(path("truncate"), []byte("long long before\n"), 0o644))
	require.NoError(t, os.WriteFile(path("file"), []byte("long long before\n"), 0o644))
	c := context()
	c.Stdin = execspec.Stdio{Kind: execspec.StdioFile, Path: path("in")}
	c.Stdout = execspec.Stdio{Kind: execspec.StdioAppend, Path: path("append")}
	c.Stderr = execspec.Stdio{Kind: execspec.StdioTruncate, Path: path("truncate")}
	run(t, s, request(c, shell(`cat; echo err >&2; : > $OUT`)))
	require.Equal(t, "before\ninput\n", read("append"))
	require.Equal(t, "err\n", read("truncate"))

	c = context()
	c.Stdout = execspec.Stdio{Kind: execspec.StdioFile, Path: path("file")}
	c.Stderr = c.Stdout
	c.UMask = 0o077
	run(t, s, request(c, shell(`echo 1; echo 2 >&2; : > $OUT`)))
	require.Equal(t, "1\n2\n long before\n", strings.Replace(read("file"), "ng long", " long", 1)[:len("1\n2\n long before\n")])

	c.Stdout.Path = path("new")
	c.Stderr = execspec.Stdio{Kind: execspec.StdioInherit}
	run(t, s, request(c, shell(`echo 1; echo 2 >&2; : > $OUT`)))
	require.Equal(t, "1\n2\n", read("new"))
	st, err := os.Stat(path("new"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), st.Mode().Perm())

	pipe := make([]int, 2)
	require.NoError(t, unix.Pipe2(pipe, unix.O_CLOEXEC))
	_, err = unix.Write(pipe[1], []byte("piped\n"))
	require.NoError(t, err)
	unix.Close(pipe[1])
	req := request(context(), shell(`cat > $OUT`))
	req.Stdin = pipe[0]
	req.Context.Stdout.Kind = execspec.StdioNull
	require.Equal(t, "piped\n", run(t, s, req))
	unix.Close(pipe[0])
}

// TestFailingSteps: each step's own exit status, name and message, as systemd's.
func TestFailingSteps(t *testing.T) {
	needRoot(t)
	s := newSpawner(t)
	dir := outDir(t)
	plain := filepath.Join(dir, "plain")
	require.NoError(t, os.WriteFile(plain, []byte("no program"), 0o644))
	for _, c := range []struct {
		want   int
		step   string
		change func(*execspec.Context, *Request)
	}{
		{shim.ExitExec, "execve", func(_ *execspec.Context, r *Request) { r.Command.Path = "/nonexistent" }},
		{shim.ExitExec, "execve", func(_ *execspec.Context, r *Request) { r.Command.Path = plain }},
		{shim.ExitExec, "execve", func(_ *execspec.Context, r *Request) { r.Command.Path = "no-such-program-anywhere" }},
		{shim.ExitExec, "execve", func(c *execspec.Context, r *Request) { c.UMask = 0; r.Command.Path = dir }},
		{shim.ExitChdir, "WorkingDirectory", func(c *execspec.Context, _ *Request) { c.WorkingDirectory = "/nonexistent" }},
		{shim.ExitChroot, "RootDirectory", func(c *execspec.Context, _ *Request) { c.RootDirectory = "/nonexistent" }},
		{shim.ExitStdin, "StandardInput", func(c *execspec.Context, _ *Request) {
			c.Stdin = execspec.Stdio{Kind: execspec.StdioFile, Path: "/nonexistent"}
		}},
		{shim.ExitStdout, "StandardOutput", func(c *execspec.Context, _ *Request) {
			c.Stdout = execspec.Stdio{Kind: execspec.StdioAppend, Path: "/nonexistent/x"}
		}},
		{shim.ExitStderr, "StandardError", func(c *execspec.Context, _ *Request) {
			c.Stderr = execspec.Stdio{Kind: execspec.StdioTruncate, Path: "/nonexistent/x"}
		}},
		{shim.ExitStdin, "StandardInput", func(c *execspec.Context, _ *Request) {
			c.Stdin, c.TTYPath = execspec.Stdio{Kind: execspec.StdioTTYFail}, "/dev/null"
		}},
		{shim.ExitSetScheduler, "CPUSchedulingPolicy", func(c *execspec.Context, _ *Request) {
			c.CPUSchedulingPolicy, c.CPUSchedulingPriority, c.CPUSchedulingSet = 0, 99, true
		}},
		{shim.ExitCPUAffinity, "CPUAffinity", func(c *execspec.Context, _ *Request) { c.CPUAffinity = []int{4000} }},
		{shim.ExitIOPrio, "IOSchedulingClass", func(c *execspec.Context, _ *Request) {
			c.IOSchedulingClass, c.IOSchedulingPriority, c.IOSchedulingSet = 7, 0, true
		}},
		{shim.ExitCapabilities, "AmbientCapabilities", func(c *execspec.Context, _ *Request) {
			c.CapabilityBoundingSet, c.AmbientCapabilities, c.User = 1<<unix.CAP_CHOWN, 1<<unix.CAP_NET_RAW, "daemon"
		}},
		{shim.ExitLimits, "LimitNOFILE", func(c *execspec.Context, _ *Request) {
			c.Limits = []execspec.Limit{{Resource: execspec.LimitNOFILE, Soft: 10, Hard: 5}}
		}},
	} {
		t.Run(c.step, func(t *testing.T) {
			ctx := context()
			req := request(ctx, shell("true"))
			c.change(ctx, &req)
			p, err := s.Start(req)
			require.NoError(t, err)
			require.NotEqual(t, -1, p.StatusFD)
			failure, ws := finished(t, p)
			require.NotNil(t, failure)
			require.Equal(t, c.want, ws.ExitStatus(), "%v", failure)
			require.Equal(t, c.want, failure.Status)
			require.Equal(t, c.step, failure.Step)
			require.NotEmpty(t, failure.Msg)
		})
	}
}

func TestWorkingDirectoryMayBeMissing(t *testing.T) {
	c := context()
	c.WorkingDirectory, c.WorkingDirectoryMissingOK = "/nonexistent", true
	require.Equal(t, "/\n", run(t, newSpawner(t), request(c, shell("pwd -P > $OUT"))))
}

func TestRefusedBeforeThereIsAProcess(t *testing.T) {
	s := newSpawner(t)
	for _, c := range []struct {
		want   int
		step   string
		change func(*execspec.Context, *Request)
	}{
		{shim.ExitUser, "User", func(c *execspec.Context, _ *Request) { c.User = "nobody-has-this-name" }},
		{shim.ExitUser, "User", func(c *execspec.Context, _ *Request) { c.User = "4123456" }},
		{shim.ExitGroup, "Group", func(c *execspec.Context, _ *Request) { c.Group = "nobody-has-this-name" }},
		{shim.ExitGroup, "SupplementaryGroups", func(c *execspec.Context, _ *Request) { c.SupplementaryGroups = []string{"nobody-has-this-name"} }},
		{1, "ProtectSystem", func(c *execspec.Context, _ *Request) {
			c.Refused = []execspec.Refusal{{Key: "ProtectSystem", Value: "full"}}
		}},
		{1, "EnvironmentFile", func(c *execspec.Context, _ *Request) {
			c.EnvironmentFiles = []execspec.EnvironmentFile{{Path: "/nonexistent"}}
		}},
		{shim.ExitStdin, "StandardInput", func(c *execspec.Context, _ *Request) { c.Stdin.Kind = execspec.StdioData }},
		{shim.ExitExec, "execve", func(_ *execspec.Context, r *Request) { r.Command.Path = "" }},
	} {
		ctx := context()
		req := request(ctx, shell("true"))
		c.change(ctx, &req)
		_, err := s.Start(req)
		var spawn *unit.SpawnError
		require.ErrorAs(t, err, &spawn, c.step)
		require.Equal(t, c.want, spawn.Status, "%v", err)
		require.Equal(t, c.step, spawn.Step)
	}
}

func TestSearchPathAndVariables(t *testing.T) {
	s := newSpawner(t)
	out := filepath.Join(outDir(t), "out")
	c := context()
	c.Environment = []string{"OUT=" + out, "ARGS=a 'b c'", "X=x"}
	p, err := s.Start(request(c, unit.Command{Path: "sh", Argv: []string{"@name", "-c", `printf '%s|' "$$0" "$$@" > $$OUT`, "zero", "$ARGS", "${X}y", "$NONE"}}))
	require.NoError(t, err)
	require.Equal(t, -1, p.StatusFD, "a bare name is found without the shim")
	_, ws := finished(t, p)
	require.Equal(t, 0, ws.ExitStatus())
	b, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, "zero|a|b c|xy|", string(b))
}

func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	for n, text := range map[string]string{"a.conf": "FILE=a\nBOTH=a\n# comment\nQ='q q'\n", "b.conf": "BOTH=b\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, n), []byte(text), 0o644))
	}
	s := newSpawner(t, func(c *Config) { c.Env = []string{"LANG=C.UTF-8", "SECRET=s", "PASS=p"} })
	c := context()
	c.PassEnvironment, c.UnsetEnvironment = []string{"PASS", "NOTHING"}, []string{"SECRET", "GONE", "KEPT=other"}
	c.Environment = []string{"A=env", "FILE=env", "GONE=1", "KEPT=1", "REQ=env"}
	c.EnvironmentFiles = []execspec.EnvironmentFile{{Path: dir + "/*.conf"}, {Path: "/nonexistent", Optional: true}}
	c.Directories[execspec.RuntimeDirectory].Names = []execspec.DirectoryName{{Name: "x"}, {Name: "y"}}
	req := request(c, shell("true"))
	req.Env = []string{"REQ=request"}
	req.Mark = "test.service/3"
	env, failure := s.environment(&req, &identity{}, "8:9")
	require.Nil(t, failure)
	slices.Sort(env)
	require.Equal(t, []string{
		"A=env", "BOTH=b", "FILE=a", "JOURNAL_STREAM=8:9", "KEPT=1", "LANG=C.UTF-8", "PASS=p", "PATH=" + DefaultPath,
		"Q=q q", "REQ=request", "RUNTIME_DIRECTORY=/run/x:/run/y", "SYSMASTER_SPAWN=test.service/3",
	}, env)
}

func TestJournal(t *testing.T) {
	sock := filepath.Join(t.TempDir(), "stdout")
	l, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(l)
	require.NoError(t, unix.Bind(l, &unix.SockaddrUnix{Name: sock}))
	require.NoError(t, unix.Listen(l, 1))
	s := newSpawner(t, func(c *Config) { c.JournalSocket = sock })
	c := context()
	c.SyslogIdentifier = "ident"
	got := run(t, s, request(c, shell(`[ "$JOURNAL_STREAM" = $(stat -L -c %d:%i /proc/self/fd/2) ] && echo same > $OUT; echo hello; echo there >&2`)))
	require.Equal(t, "same\n", got)
	conn, _, err := unix.Accept(l)
	require.NoError(t, err)
	defer unix.Close(conn)
	var text []byte
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(conn, buf)
		require.NoError(t, err)
		if n == 0 {
			break
		}
		text = append(text, buf[:n]...)
	}
	require.Equal(t, "ident\ntest.service\n30\n1\n0\n0\n0\nhello\nthere\n", string(text))

	// With a journal that is there but does not accept, a service starts all the same.
	for range 4 {
		p, err := s.Start(request(context(), shell("true")))
		require.NoError(t, err)
		_, ws := finished(t, p)
		require.Equal(t, 0, ws.ExitStatus())
	}
}

func TestControllingTerminal(t *testing.T) {
	needRoot(t)
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("needs pseudo-terminals: %v", err)
	}
	defer unix.Close(master)
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
	c := context()
	c.Stdin, c.Stdout = execspec.Stdio{Kind: execspec.StdioTTY}, execspec.Stdio{Kind: execspec.StdioTTY}
	c.TTYPath, c.TTYReset, c.TTYRows, c.TTYColumns = "/dev/pts/"+strconv.Itoa(n), true, 40, 100
	got := run(t, newSpawner(t), request(c, shell(`{ tty; stty size; echo $TERM; echo works > /dev/tty && echo controlling; } > $OUT`)))
	require.Equal(t, c.TTYPath+"\n40 100\nvt220\ncontrolling\n", got)
}

func TestBornInControlGroup(t *testing.T) {
	root, path := testGroup(t)
	fd, err := root.Open(path)
	require.NoError(t, err)
	defer unix.Close(fd)
	script := shell("grep ^0:: /proc/self/cgroup > $OUT")
	for _, way := range []string{"direct", "shim", "join"} {
		s := newSpawner(t)
		if way != "direct" {
			s.indirect = []string{"forced by the test"}
		}
		s.noClone.Store(way == "join")
		req := request(context(), script)
		req.Cgroup = fd
		require.Equal(t, "0::/"+path+"\n", run(t, s, req), way)
	}
}

func TestFrozenControlGroup(t *testing.T) {
	root, path := testGroup(t)
	_, err := root.Create(path+"/inner", nil)
	require.NoError(t, err)
	fd, err := root.Open(path + "/inner")
	require.NoError(t, err)
	defer unix.Close(fd)
	s := newSpawner(t)
	req := request(context(), shell(": > $OUT"))
	req.Cgroup = fd

	require.NoError(t, root.Freeze(path+"/inner"))
	_, err = s.Start(req)
	var spawn *unit.SpawnError
	require.ErrorAs(t, err, &spawn)
	require.Equal(t, shim.ExitCgroup, spawn.Status)
	req.Thaw = true
	run(t, s, req)
	frozen, err := root.IsFrozen(path + "/inner")
	require.NoError(t, err)
	require.False(t, frozen)

	require.NoError(t, root.Freeze(path))
	_, err = s.Start(req)
	require.ErrorAs(t, err, &spawn, "a frozen ancestor is not thawed")
	require.NoError(t, root.Thaw(path))
	run(t, s, req)
}

func TestStartTicksAndMark(t *testing.T) {
	s := newSpawner(t)
	req := request(context(), shell("read x"))
	req.Mark = "test.service/9"
	var pipe [2]int
	require.NoError(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	req.Stdin = pipe[0]
	p, err := s.Start(req)
	require.NoError(t, err)
	unix.Close(pipe[0])
	require.NotZero(t, p.Start)
	require.Equal(t, startTicks(p.PID), p.Start)
	var env []byte
	for end := time.Now().Add(5 * time.Second); len(env) == 0 && time.Now().Before(end); {
		// Between the point of no return of execve and its end the file is empty.
		env, err = os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/environ")
		require.NoError(t, err)
		runtime.Gosched()
	}
	require.Contains(t, string(env), "SYSMASTER_SPAWN=test.service/9\x00")
	unix.Close(pipe[1])
	finished(t, p)
}

func TestShimKilledBeforeExec(t *testing.T) {
	needRoot(t)
	s := newSpawner(t)
	c := context()
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	c.Stdin = execspec.Stdio{Kind: execspec.StdioFile, Path: fifo} // waits for a writer
	p, err := s.Start(request(c, shell("true")))
	require.NoError(t, err)
	done, _ := ReadStatus(p.StatusFD)
	require.False(t, done)
	require.NoError(t, unix.Kill(p.PID, unix.SIGKILL))
	failure, ws := finished(t, p)
	require.NotNil(t, failure, "the end of the pipe alone is no success")
	require.Equal(t, syscall.SIGKILL, ws.Signal())
}

// latency measures how long GC and a spawn take. The median counts: what hangs would hold up
// every round for good, while a busy machine holds up some.
func latency(t *testing.T, s *Spawner) {
	t.Helper()
	const bound = 50 * time.Millisecond
	var rounds []time.Duration
	for range 9 {
		begin := time.Now()
		runtime.GC()
		p, err := s.Start(request(context(), shell("true")))
		rounds = append(rounds, time.Since(begin))
		require.NoError(t, err)
		finished(t, p)
	}
	slices.Sort(rounds)
	require.Less(t, rounds[len(rounds)/2], bound, "others wait for what hangs")
	t.Logf("GC and a spawn beside it take %v", rounds)
}

// TestHungFileSystem mounts a FUSE file system whose server never answers.
func TestHungFileSystem(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	fuse, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("needs FUSE: %v", err)
	}
	err = unix.Mount("dead", dir, "fuse", unix.MS_NODEV|unix.MS_NOSUID, "fd="+strconv.Itoa(fuse)+",rootmode=40000,user_id=0,group_id=0")
	if err != nil {
		unix.Close(fuse)
		t.Skipf("needs FUSE: %v", err)
	}
	closed := false
	kill := func() {
		if !closed { // ends the connection: whoever waits gets an error
			closed = true
			require.NoError(t, unix.Close(fuse))
		}
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	defer kill()

	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(filepath.Join(dir, "prog"), link))
	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("#!"+dir+"/interpreter\n"), 0o755))
	s := newSpawner(t)
	var hung []Process
	for _, path := range []string{filepath.Join(dir, "prog"), link, script} {
		p, err := s.Start(request(context(), unit.Command{Path: path, Argv: []string{path}}))
		require.NoError(t, err)
		require.NotEqual(t, -1, p.StatusFD, "%s goes through the shim", path)
		hung = append(hung, p)
	}
	c := context()
	c.WorkingDirectory = dir
	p, err := s.Start(request(c, shell("true")))
	require.NoError(t, err)
	hung = append(hung, p)
	c = context()
	c.EnvironmentFiles = []execspec.EnvironmentFile{{Path: dir + "/env"}}
	_, err = s.Start(request(c, shell("true")))
	require.ErrorContains(t, err, "not on a local file system")

	latency(t, s)
	for _, p := range hung {
		done, _ := ReadStatus(p.StatusFD)
		require.False(t, done, "it hangs")
	}
	kill()
	for i, p := range hung {
		failure, ws := finished(t, p)
		require.NotNil(t, failure)
		want := shim.ExitExec
		if i == 3 {
			want = shim.ExitChdir
		}
		require.Equal(t, want, ws.ExitStatus(), "%v", failure)
	}
}

// TestFrozenBesideOthers: a refused start in a frozen group, and others go on.
func TestFrozenBesideOthers(t *testing.T) {
	root, path := testGroup(t)
	fd, err := root.Open(path)
	require.NoError(t, err)
	defer unix.Close(fd)
	s := newSpawner(t)
	require.NoError(t, root.Freeze(path))
	req := request(context(), shell("true"))
	req.Cgroup = fd
	_, err = s.Start(req)
	require.Error(t, err)
	latency(t, s)
}
