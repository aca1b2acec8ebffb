package service

import (
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execseq"
)

// Service is one service unit. It implements unit.Unit and unit.ProcHolder.
type Service struct {
	name unit.Name
	cfg  Config
	opt  Options
	data
}

// data is all that changes; Snapshot writes it.
type data struct {
	phase          phase
	result         result
	reloadResult   result
	m              execseq.Machine
	setup          []uint64 // Dirs and Realize that the start waits for
	mainIndex      int      // of the ExecStart= command that runs
	mainRun        bool     // the main process is one of ExecStart=, not one that forked away
	mainKnown      bool     // there is, or was, a main process that the service knows
	restartAllowed bool     // at the present stop: no manual stop, no refusal
	flushRestarts  bool
	restarts       uint32
	activeSince    time.Duration // monotonic, when running was entered last

	status [numLists][]execStatus
	main   execStatus // of the main process, whoever started it

	reads   []read // ReadPIDFile and FindMain under way
	held    *held  // the main process's end, while its PID file is looked at
	pidWait bool   // the PID file is watched

	removal  uint64 // the RemoveCgroup that is not answered
	leftover bool   // it failed: processes are left in the control group

	notice     notice
	statusText string
	errno      int
	watchdog   timer
	override   time.Duration // WATCHDOG_USEC=, 0: none

	stored   []storedFD
	nextFD   uint64
	conn     unit.FDRef // the connection of an Accept=yes socket
	cgroup   string
	dbusSaid bool

	forgetful bool // in start: what ends it may have been forgotten
}

// timer is one that the unit armed.
type timer struct {
	armed bool
	at    time.Duration
}

// held is the end of a main process that is not yet acted upon.
type held struct {
	proc unit.Proc
	exit unit.Exit
}

// execStatus is what became of one command.
type execStatus struct {
	pid         int
	start, exit unit.Stamp
	end         unit.Exit
}

const watchdogTimer = "watchdog"

func newData() data { return data{m: execseq.New(), restartAllowed: true, flushRestarts: true} }

// State implements unit.Unit.
func (s *Service) State() unit.State {
	return unit.State{Active: phases[s.phase].active, Sub: s.phase.String(), Result: s.result.String()}
}

// Procs implements unit.ProcHolder.
func (s *Service) Procs(f func(role string, p unit.Proc)) {
	if p := s.m.Main.Proc; !p.IsZero() {
		f("main", p)
	}
	if p := s.m.Control.Proc; !p.IsZero() {
		f("control", p)
	}
}

// Handle implements unit.Unit.
func (s *Service) Handle(tx *unit.Tx, ev unit.Event) {
	s.cgroup = tx.CGroup
	switch ev := ev.(type) {
	case unit.Start:
		s.onStart(tx)
		return
	case unit.Stop:
		s.onStop(tx)
		return
	case unit.Reload:
		s.onReload(tx)
		return
	case unit.Request:
		s.onRequest(tx, ev)
		return
	case unit.Notified:
		s.onNotified(tx, ev)
		return
	case unit.OOM:
		s.onOOM(tx)
		return
	case unit.PIDRead:
		s.onPIDRead(tx, ev)
		return
	case unit.PathChanged:
		s.onPathChanged(tx, ev)
		return
	case unit.Recovered:
		s.onRecovered(tx, ev.Forgetful)
		return
	case unit.Done:
		if s.onSetup(tx, ev) || s.onRemoved(ev) {
			return
		}
		// An effect that could not be carried out at all is answered by Done.
		s.onPIDRead(tx, unit.PIDRead{Seq: ev.Seq, Err: ev.Err})
	case unit.TimerFired:
		if ev.ID == watchdogTimer {
			s.onWatchdog(tx)
			return
		}
	}
	s.onNote(tx, s.m.Absorb(tx, ev))
}

func (s *Service) onNote(tx *unit.Tx, n execseq.Note) {
	switch n.Kind {
	case execseq.Spawned:
		s.onSpawned(tx, n.Main)
	case execseq.Execed:
		s.onExeced(tx, n)
	case execseq.Exited:
		s.say(tx, n)
		if n.Main {
			s.mainExited(tx, n.Proc, n.Exit)
		} else {
			s.controlExited(tx, n.Exit)
		}
	case execseq.Empty:
		s.onEmpty(tx)
	case execseq.Timeout:
		s.onTimeout(tx)
	}
}

// say tells the administrator why a process could not be made.
func (s *Service) say(tx *unit.Tx, n execseq.Note) {
	if n.Err != nil {
		tx.Emit(unit.Say{Level: unit.LevelErr, Text: n.Err.Error()})
	}
}

// set enters a phase. It is the only place that does.
func (s *Service) set(tx *unit.Tx, p phase) {
	s.phase = p
	s.forgetful = s.forgetful && p == start
	if !p.starting() && p != running && p != reload {
		s.unwatchPIDFile(tx)
	}
	if !p.in(startPost, running, reload) {
		s.stopWatchdog(tx)
	}
	// phases without a timer of their own; auto-restart, running and the rest set theirs
	if p.in(dead, failed, exited) {
		s.m.Disarm(tx)
	}
}

func (s *Service) fail(r result) {
	if s.result == success {
		s.result = r
	}
}

// restartJob reports whether the unit's job will start it again after the stop.
func (s *Service) restartJob(tx *unit.Tx) bool {
	p, ok := tx.Peer(s.name)
	return ok && (p.Job == unit.JobRestart || p.Job == unit.JobStart)
}

// mainAlive reports whether the main process lives; known is false if there is none that
// the service knows.
func (s *Service) mainAlive() bool { return s.m.Main.Live() || s.held != nil }

// good reports whether the service is up in the sense of its kind: its main process lives,
// or, if none is known, something of its control group does.
func (s *Service) good() bool {
	if s.mainAlive() {
		return true
	}
	if s.mainKnown && !s.cfg.ExitTypeCgroup {
		return false
	}
	return !s.m.Empty
}

func (s *Service) stampStart(st *execStatus, now unit.Stamp, pid int) {
	*st = execStatus{pid: pid, start: now}
}

func (s *Service) times() execseq.Times {
	return execseq.Times{Stop: s.cfg.TimeoutStop, Abort: s.cfg.TimeoutAbort}
}

// Refusals implements unit.Refuser: the protective settings that refuse a start.
func (s *Service) Refusals() []string {
	return append(s.cfg.Settings.Refused(), s.cfg.USB...)
}

func sentence(keys []string) string { return strings.Join(keys, ", ") }
