package spawn

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// maxEnvironmentFiles bounds what a glob in EnvironmentFile= may match.
const maxEnvironmentFiles = 256

// environment builds the variables of man systemd.exec(5), ENVIRONMENT VARIABLES, in systemd's
// order of precedence, later ones winning: the manager's, those of the start, PassEnvironment=,
// Environment=, EnvironmentFile=, the request's own; then UnsetEnvironment= takes away.
func (s *Spawner) environment(req *Request, id *identity, journal string) ([]string, *unit.SpawnError) {
	files, err := s.environmentFiles(req.Context.EnvironmentFiles)
	if err != nil {
		return nil, &unit.SpawnError{Status: 1, Step: "EnvironmentFile", Msg: err.Error()}
	}
	c := req.Context
	manager := execspec.MergeEnv([]string{"PATH=" + DefaultPath}, s.cfg.Env)
	env := execspec.MergeEnv(manager, startEnv(req, id, journal), c.DirectoryEnv(), searchPathEnv(c),
		passed(c.PassEnvironment, s.cfg.Env), c.Environment, files, req.Env)
	env = execspec.UnsetEnv(env, c.UnsetEnvironment)
	if req.Mark != "" {
		env = append(env, MarkEnv+"="+req.Mark)
	}
	return env, nil
}

// startEnv are the variables that tell a process about this very start.
func startEnv(req *Request, id *identity, journal string) []string {
	var env []string
	add := func(name, value string) { env = append(env, name+"="+value) }
	if id.user != nil {
		if id.user.Home != "" && id.user.Home != "/" {
			add("HOME", id.user.Home)
		}
		add("LOGNAME", id.user.Name)
		add("USER", id.user.Name)
		if sh := id.user.Shell; sh != "" && !isNologin(sh) {
			add("SHELL", sh)
		}
	}
	if req.Invocation != [16]byte{} {
		add("INVOCATION_ID", hex.EncodeToString(req.Invocation[:]))
	}
	if len(req.FDs) > 0 {
		names := make([]string, len(req.FDs))
		for i, f := range req.FDs {
			if names[i] = f.Name; names[i] == "" {
				names[i] = "unknown"
			}
		}
		add("LISTEN_FDS", strconv.Itoa(len(req.FDs)))
		add("LISTEN_FDNAMES", strings.Join(names, ":"))
	}
	if req.NotifySocket != "" {
		add("NOTIFY_SOCKET", req.NotifySocket)
	}
	if req.Watchdog > 0 {
		add("WATCHDOG_USEC", strconv.FormatInt(req.Watchdog.Microseconds(), 10))
	}
	if journal != "" {
		add("JOURNAL_STREAM", journal)
	}
	if usesTTY(req.Context) {
		add("TERM", terminalType(req.Context.TTYPath))
	}
	return env
}

// pidEnv are the variables that hold the process's own PID, which only the shim can set.
func pidEnv(req *Request) []string {
	names := []string{"SYSTEMD_EXEC_PID"}
	if len(req.FDs) > 0 {
		names = append(names, "LISTEN_PID")
	}
	if req.Watchdog > 0 {
		names = append(names, "WATCHDOG_PID")
	}
	// What the unit sets or unsets itself stays so.
	return slices.DeleteFunc(names, func(n string) bool {
		_, set := execspec.LookupEnv(req.Context.Environment, n)
		return set || slices.Contains(req.Context.UnsetEnvironment, n)
	})
}

func isNologin(shell string) bool {
	switch filepath.Base(shell) {
	case "nologin", "false", "true", "halt", "sync", "shutdown":
		return true
	}
	return false
}

// terminalType is "linux" on virtual consoles, else what everything understands.
func terminalType(path string) string {
	name := strings.TrimPrefix(path, "/dev/")
	if path == "" || name == "console" || strings.HasPrefix(name, "tty") && len(name) > 3 && name[3] >= '0' && name[3] <= '9' {
		return "linux"
	}
	return "vt220"
}

func searchPathEnv(c *execspec.Context) []string {
	if len(c.ExecSearchPath) == 0 {
		return nil
	}
	return []string{"PATH=" + strings.Join(c.ExecSearchPath, ":")}
}

func passed(names, env []string) []string {
	var out []string
	for _, n := range names {
		if v, ok := execspec.LookupEnv(env, n); ok {
			out = append(out, n+"="+v)
		}
	}
	return out
}

// environmentFiles reads the files in order. They are read here, not in the child, because
// arguments are made of them; so they must lie on a local file system.
func (s *Spawner) environmentFiles(list []execspec.EnvironmentFile) ([]string, error) {
	var env []string
	for _, f := range list {
		got, err := s.environmentFile(f.Path)
		if err != nil {
			if f.Optional {
				continue
			}
			return nil, err
		}
		env = execspec.MergeEnv(env, got)
	}
	return env, nil
}

func (s *Spawner) environmentFile(pattern string) ([]string, error) {
	paths := []string{pattern}
	if fixed, _, isGlob := cutGlob(pattern); isGlob {
		if !s.localPath(fixed) {
			return nil, fmt.Errorf("%s: cannot be read: it is not on a local file system", pattern)
		}
		var err error
		if paths, err = filepath.Glob(pattern); err != nil {
			return nil, fmt.Errorf("%s: %w", pattern, err)
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("%s: %w", pattern, syscall.ENOENT)
		}
		if len(paths) > maxEnvironmentFiles {
			return nil, fmt.Errorf("%s: matches more than %d files", pattern, maxEnvironmentFiles)
		}
	}
	var env []string
	for _, p := range paths {
		if !s.localPath(p) {
			return nil, fmt.Errorf("%s: cannot be read: it is not on a local file system", p)
		}
		b, err := readRegular(p, execspec.MaxEnvironmentFile)
		if err != nil {
			return nil, err
		}
		got, _, err := execspec.ParseEnvironmentFile(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		env = execspec.MergeEnv(env, got)
	}
	return env, nil
}

// cutGlob gives the directory before the first component with a glob(7) character.
func cutGlob(pattern string) (fixed, rest string, isGlob bool) {
	i := strings.IndexAny(pattern, "*?[")
	if i < 0 {
		return pattern, "", false
	}
	slash := strings.LastIndexByte(pattern[:i], '/')
	return pattern[:slash+1], pattern[slash+1:], true
}

// readRegular reads a file that is no FIFO or device.
func readRegular(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is not a regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: is larger than %d bytes", path, limit)
	}
	return b, nil
}

func (s *Spawner) localPath(path string) bool {
	table, known := s.mounts.current()
	if !known {
		return false
	}
	_, local := table.resolve(path, readlink)
	return local
}
