package spawn

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

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
