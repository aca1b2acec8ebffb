package setup

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// root makes a directory tree with files.
func root(t *testing.T, files map[string]string) *Machine {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return &Machine{Root: dir, Random: rand.Read}
}

func outcomes(results []Result) map[string]Outcome {
	m := make(map[string]Outcome)
	for _, r := range results {
		m[r.Name] = r.Outcome
	}
	return m
}

func TestFreshRootThenAgain(t *testing.T) {
	m := root(t, map[string]string{"etc/machine-id": "uninitialized\n", "etc/hostname": "web\n",
		"proc/sys/fs/nr_open": "1048576\n", "proc/sys/fs/file-max": "9223372036854775807\n"})
	o := outcomes(Run(m, Actions()))
	require.Equal(t, Done, o["directories"])
	require.Equal(t, Done, o["machine-id"])
	require.Equal(t, Done, o["file-limits"])
	for _, kernel := range []string{"shm", "pts", "hostname", "loopback", "descriptor-limit"} {
		require.Equal(t, Skipped, o[kernel], kernel)
	}
	require.DirExists(t, m.path("/run/systemd/system"))
	st, err := os.Stat(m.path("/run/lock"))
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|os.ModeSticky|0o777, st.Mode())
	id, ok := readID(m.path("/etc/machine-id"))
	require.True(t, ok)
	require.EqualValues(t, '4', id[12])

	o = outcomes(Run(m, Actions()))
	for _, name := range []string{"directories", "machine-id", "file-limits"} {
		require.Equal(t, Already, o[name], name)
	}
	again, _ := readID(m.path("/etc/machine-id"))
	require.Equal(t, id, again)
}

func TestMachineIDComesFromDBusOrStaysInRun(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	m := root(t, map[string]string{"etc/x": "", "run/x": "", "var/lib/dbus/machine-id": id + "\n"})
	r := Run(m, []Action{Actions()[6]})
	require.Equal(t, Done, r[0].Outcome, r[0].String())
	got, _ := readID(m.path("/etc/machine-id"))
	require.Equal(t, id, got)

	m = root(t, map[string]string{"run/x": "", "etc": "not a directory"})
	r = Run(m, []Action{Actions()[6]})
	require.Equal(t, "/run/machine-id", r[0].Why, r[0].String())
	_, ok := readID(m.path("/run/machine-id"))
	require.True(t, ok)
}

func TestLocale(t *testing.T) {
	m := root(t, nil)
	env, err := Locale(m)
	require.NoError(t, err)
	require.Equal(t, []string{DefaultLocale}, env)
	m = root(t, map[string]string{"etc/default/locale": "#  File\nLANG=\"de_DE.UTF-8\"\nLC_ALL=C\nPATH=/evil\nLC_TIME=../x\n"})
	env, err = Locale(m)
	require.NoError(t, err)
	require.Equal(t, []string{"LANG=de_DE.UTF-8"}, env)
	m.CommandLine = "ro locale.LANG=fr_FR.UTF-8 locale.LC_TIME=C"
	env, err = Locale(m)
	require.NoError(t, err)
	require.Equal(t, []string{"LANG=fr_FR.UTF-8", "LC_TIME=C"}, env)
	m = root(t, map[string]string{"etc/locale.conf": "\xff\xfe", "etc/default/locale": "LANG=C"})
	env, err = Locale(m)
	require.ErrorContains(t, err, "locale.conf")
	require.Equal(t, []string{"LANG=C"}, env)
}

func TestHostnames(t *testing.T) {
	require.Equal(t, "web.example", ParseHostname([]byte("# c\n\n web.example. \nother")))
	for _, bad := range []string{"", "-a", "a..b", "a b", strings.Repeat("a", 65), "ü"} {
		require.Empty(t, ParseHostname([]byte(bad)), bad)
	}
}

// The kernel's part, for real, in namespaces of its own.
func TestKernelPart(t *testing.T) {
	if os.Getenv("SETUP_TEST_INSIDE") == "" {
		self, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.Command(self, "-test.run=^TestKernelPart$", "-test.v")
		cmd.Env = append(os.Environ(), "SETUP_TEST_INSIDE=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUTS | unix.CLONE_NEWNET | unix.CLONE_NEWNS}
		if os.Getuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.Process == nil {
			t.Skip("needs namespaces: ", err)
		}
		require.NoError(t, err, string(out))
		return
	}
	require.NoError(t, unix.Sethostname([]byte("(none)")))
	m := &Machine{CommandLine: "quiet systemd.hostname=inside", Random: rand.Read}
	var list []Action
	for _, a := range Actions() {
		if a.Name == "hostname" || a.Name == "loopback" {
			list = append(list, a)
		}
	}
	for _, want := range []Outcome{Done, Already} {
		for _, r := range Run(m, list) {
			require.Equal(t, want, r.Outcome, r.String())
		}
	}
	name, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, "inside", name)
}

func FuzzParsers(f *testing.F) {
	f.Add([]byte("web\n"))
	f.Add([]byte("0123456789abcdef0123456789abcdef\n"))
	f.Add([]byte("LANG=\"de_DE.UTF-8\"\nLC_TIME=C"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h := ParseHostname(b); h != "" && !ValidHostname(h) {
			t.Fatalf("ParseHostname(%q) = %q", b, h)
		}
		if id, ok := ParseMachineID(b); ok && len(id) != 32 {
			t.Fatalf("ParseMachineID(%q) = %q", b, id)
		}
		env, err := ParseLocale(b)
		for _, kv := range env {
			if err != nil || strings.ContainsAny(kv, "\n\x00/") {
				t.Fatalf("ParseLocale(%q) has %q, %v", b, kv, err)
			}
		}
	})
}
