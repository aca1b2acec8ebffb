package socket

import (
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// onStart begins a start, in dead and failed.
func (s *Socket) onStart(tx *unit.Tx) {
	switch {
	case s.phase.starting(), s.phase.up():
		return
	case s.phase.stopping():
		tx.Refuse("the socket is still stopping")
		return
	}
	if why := s.cfg.refusals(); len(why) > 0 {
		tx.Refuse("not started, because what it asks for is not implemented: " + strings.Join(why, ", "))
		return
	}
	if why := s.serviceInTheWay(tx); why != "" {
		tx.Refuse(why)
		return
	}
	s.result, s.setup, s.status = success, nil, [numLists][]execStatus{}
	s.triggers = 0
	if !s.cfg.runs() {
		s.enterListen(tx)
		return
	}
	s.set(tx, startPre)
	s.m.Arm(tx, s.cfg.Timeout)
	if dirs := s.cfg.Settings.Exec.ManagedDirs(); len(dirs) > 0 {
		s.setup = append(s.setup, tx.Emit(unit.Dirs{Dirs: dirs}))
	}
	s.realized = true
	s.setup = append(s.setup, tx.Emit(unit.Realize{}))
}

// serviceInTheWay says why the socket cannot start beside its service: a service that runs
// has made, or does without, the sockets that would be made now.
func (s *Socket) serviceInTheWay(tx *unit.Tx) string {
	p, ok := tx.Peer(s.service)
	switch {
	case !ok:
		return "socket service " + string(s.service) + " is not loaded, refusing"
	case p.State.Active.IsDown(), p.State.Sub == "auto-restart":
		return ""
	}
	return "socket service " + string(s.service) + " is already active, refusing"
}

// onSetup takes the answers that the first command waits for; false if d is none of them.
func (s *Socket) onSetup(tx *unit.Tx, d unit.Done) bool {
	for i, seq := range s.setup {
		if seq != d.Seq {
			continue
		}
		s.setup = append(s.setup[:i:i], s.setup[i+1:]...)
		switch {
		case s.phase != startPre:
		case d.Err != "":
			tx.Emit(unit.Say{Level: unit.LevelErr, Text: "cannot prepare the start: " + d.Err})
			s.setup = nil
			s.enterSignal(tx, finalSigterm, resources)
		case len(s.setup) == 0 && len(s.cfg.Exec[listStartPre]) > 0:
			s.run(tx, listStartPre, 0)
		case len(s.setup) == 0:
			s.enterListen(tx)
		}
		return true
	}
	return false
}

// enterListen has the sockets made.
func (s *Socket) enterListen(tx *unit.Tx) {
	s.set(tx, startChown)
	s.m.Arm(tx, s.cfg.Timeout)
	name := s.cfg.FDName
	if name == "" {
		name = string(s.name)
	}
	target := s.cfg.symlinkTarget()
	var e unit.Listen
	s.opened = nil
	for i, p := range s.cfg.Ports {
		o := s.cfg.Options
		if i != target {
			o.Symlinks = nil
		}
		e.Sockets = append(e.Sockets, unit.ListenSpec{Key: s.key(i), Type: listens[p.kind].kind, Address: p.address, Options: o})
		s.opened = append(s.opened, opened{s.key(i), name, p.path()})
	}
	s.listen = tx.Emit(e)
}

// onListened goes on when the sockets exist; false if d is not about them.
func (s *Socket) onListened(tx *unit.Tx, d unit.Done) bool {
	if d.Seq == 0 || d.Seq != s.listen {
		return false
	}
	s.listen = 0
	switch {
	case s.phase != startChown:
	case d.Err != "":
		tx.Emit(unit.Say{Level: unit.LevelErr, Text: d.Err})
		for i := range s.opened { // what is there now was not made here
			s.opened[i].path = ""
		}
		s.enterStopPre(tx, resources)
	case len(s.cfg.Exec[listStartPost]) > 0:
		s.set(tx, startPost)
		s.run(tx, listStartPost, 0)
	default:
		s.enterUp(tx)
	}
	return true
}

// enterUp ends a start: listening, unless the service came up meanwhile.
func (s *Socket) enterUp(tx *unit.Tx) {
	if p, ok := tx.Peer(s.service); ok && p.State.Active.IsUp() {
		s.set(tx, running)
		return
	}
	s.enterListening(tx)
}

// run runs command i of l as the control process.
func (s *Socket) run(tx *unit.Tx, l list, i int) {
	s.m.SpawnControl(tx, lists[l].role, i, unit.Spawn{
		Role: lists[l].role + "/" + strconv.Itoa(i), Command: s.cfg.Exec[l][i], Control: true,
	})
	s.m.Arm(tx, s.cfg.Timeout)
}
