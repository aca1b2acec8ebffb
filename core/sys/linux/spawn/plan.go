package spawn

import (
	"path"
	"strings"

	"github.com/sysmaster-go/sysmaster/core/sys/shim"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// plan turns the settings into what the shim does.
func (s *Spawner) plan(req *Request, id *identity, st *streams, env, argv []string) *shim.Plan {
	c := req.Context
	p := &shim.Plan{
		Path: req.Command.Path, Argv: argv, Env: env, PIDEnv: pidEnv(req),
		FDs: len(req.FDs), NonBlock: c.NonBlocking, Stdio: st.open, TTY: s.tty(c),
		Limits: s.limits(c), Umask: int64(c.UMask & 0o777), KeepSIGPIPE: !c.IgnoreSIGPIPE,
		Search: searchPath(c),
	}
	s.planShares(p, c)
	s.planCredentials(p, req, id)
	if c.RootDirectory != "" && !(c.RootDirectoryStartOnly && req.Control) {
		p.Root = c.RootDirectory
	}
	p.Dir, p.DirOptional = c.WorkingDirectory, c.WorkingDirectoryMissingOK
	if c.WorkingDirectoryHome {
		p.Dir = "/root"
		if id.user != nil {
			p.Dir = id.user.Home
		}
	}
	return p
}

func searchPath(c *execspec.Context) []string {
	if len(c.ExecSearchPath) > 0 {
		return c.ExecSearchPath
	}
	return strings.Split(DefaultPath, ":")
}

func (s *Spawner) tty(c *execspec.Context) shim.TTY {
	t := shim.TTY{
		Path: c.TTYPath, Reset: c.TTYReset, Hangup: c.TTYVHangup, Clear: c.TTYVTDisallocate,
		Rows: int64(c.TTYRows), Columns: int64(c.TTYColumns),
	}
	if t.Path == "" {
		t.Path = s.cfg.Console
	}
	switch c.Stdin.Kind {
	case execspec.StdioTTYForce:
		t.Control, t.Force = true, true
	case execspec.StdioTTYFail:
		t.Control, t.Fail = true, true
	case execspec.StdioTTY:
		t.Control = true
	}
	return t
}

// limits are the unit's, and the manager's for the resources that the unit leaves.
func (s *Spawner) limits(c *execspec.Context) []shim.Limit {
	var out []shim.Limit
	var set [execspec.NumResources]bool
	for _, list := range [...][]execspec.Limit{c.Limits, s.cfg.Limits} {
		for _, l := range list {
			if l.Resource < execspec.NumResources && !set[l.Resource] {
				set[l.Resource] = true
				out = append(out, shim.Limit{Resource: int64(l.Resource), Soft: l.Soft, Hard: l.Hard, Name: "Limit" + l.Resource.String()})
			}
		}
	}
	return out
}

// planShares sets scheduling; where the unit says nothing, what we have for ourselves is undone.
func (s *Spawner) planShares(p *shim.Plan, c *execspec.Context) {
	switch {
	case c.OOMScoreAdjustSet:
		p.OOMScoreAdjust = shim.Some(int64(c.OOMScoreAdjust))
	case s.inherited.oomScoreAdjust != 0:
		p.OOMScoreAdjust = shim.Some(0)
	}
	switch {
	case c.NiceSet:
		p.Nice = shim.Some(int64(c.Nice))
	case s.inherited.nice != 0:
		p.Nice = shim.Some(0)
	}
	switch {
	case c.CPUSchedulingSet || c.CPUSchedulingResetOnFork:
		p.Sched = shim.Sched{Set: true, Policy: int64(c.CPUSchedulingPolicy), Priority: int64(c.CPUSchedulingPriority), ResetOnFork: c.CPUSchedulingResetOnFork}
	case s.inherited.policy != 0:
		p.Sched = shim.Sched{Set: true}
	}
	if c.CoredumpFilterSet {
		p.CoredumpFilter = shim.Some(int64(c.CoredumpFilter))
	}
	if c.IOSchedulingSet {
		p.IOPriority = shim.Some(int64(c.IOSchedulingClass)<<13 | int64(c.IOSchedulingPriority))
	}
	if c.TimerSlackSet {
		p.TimerSlack = shim.Some(int64(c.TimerSlack))
	}
	p.Affinity = cpuMask(c.CPUAffinity)
}

// cpuMask is the kernel's bit mask, in words of the machine's byte order (little-endian; on a
// big-endian one a word's bytes are turned around).
func cpuMask(cpus []int) []byte {
	if len(cpus) == 0 {
		return nil
	}
	const most = 8192
	top := 0
	for _, c := range cpus {
		if c >= 0 && c < most {
			top = max(top, c)
		}
	}
	mask := make([]byte, (top/64+1)*8)
	for _, c := range cpus {
		if c >= 0 && c < most {
			i := c / 8
			if bigEndian {
				i ^= 7
			}
			mask[i] |= 1 << (c % 8)
		}
	}
	return mask
}

func (s *Spawner) planCredentials(p *shim.Plan, req *Request, id *identity) {
	c := req.Context
	if id.set {
		p.SetGroups = true
		for _, g := range id.groups {
			p.Groups = append(p.Groups, int64(g))
		}
		if c.Group != "" || id.setUser {
			p.GID = shim.Some(int64(id.gid))
		}
		if id.setUser {
			p.UID = shim.Some(int64(id.uid))
		}
	}
	p.Keyring = [...]shim.KeyringMode{
		execspec.KeyringPrivate: shim.KeyringPrivate, execspec.KeyringInherit: shim.KeyringInherit, execspec.KeyringShared: shim.KeyringShared,
	}[c.KeyringMode]
	if !confined(req) {
		return
	}
	if c.CapabilityBoundingSet != execspec.AllCapabilities {
		p.Bounding = shim.Some(int64(c.CapabilityBoundingSet))
	}
	p.Ambient = int64(c.AmbientCapabilities)
	if c.SecureBits != 0 {
		p.SecureBits = shim.Some(int64(c.SecureBits))
	}
	p.NoNewPrivs = c.NoNewPrivileges
}

// locate finds the file that a direct spawn would execute, touching local file systems only.
// ok is false when that cannot be told without the shim.
func (s *Spawner) locate(req *Request) (file string, ok bool) {
	if strings.IndexByte(req.Command.Path, '/') >= 0 {
		return req.Command.Path, s.mounts.isLocal(req.Command.Path)
	}
	for _, dir := range searchPath(req.Context) {
		file := path.Join(dir, req.Command.Path)
		if !s.localPath(file) {
			return "", false
		}
		if isExecutable(file) {
			return file, s.mounts.isLocal(file)
		}
	}
	return "", false // the shim reports it
}
