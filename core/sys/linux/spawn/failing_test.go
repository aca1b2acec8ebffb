package spawn

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys/shim"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

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
