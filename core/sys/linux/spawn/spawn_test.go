package spawn

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

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
