package sim

import (
	"fmt"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Faults are what goes wrong by chance, decided by the machine's seed. All numbers are
// probabilities from 0 to 1. The zero value is a world without faults.
type Faults struct {
	SpawnFails   float64 `json:",omitempty"` // a process cannot be made, or a step of its set-up fails
	LateSpawned  float64 `json:",omitempty"` // a process does something, and ends, before the core hears that it was made
	EffectFails  float64 `json:",omitempty"` // Realize, Dirs or Listen is answered with an error
	ProbeUnknown float64 `json:",omitempty"` // after a crash nobody can tell what became of a spawn
	Duplicate    float64 `json:",omitempty"` // init reports an exit again that was acknowledged
	LostExit     float64 `json:",omitempty"` // init's record of an adopted process's exit is lost
	Reorder      bool    `json:",omitempty"` // inputs of different units come in any order
	Crash        float64 `json:",omitempty"` // the core dies at a checkpoint
	Hang         float64 `json:",omitempty"` // ... and was hanging for AliveLimit before init aborted it
	TornWrite    float64 `json:",omitempty"` // a crash after a commit tears that commit's write (StoreLog)
	FlippedBit   float64 `json:",omitempty"` // a crash finds a flipped bit in the newest log (StoreLog)
	// MaxCrashes bounds Crash; 0: no bound.
	MaxCrashes int `json:",omitempty"`
}

// AliveLimit is after how much time without a turn init aborts a core.
const AliveLimit = 5 * time.Second

// FaultKind names one injection.
type FaultKind string

// The injections that Fail knows, with the fields of Fault that they use.
const (
	FaultKill      FaultKind = "kill"       // Signal (0: 9) to the processes of Unit, from outside
	FaultOOM       FaultKind = "oom"        // the kernel's OOM killer takes a process of Unit
	FaultFreeze    FaultKind = "freeze"     // nothing in Unit's control group moves or dies For so long; a spawn into it hangs
	FaultClock     FaultKind = "clock"      // the real-time clock jumps by For; the monotonic one does not
	FaultFull      FaultKind = "disk-full"  // the store's disk is full For so long (0: for good)
	FaultIO        FaultKind = "disk-error" // ... every write fails with EIO
	FaultReadOnly  FaultKind = "read-only"  // ... is read-only
	FaultCrash     FaultKind = "crash"      // the core dies now, between two turns
	FaultHang      FaultKind = "hang"       // the core hangs in its next effect or unit until init aborts it
	FaultLostAlive FaultKind = "lost-alive" // the core's alive messages are lost: init aborts a healthy core
	FaultLoseFD    FaultKind = "lose-fd"    // init loses the descriptor Key
	FaultSpawn     FaultKind = "spawn"      // the next Times (0: 1) spawns of Path fail at Step with Status (0: 203)
	FaultConnect   FaultKind = "connect"    // a client connects to the socket Key
	FaultPoison    FaultKind = "poison"     // the core dies at each of the next Times (0: for ever) spawns of Unit, by itself
	FaultSignal    FaultKind = "signal"     // PID 1 gets Signal
)

// Fault is one injection. Which fields count depends on the Kind; those without which it could break
// nothing are needed.
type Fault struct {
	Kind   FaultKind
	Unit   unit.Name     `json:",omitempty"`
	Path   string        `json:",omitempty"`
	Key    string        `json:",omitempty"`
	Step   string        `json:",omitempty"`
	Status int           `json:",omitempty"`
	Signal int           `json:",omitempty"`
	Times  int           `json:",omitempty"`
	For    time.Duration `json:",omitempty"`
}

// lacks is the field that f needs and does not have; empty: none.
func (f Fault) lacks() string {
	switch f.Kind {
	case FaultKill, FaultOOM, FaultPoison, FaultFreeze:
		if f.Unit == "" {
			return "Unit"
		}
	case FaultLoseFD, FaultConnect:
		if f.Key == "" {
			return "Key"
		}
	case FaultSpawn:
		if f.Path == "" {
			return "Path"
		}
	case FaultSignal:
		if f.Signal == 0 {
			return "Signal"
		}
	}
	if (f.Kind == FaultFreeze || f.Kind == FaultClock) && f.For == 0 {
		return "For"
	}
	return ""
}

// Fail lets something go wrong now. An unknown kind and a fault without a field that it needs are
// errors; a fault that finds nothing to break (no such process, no such descriptor) is not.
func (m *Machine) Fail(f Fault) error {
	if field := f.lacks(); field != "" {
		return fmt.Errorf("cannot inject fault %q: it needs %s", f.Kind, field)
	}
	m.note("fault "+string(f.Kind), f.Unit, int64(f.Signal), 0, f.Path+f.Key)
	switch f.Kind {
	case FaultKill:
		for _, pid := range m.Procs(f.Unit) {
			m.signalProcess(m.procs[pid], or(f.Signal, sigKILL))
		}
	case FaultOOM:
		m.oom(f.Unit)
	case FaultFreeze:
		m.freeze(f.Unit, f.For)
	case FaultClock:
		m.realOffset += f.For
	case FaultFull, FaultIO, FaultReadOnly:
		m.breakDisk(f.Kind, f.For)
	case FaultCrash:
		return m.Crash()
	case FaultHang:
		m.hangNext = true
	case FaultLostAlive:
		return m.crash("alive messages lost", 0)
	case FaultLoseFD:
		delete(m.fds, f.Key)
	case FaultSpawn:
		m.failSpawns = append(m.failSpawns, f)
	case FaultConnect:
		m.Connect(f.Key)
	case FaultPoison:
		m.poison[f.Unit] = or(f.Times, 1<<30)
	case FaultSignal:
		m.Signal(f.Signal)
	default:
		return fmt.Errorf("cannot inject fault %q: there is none of that name", f.Kind)
	}
	return nil
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// chance draws from the machine's seed; a probability of 0 draws nothing.
func (m *Machine) chance(p float64) bool { return p > 0 && m.rng.Float64() < p }

func (m *Machine) oom(n unit.Name) {
	pids := m.Procs(n)
	if len(pids) == 0 {
		return
	}
	p := m.procs[pids[0]]
	if m.groups[p.cgroup] {
		m.ready = append(m.ready, m.forGroup(p.cgroup, unit.OOM{}))
	}
	m.signalProcess(p, sigKILL)
}

// freeze holds the unit's control group.
func (m *Machine) freeze(n unit.Name, d time.Duration) {
	u := m.engine.View().Unit(n)
	if u == nil || u.CGroup == "" {
		return
	}
	m.frozen[u.CGroup] = max(m.frozen[u.CGroup], m.now+d)
}

// spawnFault is the injected failure of a spawn of path, if one is due.
func (m *Machine) spawnFault(path string) *unit.SpawnError {
	for i := range m.failSpawns {
		f := &m.failSpawns[i]
		if f.Path != path {
			continue
		}
		err := &unit.SpawnError{Status: or(f.Status, 203), Step: f.Step, Msg: "injected"}
		if err.Step == "" {
			err.Step = "execve"
		}
		if f.Times--; f.Times <= 0 {
			m.failSpawns = append(m.failSpawns[:i:i], m.failSpawns[i+1:]...)
		}
		return err
	}
	if !m.chance(m.cfg.Faults.SpawnFails) {
		return nil
	}
	// Steps and statuses of man systemd.exec(5), "Process Exit Codes".
	steps := [...]unit.SpawnError{{Status: 203, Step: "execve"}, {Status: 200, Step: "WorkingDirectory"}, {Status: 217, Step: "User"},
		{Status: 219, Step: "control group"}, {Status: 226, Step: "mount namespace"}, {Status: 202, Step: "descriptors"}, {Status: 209, Step: "StandardOutput"}}
	err := steps[m.rng.IntN(len(steps))]
	err.Msg = "by chance"
	return &err
}
