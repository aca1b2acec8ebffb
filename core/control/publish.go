package control

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/client/wire"
	"github.com/sysmaster-go/sysmaster/unit"
)

// publisher carries what the engine says to the connections, in the engine's order.
type publisher struct {
	s           *Server
	listeners   atomic.Int32 // authenticated connections
	subscribers atomic.Int32
	done        chan struct{}
	ended       chan struct{}

	mu     sync.Mutex
	wake   *sync.Cond
	queue  []func()
	events int                    // entries of queue that are events
	units  map[unit.Name]struct{} // units with a PropertiesChanged in the queue
	over   bool                   // events were lost: everybody must go
	closed bool
}

func (p *publisher) init(s *Server) {
	p.s = s
	p.wake = sync.NewCond(&p.mu)
	p.units = make(map[unit.Name]struct{})
	p.done, p.ended = make(chan struct{}), make(chan struct{})
	go p.run()
}

func (p *publisher) stop() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	close(p.done)
	p.wake.Signal()
	<-p.ended
}

// answer queues f, which answers a command.
func (p *publisher) answer(f func()) {
	p.mu.Lock()
	p.queue = append(p.queue, f)
	p.mu.Unlock()
	p.wake.Signal()
}

// event queues what ev means for clients.
func (p *publisher) event(ev core.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := ev.(type) {
	case core.UnitChanged:
		p.unitLocked(e.Unit)
	case core.JobNew:
		p.eventLocked(func() { p.s.signalJob("JobNew", &e.Job) })
		p.unitLocked(e.Job.Unit)
	case core.JobRemoved:
		p.eventLocked(func() { p.s.signalJob("JobRemoved", &e.Job) })
		p.unitLocked(e.Job.Unit)
	case core.UnitNew:
		p.subscribedLocked(func() { p.s.signalUnit("UnitNew", e.Unit) })
	case core.UnitRemoved:
		p.subscribedLocked(func() { p.s.signalUnit("UnitRemoved", e.Unit) })
	case core.Reloading:
		p.eventLocked(func() { p.s.signalManager("Reloading", "b", e.Active) })
		if !e.Active {
			p.subscribedLocked(func() { p.s.signalManager("UnitFilesChanged", "") })
		}
	case core.StartupFinished:
		p.eventLocked(p.s.signalStartup)
	}
	p.wake.Signal()
}

func (p *publisher) eventLocked(f func()) {
	if p.over {
		return
	}
	if p.events >= p.s.cfg.Limits.Events {
		p.over = true
		f = p.s.closeAll
	}
	p.events++
	p.queue = append(p.queue, func() {
		f()
		p.mu.Lock()
		p.events--
		p.mu.Unlock()
	})
}

func (p *publisher) subscribedLocked(f func()) {
	if p.subscribers.Load() > 0 {
		p.eventLocked(f)
	}
}

// unitLocked queues a PropertiesChanged of a unit, unless one is waiting: it will tell of the
// state at the time when it is sent.
func (p *publisher) unitLocked(n unit.Name) {
	if _, ok := p.units[n]; ok || p.subscribers.Load() == 0 {
		return
	}
	p.units[n] = struct{}{}
	p.eventLocked(func() {
		p.mu.Lock()
		delete(p.units, n)
		p.mu.Unlock()
		p.s.signalProperties(n)
	})
}

func (p *publisher) run() {
	defer close(p.ended)
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for len(p.queue) == 0 && !p.closed {
			p.wake.Wait()
		}
		if p.closed {
			return
		}
		batch := p.queue
		p.queue = nil
		p.mu.Unlock()
		for _, f := range batch {
			f()
		}
		p.mu.Lock()
	}
}

// closeAll ends all connections after events were lost.
func (s *Server) closeAll() {
	s.observe(nil, errors.New("all connections closed: more events than can be published"))
	for _, c := range s.receivers(false) {
		c.close()
	}
	s.pub.mu.Lock()
	s.pub.over = false
	s.pub.mu.Unlock()
}

// receivers lists the authenticated connections.
func (s *Server) receivers(subscribedOnly bool) []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*conn
	for c := range s.conns {
		if c.ready.Load() && (!subscribedOnly || c.subscribed.Load()) {
			out = append(out, c)
		}
	}
	return out
}

// nextSerial numbers messages; 0 is not a serial number.
func (s *Server) nextSerial() uint32 {
	for {
		if n := s.serial.Add(1); n != 0 {
			return n
		}
	}
}

// broadcast encodes a signal once and sends it to many.
func (s *Server) broadcast(m *wire.Message, subscribedOnly bool) {
	to := s.receivers(subscribedOnly)
	if len(to) == 0 {
		return
	}
	m.Type, m.Flags, m.Serial = dbus.TypeSignal, wire.NoReply, s.nextSerial()
	m.Sender = wire.Service
	frame, err := m.Encode()
	if err != nil {
		s.observe(nil, err)
		return
	}
	for _, c := range to {
		c.send(frame, true)
	}
}

func managerSignal(member, sig string, body ...any) *wire.Message {
	return &wire.Message{
		Path: wire.ManagerPath, Interface: wire.ManagerIface, Member: member, Signature: sig, Body: body,
	}
}

func (s *Server) signalManager(member, sig string, body ...any) {
	s.broadcast(managerSignal(member, sig, body...), member == "UnitFilesChanged")
}

func jobSignal(member string, j *core.JobView) *wire.Message {
	sig, body := "uos", []any{uint32(j.ID), jobPath(j.ID), string(j.Unit)}
	if member == "JobRemoved" {
		sig, body = "uoss", append(body, j.Result.String())
	}
	return managerSignal(member, sig, body...)
}

func (s *Server) signalJob(member string, j *core.JobView) { s.broadcast(jobSignal(member, j), false) }

func (s *Server) signalUnit(member string, n unit.Name) {
	s.broadcast(managerSignal(member, "so", string(n), unitPath(n)), true)
}

func (s *Server) signalStartup() {
	b := s.cfg.Info().Boot
	at := func(t unit.Stamp) uint64 { return usec(t.Mono) }
	// Spans of the phases, as systemd computes them from its time stamps.
	kernel, initrd := at(b.Userspace), uint64(0)
	if b.InitRD.Mono > 0 {
		kernel, initrd = at(b.InitRD), at(b.Userspace)-at(b.InitRD)
	}
	userspace := at(b.Finish) - min(at(b.Finish), at(b.Userspace))
	firmware, loader := at(b.Firmware)-min(at(b.Firmware), at(b.Loader)), at(b.Loader)
	s.signalManager("StartupFinished", "tttttt",
		firmware, loader, kernel, initrd, userspace, at(b.Firmware)+at(b.Finish))
}

// signalProperties tells subscribers how a unit looks now.
func (s *Server) signalProperties(n unit.Name) {
	u := s.cfg.Manager.View().Unit(n)
	if u == nil {
		return
	}
	o := s.object(u)
	for _, iface := range o.interfaces() {
		want := changingUnitProperty
		if iface == o.kindIface {
			want = func(name string) bool { return !isUsage(name) }
		}
		m := &wire.Message{
			Path: string(unitPath(u.Name)), Interface: wire.PropsIface, Member: "PropertiesChanged", Signature: "sa{sv}as",
		}
		m.Body = []any{iface, s.encodable(o, s.entries(o, iface, want)), []string{}}
		s.broadcast(m, true)
	}
}
