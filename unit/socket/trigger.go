package socket

import (
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// lookTimer looks after a start that was asked for. The service's changes are told, but a
// job that ends without one (a condition that does not hold, a unit that cannot be loaded)
// is not; without looking, the socket would wait for ever for a service that never comes.
const lookTimer = "look"

const (
	lookFirst = 50 * time.Millisecond
	lookLast  = 5 * time.Second
)

// enterListening waits for traffic.
func (s *Socket) enterListening(tx *unit.Tx) {
	s.set(tx, listening)
	tx.Emit(unit.WatchFD{Keys: s.keys()})
}

// onReady starts the service.
func (s *Socket) onReady(tx *unit.Tx, ev unit.FDReady) {
	if s.phase != listening || !s.owns(ev.Key) {
		return
	}
	if p, ok := tx.Peer(s.name); ok && p.Job == unit.JobStop {
		return // it is about to close: whoever connects is not served any more
	}
	if !s.withinLimit(tx.Now.Mono) {
		tx.Emit(unit.Say{Level: unit.LevelErr, Text: "trigger limit hit, refusing further activation"})
		s.enterStopPre(tx, triggerLimitHit)
		return
	}
	s.set(tx, running)
	if !s.servicePending(tx) {
		tx.Emit(unit.Enqueue{Unit: s.service, Type: unit.JobStart, Mode: unit.ModeReplace})
	}
	s.lookIn(tx, lookFirst)
}

func (s *Socket) owns(key string) bool {
	for _, o := range s.opened {
		if o.key == key {
			return true
		}
	}
	return false
}

// withinLimit counts a trigger and reports whether TriggerLimitBurst= allows it.
func (s *Socket) withinLimit(now time.Duration) bool {
	burst, interval := s.cfg.burst(), s.cfg.TriggerInterval
	if burst == 0 || interval == 0 {
		return true
	}
	if s.triggers == 0 || interval != unit.Infinity && now-s.began > interval {
		s.began, s.triggers = now, 0
	}
	s.triggers++
	return int(s.triggers) <= burst
}

// servicePending reports whether the service is up, or on its way.
func (s *Socket) servicePending(tx *unit.Tx) bool {
	p, ok := tx.Peer(s.service)
	if !ok {
		return false
	}
	switch p.State.Active {
	case unit.Active, unit.Reloading, unit.Activating:
		return true
	}
	return startsService(p.Job)
}

func startsService(j unit.JobType) bool {
	switch j {
	case unit.JobStart, unit.JobRestart, unit.JobReloadOrStart:
		return true
	}
	return false
}

func (s *Socket) lookIn(tx *unit.Tx, d time.Duration) {
	s.look = d
	tx.Emit(unit.Arm{ID: lookTimer, At: tx.Now.Deadline(d)})
}

// onLook listens again if the service is not coming.
func (s *Socket) onLook(tx *unit.Tx) {
	last := s.look
	s.look = 0
	if s.phase != running || last == 0 {
		return
	}
	p, ok := tx.Peer(s.service)
	switch {
	case ok && !p.State.Active.IsDown(): // it came; its changes are told
	case ok && p.Job != 0:
		s.lookIn(tx, min(2*last, lookLast))
	case ok && p.Limited:
		s.serviceLimited(tx)
	default:
		s.enterListening(tx)
	}
}

// onPeer follows the service.
func (s *Socket) onPeer(tx *unit.Tx, ev unit.PeerChanged) {
	if ev.Rel != unit.Triggers || !s.phase.up() {
		return
	}
	gone := ev.New.Active.IsDown() || ev.New.Sub == "auto-restart" || ev.New.Sub == "final-sigterm" || ev.New.Sub == "final-sigkill"
	p, ok := tx.Peer(s.service)
	switch {
	case gone && (ok && p.Limited || ev.New.Result == "start-limit-hit"):
		s.serviceLimited(tx)
	case gone && s.phase == running:
		if ok && startsService(p.Job) {
			s.lookIn(tx, lookFirst) // it comes back by itself
			return
		}
		s.enterListening(tx)
	case ev.New.Active.IsUp() && s.phase == listening:
		s.set(tx, running)
	}
}

// serviceLimited gives up: to listen again would only start the service again.
func (s *Socket) serviceLimited(tx *unit.Tx) {
	tx.Emit(unit.Say{Level: unit.LevelErr, Text: "service " + string(s.service) + " is started too often, refusing further activation"})
	s.enterStopPre(tx, serviceStartLimitHit)
}

// onRecovered arms again what lived in the core alone. What happened to the service
// meanwhile is looked up.
func (s *Socket) onRecovered(tx *unit.Tx) {
	switch s.phase {
	case listening:
		tx.Emit(unit.WatchFD{Keys: s.keys()})
	case running:
		s.lookIn(tx, lookFirst)
	}
}
