package service

import (
	"strconv"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execseq"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// onStart begins a start, in dead, failed and auto-restart.
func (s *Service) onStart(tx *unit.Tx) {
	switch {
	case s.phase.starting(), s.phase.up():
		return // it is on its way, or there
	case s.phase.stopping():
		tx.Refuse("the service is still stopping")
		return
	}
	s.m.Disarm(tx)
	s.resetRun()
	if s.flushRestarts {
		s.restarts, s.flushRestarts = 0, false
	}
	if keys := s.Refusals(); len(keys) > 0 {
		if !s.opt.AllowDegraded {
			tx.Emit(unit.Say{Level: unit.LevelErr, Text: "not started, because what it asks for is not implemented: " + sentence(keys)})
			s.restartAllowed = false
			s.enterDead(tx, resources)
			return
		}
		for _, k := range keys {
			tx.Emit(unit.Say{Level: unit.LevelWarning, Text: "started without " + k})
		}
	}
	s.set(tx, startPre)
	s.m.Arm(tx, s.cfg.TimeoutStart)
	if dirs := s.cfg.Settings.Exec.ManagedDirs(); len(dirs) > 0 {
		s.setup = append(s.setup, tx.Emit(unit.Dirs{Dirs: dirs}))
	}
	s.setup = append(s.setup, tx.Emit(unit.Realize{}))
}

// resetRun forgets the last run.
func (s *Service) resetRun() {
	s.result, s.reloadResult = success, success
	s.mainKnown, s.mainRun, s.mainIndex = false, false, 0
	s.restartAllowed = true
	s.statusText, s.errno, s.notice, s.override = "", 0, noticeNone, 0
	s.status = [numLists][]execStatus{}
	s.main = execStatus{}
	s.reads, s.held, s.setup = nil, nil, nil
}

// onSetup takes the answers that the first command waits for; false if d is none of them.
func (s *Service) onSetup(tx *unit.Tx, d unit.Done) bool {
	for i, seq := range s.setup {
		if seq != d.Seq {
			continue
		}
		s.setup = append(s.setup[:i:i], s.setup[i+1:]...)
		switch {
		case !s.phase.starting():
		case d.Err != "":
			tx.Emit(unit.Say{Level: unit.LevelErr, Text: "cannot prepare the start: " + d.Err})
			s.setup = nil
			s.enterSignal(tx, stopSigterm, resources)
		case len(s.setup) == 0:
			s.enterList(tx, condition, listCondition)
		}
		return true
	}
	return false
}

// enterList runs the commands of l in phase p, or goes on with what comes after them.
func (s *Service) enterList(tx *unit.Tx, p phase, l list) {
	if len(s.cfg.Exec[l]) > 0 {
		s.set(tx, p)
		s.runControl(tx, l, 0)
		return
	}
	s.afterList(tx, l)
}

// afterList goes on when all commands of l have succeeded.
func (s *Service) afterList(tx *unit.Tx, l list) {
	switch l {
	case listCondition:
		s.enterList(tx, startPre, listStartPre)
	case listStartPre:
		s.enterStart(tx)
	case listStartPost:
		s.enterRunning(tx, success)
	}
}

func (s *Service) enterStart(tx *unit.Tx) {
	s.set(tx, start)
	if len(s.cfg.Exec[listStart]) == 0 {
		s.enterStartPost(tx)
		return
	}
	if s.cfg.Type == TypeForking {
		s.runMain(tx, 0)
		s.m.Arm(tx, s.cfg.TimeoutStart)
		return
	}
	s.runMain(tx, 0)
	if s.cfg.Type == TypeSimple || s.cfg.Type == TypeIdle {
		s.m.Disarm(tx)
	} else {
		s.m.Arm(tx, s.cfg.TimeoutStart)
	}
}

// runMain runs ExecStart= command i. For Type=forking it is the control process: the main
// one is what it leaves behind.
func (s *Service) runMain(tx *unit.Tx, i int) {
	sp := s.spawn(tx, listStart, i)
	sp.Notify = s.cfg.NotifyAccess != notifyNone
	if w := s.watchdogSpan(); w > 0 && w != unit.Infinity {
		sp.Watchdog = w
	}
	fds := s.passedFDs(tx)
	if usesSocket(&s.cfg.Settings.Exec) {
		if len(fds) != 1 {
			tx.Emit(unit.Say{Level: unit.LevelErr, Text: "cannot set up StandardInput=socket: it needs exactly one socket, there are " + strconv.Itoa(len(fds))})
			s.enterSignal(tx, stopSigterm, resources)
			return
		}
		sp.Stdin = fds[0].Key
	} else {
		sp.FDs = fds
	}
	if s.cfg.Type == TypeForking {
		sp.Role = "start"
		s.m.SpawnControl(tx, lists[listStart].role, i, sp)
		return
	}
	s.mainIndex, s.mainRun, s.mainKnown = i, true, true
	s.m.SpawnMain(tx, sp)
}

func usesSocket(c *execspec.Context) bool {
	return c.Stdin.Kind == execspec.StdioSocket || c.Stdout.Kind == execspec.StdioSocket || c.Stderr.Kind == execspec.StdioSocket
}

// passedFDs are what LISTEN_FDS names: the connection, or the sockets of all units that
// trigger this one, then the stored descriptors.
func (s *Service) passedFDs(tx *unit.Tx) []unit.FDRef {
	var fds []unit.FDRef
	if s.conn.Key != "" {
		fds = append(fds, s.conn)
	} else {
		for _, n := range tx.Related(unit.TriggeredBy) {
			if p, ok := tx.Peer(n); ok {
				fds = append(fds, p.FDs...)
			}
		}
	}
	for _, f := range s.stored {
		fds = append(fds, f.FDRef)
	}
	return fds
}

// runControl runs command i of l as the control process, with its own time limit.
func (s *Service) runControl(tx *unit.Tx, l list, i int) {
	sp := s.spawn(tx, l, i)
	sp.Control = true
	sp.Notify = s.cfg.NotifyAccess == notifyExec || s.cfg.NotifyAccess == notifyAll
	s.m.SpawnControl(tx, lists[l].role, i, sp)
	if l == listStop || l == listStopPost {
		s.m.Arm(tx, s.cfg.TimeoutStop)
	} else {
		s.m.Arm(tx, s.cfg.TimeoutStart)
	}
}

func (s *Service) spawn(tx *unit.Tx, l list, i int) unit.Spawn {
	role := "main"
	if l != listStart {
		role = lists[l].role + "/" + strconv.Itoa(i)
	}
	return unit.Spawn{Role: role, Command: s.cfg.Exec[l][i], Env: s.env(l)}
}

// env are the variables that tell a command about the service (man systemd.exec(5),
// ENVIRONMENT VARIABLES IN SPAWNED PROCESSES).
func (s *Service) env(l list) []string {
	var env []string
	if p := s.m.Main.Proc; !p.IsZero() && l != listStart {
		env = append(env, "MAINPID="+strconv.Itoa(p.PID))
	}
	if l != listStop && l != listStopPost {
		return env
	}
	env = append(env, "SERVICE_RESULT="+s.result.String())
	if s.main.end.Code == unit.ExitUnknown {
		return env
	}
	code, status := exitWords(s.main.end)
	return append(env, "EXIT_CODE="+code, "EXIT_STATUS="+status)
}

func exitWords(e unit.Exit) (code, status string) {
	switch e.Code {
	case unit.ExitKilled:
		code = "killed"
	case unit.ExitDumped:
		code = "dumped"
	default:
		return "exited", strconv.Itoa(e.Status)
	}
	name := unit.SignalName(e.Status)
	if len(name) > 3 && name[:3] == "SIG" {
		name = name[3:]
	}
	return code, name
}

// current is the list and place of the control process.
func (s *Service) current() (list, int) {
	for l := list(0); l < numLists; l++ {
		if lists[l].role == s.m.List {
			return l, s.m.Index
		}
	}
	return listStart, 0
}

func (s *Service) statusOf(l list, i int) *execStatus {
	for len(s.status[l]) <= i {
		s.status[l] = append(s.status[l], execStatus{})
	}
	return &s.status[l][i]
}

func (s *Service) onSpawned(tx *unit.Tx, main bool) {
	if !main {
		l, i := s.current()
		s.stampStart(s.statusOf(l, i), tx.Now, s.m.Control.Proc.PID)
		return
	}
	s.stampStart(s.statusOf(listStart, s.mainIndex), tx.Now, s.m.Main.Proc.PID)
	s.stampStart(&s.main, tx.Now, s.m.Main.Proc.PID)
	if s.phase == start && (s.cfg.Type == TypeSimple || s.cfg.Type == TypeIdle) {
		s.enterStartPost(tx)
	}
}

func (s *Service) onExeced(tx *unit.Tx, n execseq.Note) {
	if n.Err != nil {
		s.say(tx, n) // its Exited follows
		return
	}
	if n.Main && s.mainIndex == len(s.cfg.Exec[listStart])-1 {
		s.dropConn(tx)
	}
	if !n.Main || s.phase != start {
		return
	}
	switch s.cfg.Type {
	case TypeExec:
		s.enterStartPost(tx)
	case TypeDBus:
		if !s.dbusSaid {
			s.dbusSaid = true
			tx.Emit(unit.Say{Level: unit.LevelNotice, Text: "the bus is not watched for " + s.cfg.BusName + "; the service counts as started"})
		}
		s.enterStartPost(tx)
	}
}

func (s *Service) dropConn(tx *unit.Tx) {
	if s.conn.Key != "" {
		tx.Emit(unit.DropFD{Keys: []string{s.conn.Key}})
		s.conn = unit.FDRef{}
	}
}

func (s *Service) enterStartPost(tx *unit.Tx) {
	s.resetWatchdog(tx)
	s.unwatchPIDFile(tx)
	if len(s.cfg.Exec[listStartPost]) > 0 {
		s.set(tx, startPost)
		s.runControl(tx, listStartPost, 0)
		return
	}
	s.enterRunning(tx, success)
}

// enterRunning goes where a service belongs that has no command to run: running, exited, or
// down if nothing of it lives.
func (s *Service) enterRunning(tx *unit.Tx, r result) {
	s.fail(r)
	if !s.good() {
		if s.cfg.RemainAfterExit {
			s.set(tx, exited)
			return
		}
		s.enterStop(tx, success)
		return
	}
	switch s.notice {
	case noticeReloading:
		s.enterReloadByNotice(tx)
	case noticeStopping:
		s.enterStopByNotice(tx)
	default:
		if s.phase != running && s.phase != reload {
			s.activeSince = tx.Now.Mono
		}
		s.set(tx, running)
		if s.cfg.RuntimeMax == unit.Infinity {
			s.m.Disarm(tx)
		} else {
			s.m.ArmAt(tx, unit.Stamp{Mono: s.activeSince}.Deadline(s.cfg.RuntimeMax))
		}
	}
}

// onReload runs ExecReload=.
func (s *Service) onReload(tx *unit.Tx) {
	switch {
	case len(s.cfg.Exec[listReload]) == 0:
		tx.Refuse("the service has no ExecReload=")
	case s.phase != running && s.phase != exited:
		tx.Refuse("the service is not running")
	default:
		s.reloadResult = success
		s.set(tx, reload)
		s.runControl(tx, listReload, 0)
	}
}

func (s *Service) enterReloadByNotice(tx *unit.Tx) {
	s.set(tx, reload)
	s.m.Arm(tx, s.cfg.TimeoutStart)
}

func (s *Service) reloadDone(tx *unit.Tx, r result) {
	s.reloadResult = r
	tx.ReloadDone(r == success)
	s.enterRunning(tx, success)
}
