package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Scenario is a whole run as data: what the machine is, what is asked of it and what goes wrong.
// It can be kept as JSON, replayed byte for byte, crashed at each of its checkpoints
// (CrashEverywhere) and shrunk (Shrink).
type Scenario struct {
	Name     string
	Note     string `json:",omitempty"` // what it once found
	Rule     Rule   `json:",omitempty"` // ... and the rule that it broke: what Replay looks at
	Seed     uint64
	Boot     unit.Name            // default default.target
	Files    map[string]string    // unit files by name
	Programs map[string][]Program // by path
	Steps    []Step               `json:",omitempty"`
	MaxDelay time.Duration        `json:",omitempty"`
	Store    StoreKind            `json:",omitempty"`
	Faults   Faults
	// Crashes are where the core dies: each after so many checkpoints since the one before.
	Crashes []int `json:",omitempty"`
	// Limit is how long to wait for calm after the last step, in virtual time; default 5 minutes.
	Limit time.Duration `json:",omitempty"`
}

// Action is what a Step does.
type Action string

// The actions of a Step.
const (
	DoStart        Action = "start"
	DoStop         Action = "stop"
	DoRestart      Action = "restart"
	DoReload       Action = "reload"
	DoTryRestart   Action = "try-restart"
	DoKill         Action = "kill" // by the control API: Signal to all processes of Unit
	DoResetFailed  Action = "reset-failed"
	DoCancel       Action = "cancel" // all jobs
	DoDaemonReload Action = "daemon-reload"
	DoDaemonReexec Action = "daemon-reexec"
	DoWrite        Action = "write" // Files replace or (empty text) remove unit files
	DoFail         Action = "fail"  // Fault
	DoWait         Action = "wait"
)

// Step is one thing that happens to the machine from outside.
type Step struct {
	After   time.Duration `json:",omitempty"` // since the step before
	Settled bool          `json:",omitempty"` // only when no job is left, or after 20 s
	Do      Action
	Unit    unit.Name         `json:",omitempty"`
	Mode    string            `json:",omitempty"` // default replace
	Signal  int               `json:",omitempty"`
	Vanish  bool              `json:",omitempty"` // the client does not ask again when the core dies
	Fault   *Fault            `json:",omitempty"`
	Files   map[string]string `json:",omitempty"`
}

// Host makes a machine of a Scenario: the kinds of units, and a loader of unit files.
type Host struct {
	Types map[unit.Kind]*unit.Type
	// Loader makes a loader over files by name; it is called again when the files change.
	Loader func(files map[string]string) func(unit.Name) *unit.Spec
	// Trace, if set, receives every line of every machine.
	Trace func(string)

	bug plantedBug
}

// player plays a scenario on a machine.
type player struct {
	host  Host
	s     *Scenario
	m     *Machine
	next  int
	due   time.Duration
	end   time.Duration
	files map[string]string
	crash *everywhere // nil: nothing more is crashed
	level int         // how often it was crashed
}

func (h Host) player(s *Scenario) (*player, error) {
	boot := s.Boot
	if boot == "" {
		boot = "default.target"
	}
	m, err := assemble(Config{Seed: s.Seed, Types: h.Types, Load: h.Loader(s.Files), Boot: boot, Mode: unit.ModeReplace, MaxDelay: s.MaxDelay,
		Faults: s.Faults, Store: s.Store, Limits: Limits{Job: 20 * time.Minute}, Trace: h.Trace})
	if err != nil {
		return nil, err
	}
	m.bug = h.bug
	for path, list := range s.Programs {
		m.Program(path, list...)
	}
	if len(s.Crashes) > 0 {
		m.CrashAfter(s.Crashes[0])
		m.planned = s.Crashes[1:]
	}
	p := &player{host: h, s: s, m: m, files: s.Files}
	p.schedule()
	return p, nil
}

// settleTime is how long a Settled step waits for jobs that do not end: those of a service that is
// restarted for ever.
const settleTime = 20 * time.Second

// schedule finds out when the next step is due.
func (p *player) schedule() {
	if p.next < len(p.s.Steps) {
		p.due = p.m.now + p.s.Steps[p.next].After
		p.m.at(p.due, happening{do: doNothing})
		return
	}
	limit := p.s.Limit
	if limit == 0 {
		limit = 5 * time.Minute
	}
	p.end = p.m.now + limit
	p.m.at(p.end, happening{do: doNothing})
}

// fork is the same play on a machine whose core has just died.
func (p *player) fork(cause string, down time.Duration) (*player, error) {
	q := *p
	m, err := p.m.fork1(cause, down)
	q.m = m
	return &q, err
}

// play goes on to the end, from the start of the first core if there was none.
func (p *player) play() (err error) {
	if p.m.engine == nil { // not in New: the first recovery is a place for crashes as any other
		if err := p.m.start(); err != nil {
			return err
		}
	}
	for more := true; ; {
		for p.next < len(p.s.Steps) && p.m.now >= p.due && (!p.s.Steps[p.next].Settled || p.settled() || !more || p.m.now >= p.due+settleTime) {
			more = true
			if err := p.do(p.s.Steps[p.next]); err != nil {
				return err
			}
			p.next++
			p.schedule()
		}
		if p.next == len(p.s.Steps) && (p.calm() || p.m.now >= p.end) {
			return p.last()
		}
		if more, err = p.m.Step(); err != nil {
			return err
		}
		if !more && p.next == len(p.s.Steps) {
			return p.last()
		}
	}
}

func (p *player) settled() bool {
	if len(p.m.engine.View().Jobs()) > 0 || len(p.m.ready) > 0 || p.m.restless {
		return false
	}
	for _, c := range p.m.clients {
		if !c.answered {
			return false
		}
	}
	for _, h := range p.m.queue {
		if h.do == doAsk || h.do == doManager || h.do == doReexec {
			return false
		}
	}
	return true
}

// calm: nothing is on its way but what may take for ever.
func (p *player) calm() bool {
	if p.m.shutdown != nil {
		return true
	}
	if !p.settled() || len(p.m.lanes) > 0 || p.m.store.broken != "" {
		return false
	}
	calm := true
	p.m.engine.View().Units(func(u *core.UnitView) bool {
		calm = u.State.Active != unit.Activating && u.State.Active != unit.Deactivating
		return calm
	})
	if !calm {
		return false
	}
	for _, h := range p.m.queue {
		if h.do == doDeliver || h.do == doExit {
			return false
		}
	}
	return p.m.engine.NextDeadline() > p.m.now+time.Second // a socket looks after its service
}

// last are the rules that hold in the end.
func (p *player) last() error {
	m := p.m
	if m.cfg.Unchecked || !m.store.works() || m.store.forgot || p.s.Faults.EffectFails > 0 { // poweroff.service may fail, too
		return nil
	}
	for _, st := range p.s.Steps {
		if st.Mode == unit.ModeReplaceIrreversibly.String() {
			return nil // a client's job stands against the one that powers off
		}
		if st.Do == DoFail && st.Fault.Kind == FaultSignal && st.Fault.Signal == sigPoweroff && m.shutdown == nil && p.s.Files["poweroff.target"] != "" {
			return p.goesDown()
		}
	}
	return nil
}

// goesDown gives a machine that was asked to power off as long as a job may take: a service that ignores
// SIGTERM holds it up for longer than Scenario.Limit.
func (p *player) goesDown() error {
	err := p.m.RunUntil(func() bool { return p.m.shutdown != nil }, p.m.cfg.Limits.Job)
	if errors.Is(err, ErrLimit) || errors.Is(err, ErrStuck) {
		return p.m.violated(RuleJobEnds, "", "the machine was asked to power off and does not")
	}
	return err
}

// sigPoweroff is SIGRTMIN+4 (man systemd(1), SIGNALS).
const sigPoweroff = 34 + 4

func (p *player) do(st Step) error {
	job := func(t unit.JobType) error {
		mode, ok := unit.ParseJobMode(st.Mode)
		if !ok {
			mode = unit.ModeReplace
		}
		return p.request(st, core.OpJob{Unit: st.Unit, Type: t, Mode: mode})
	}
	switch st.Do {
	case DoStart:
		return job(unit.JobStart)
	case DoStop:
		return job(unit.JobStop)
	case DoRestart:
		return job(unit.JobRestart)
	case DoReload:
		return job(unit.JobReload)
	case DoTryRestart:
		return job(unit.JobTryRestart)
	case DoKill:
		return p.request(st, core.OpKill{Unit: st.Unit, Signal: or(st.Signal, sigKILL)})
	case DoResetFailed:
		return p.request(st, core.OpResetFailed{Unit: st.Unit})
	case DoCancel:
		return p.request(st, core.OpCancel{})
	case DoDaemonReload:
		return p.request(st, core.OpReload{})
	case DoDaemonReexec:
		return p.request(st, core.OpReexec{})
	case DoWrite:
		p.write(st.Files)
		return nil
	case DoFail:
		if st.Fault == nil {
			return errors.New("cannot inject a fault: the step has none")
		}
		return p.m.Fail(*st.Fault)
	case DoWait:
		return nil
	}
	return fmt.Errorf("cannot do %q: there is no such action", st.Do)
}

func (p *player) request(st Step, op any) error {
	p.m.newClient(&client{op: op, repeat: !st.Vanish})
	return nil
}

func (p *player) write(files map[string]string) {
	next := maps.Clone(p.files)
	for name, text := range files {
		if text == "" {
			delete(next, name)
		} else {
			next[name] = text
		}
	}
	p.files = next
	p.m.SetFiles(p.host.Loader(next))
}

// outcome is what two runs are compared by: the units' states, and how often each program ran.
func (p *player) outcome() string {
	m := p.m
	var lines []string
	m.engine.View().Units(func(u *core.UnitView) bool {
		lines = append(lines, fmt.Sprintf("%s %v/%s (%s), %d processes", u.Name, u.State.Active, u.State.Sub, u.State.Result, len(m.Procs(u.Name))))
		return true
	})
	for path, n := range m.runs {
		lines = append(lines, fmt.Sprintf("%s ran %d times", path, n))
	}
	for key, n := range m.served {
		lines = append(lines, fmt.Sprintf("%s served %d", key, n))
	}
	if m.shutdown != nil {
		lines = append(lines, "down: "+m.shutdown.Verb)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
