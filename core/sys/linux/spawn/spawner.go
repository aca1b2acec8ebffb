package spawn

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys/shim"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// Spawner starts processes. Make it with New.
type Spawner struct {
	cfg       Config
	null      int // /dev/null, for reading and writing
	mounts    *mounts
	users     users
	inherited inherited
	indirect  []string
	scheduled sync.Once
	plain     *thread
	private   *thread
	noClone   atomic.Bool // clone3 into a control group is not permitted here
}

// New makes a Spawner. It looks once at what children inherit (see Indirect), for which it
// starts and kills one process; so nobody else may reap children meanwhile. It marks all
// descriptors of this process from 3 on as close-on-exec: those that it was itself started
// with are not for its children. It ignores SIGPIPE, which children inherit, as from systemd;
// other signals that are ignored by then are discarded instead, which is not inherited.
func New(cfg Config) (*Spawner, error) {
	cfg.setDefaults()
	if !strings.HasPrefix(cfg.ShimPath, "/") {
		return nil, fmt.Errorf("cannot use exec shim %q: not an absolute path", cfg.ShimPath)
	}
	if !isExecutable(cfg.ShimPath) {
		return nil, fmt.Errorf("cannot use exec shim %s: not an executable file", cfg.ShimPath)
	}
	if err := unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil && err != unix.ENOSYS && err != unix.EINVAL {
		return nil, fmt.Errorf("cannot mark descriptors close-on-exec: %w", err) // else: before Linux 5.11
	}
	settleSignals()
	in, err := observe(cfg.ShimPath)
	if err != nil {
		return nil, err
	}
	m, err := newMounts(cfg.MountInfo, cfg.ShimPath)
	if err != nil {
		return nil, err
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		m.close()
		return nil, fmt.Errorf("cannot open /dev/null: %w", err)
	}
	s := &Spawner{cfg: cfg, null: null, mounts: m, inherited: in, indirect: in.faults(cfg.Limits)}
	if s.plain, err = newThread(false); err == nil {
		s.private, err = newThread(true)
	}
	if err != nil {
		s.indirect = append(s.indirect, "no thread of its own: "+err.Error())
	}
	s.users.passwd = cached[User]{path: cfg.Passwd, parse: ParsePasswd}
	s.users.group = cached[Group]{path: cfg.Group, parse: ParseGroup}
	return s, nil
}

// Close gives up what the Spawner holds; processes stay. No Start may be under way.
func (s *Spawner) Close() error {
	for _, t := range [...]*thread{s.plain, s.private} {
		if t != nil {
			t.close()
		}
	}
	unix.Close(s.null)
	return s.mounts.close()
}

// Indirect says why this process cannot spawn directly at all, one reason each; empty if it
// can. Every spawn then pays for the shim. After Settle there is none.
func (s *Spawner) Indirect() []string {
	// Not in New: a program that hurries at its start (init's process.Hurried) is calm by its first child.
	s.scheduled.Do(func() { s.indirect = append(s.indirect, s.inherited.schedule()...) })
	return s.indirect
}

// Start starts one process. An error is a *unit.SpawnError, and there is no process then. A
// step that fails in the child is told by Process.StatusFD instead.
func (s *Spawner) Start(req Request) (Process, error) {
	p, err := s.start(&req)
	if err != nil {
		return Process{}, err
	}
	return p, nil
}

func (s *Spawner) start(req *Request) (Process, *unit.SpawnError) {
	if err := s.refuse(req); err != nil {
		return Process{}, err
	}
	id, err := s.identify(req)
	if err != nil {
		return Process{}, err
	}
	st, err := s.streams(req)
	if err != nil {
		return Process{}, err
	}
	defer st.close()
	env, err := s.environment(req, &id, st.journal)
	if err != nil {
		return Process{}, err
	}
	argv, _ := execspec.ExpandArgv(req.Command, func(name string) (string, bool) { return execspec.LookupEnv(env, name) })
	if len(argv) == 0 {
		argv = []string{req.Command.Path}
	}
	if req.Cgroup > 0 {
		if err := melt(req.Cgroup, req.Thaw); err != nil {
			return Process{}, err
		}
	}
	l := launch{s: s, req: req, id: &id, st: st, env: env, argv: argv}
	if way, file := s.way(req, st, &id); way != execspec.Shim {
		if p, ok := l.direct(file, way == execspec.Thread); ok {
			return p, nil
		}
		// It failed without effect, and Go does not tell at which step: the shim does.
	}
	return l.shim()
}

// refuse stops what must not run: settings that protect and are not implemented.
func (s *Spawner) refuse(req *Request) *unit.SpawnError {
	if req.Context == nil || req.Command.Path == "" {
		return &unit.SpawnError{Status: shim.ExitExec, Step: "execve", Msg: "no command"}
	}
	if r := req.Context.Refused; len(r) > 0 && confined(req) && !s.cfg.AllowDegraded {
		return &unit.SpawnError{Status: 1, Step: r[0].Key, Msg: r[0].String() + " protects, and is not implemented"}
	}
	return nil
}

// way decides how to spawn; file is what a direct one executes.
func (s *Spawner) way(req *Request, st *streams, id *identity) (way execspec.Way, file string) {
	if len(s.Indirect()) > 0 || s.noClone.Load() && req.Cgroup > 0 || st.needShim() {
		return execspec.Shim, ""
	}
	c := req.Context
	if c.AmbientCapabilities != 0 || c.NiceSet || c.CPUSchedulingSet || c.CPUSchedulingResetOnFork || c.IOSchedulingSet ||
		len(c.CPUAffinity) > 0 || c.TimerSlackSet {
		// The thread would keep them; starting a new one each time costs as much as the shim.
		return execspec.Shim, ""
	}
	at := execspec.Circumstances{FDs: len(req.FDs), Watchdog: req.Watchdog > 0}
	if way, _ = execspec.WayFor(c, req.Command, at); way == execspec.Shim {
		return way, ""
	}
	file, local := s.locate(req)
	if !local {
		return execspec.Shim, ""
	}
	return way, file
}

func isExecutable(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && unix.Access(path, unix.X_OK) == nil
}
