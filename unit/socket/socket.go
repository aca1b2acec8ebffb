package socket

import (
	"fmt"
	"strconv"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execseq"
)

// Version of the snapshots that this package writes.
const Version = 1

// Type describes sockets.
func Type() unit.Type {
	keys := unit.NewKeySet(Keys())
	return unit.Type{
		Kind: unit.KindSocket, Version: Version, Keys: keys, StartLimit: true,
		NewConfig: func() any { c := NewConfig(); return &c },
		New:       func(spec *unit.Spec) (unit.Unit, error) { return newSocket(spec, keys) },
		Restore: func(spec *unit.Spec, version uint32, snapshot []byte) (unit.Unit, error) {
			return restore(spec, keys, version, snapshot)
		},
		Implied: func(spec *unit.Spec) []unit.Dep { return implied(spec, keys) },
	}
}

// Socket is one socket unit. It implements unit.Unit, unit.FDHolder and unit.ProcHolder.
type Socket struct {
	name    unit.Name
	service unit.Name
	cfg     Config
	data
}

// data is all that changes; Snapshot writes it.
type data struct {
	phase    phase
	result   result
	m        execseq.Machine // the control process; a socket has no main one
	setup    []uint64        // Dirs and Realize that the start waits for
	listen   uint64          // the Listen that is not answered
	opened   []opened        // what Listen was asked for and DropFD was not
	realized bool            // there is a control group to remove
	status   [numLists][]execStatus

	triggers uint32        // within the interval that began at
	began    time.Duration // monotonic
	look     time.Duration // the present delay of lookTimer
}

// opened is one socket that init holds. It outlives a change of the files.
type opened struct{ key, name, path string }

// execStatus is what became of one command.
type execStatus struct {
	pid         int
	start, exit unit.Stamp
	end         unit.Exit
}

func newSocket(spec *unit.Spec, keys *unit.KeySet) (*Socket, error) {
	cfg := NewConfig()
	if err := unit.Decode(spec, keys, &cfg); err != nil {
		return nil, err
	}
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("cannot load %s: %w", spec.Name, err)
	}
	return &Socket{name: spec.Name, service: cfg.service(spec.Name), cfg: cfg, data: data{m: execseq.New()}}, nil
}

// implied are the dependencies that the kind and the settings bring (man systemd.socket(5),
// AUTOMATIC DEPENDENCIES).
func implied(spec *unit.Spec, keys *unit.KeySet) []unit.Dep {
	cfg := NewConfig()
	if err := unit.Decode(spec, keys, &cfg); err != nil {
		return nil // New has told it
	}
	var deps []unit.Dep
	add := func(o unit.Origin, n unit.Name, rels ...unit.Relation) {
		for _, r := range rels {
			deps = append(deps, unit.Dep{Rel: r, Unit: n, Origin: o})
		}
	}
	slice := cfg.Settings.CGroup.Slice
	if slice == "" {
		slice = defaultSlice(spec.Name)
	}
	add(unit.OriginImplicit, slice, unit.InSlice, unit.Requires, unit.After)
	if s := cfg.service(spec.Name); s != "" {
		add(unit.OriginImplicit, s, unit.Before, unit.Triggers)
	}
	for _, p := range cfg.Ports {
		if path := p.path(); path != "" {
			deps = append(deps, unit.Dep{Rel: unit.RequiresMountsFor, Path: path, Origin: unit.OriginImplicit})
		}
	}
	if cfg.Common.DefaultDependencies {
		add(unit.OriginDefault, "sockets.target", unit.Before)
		add(unit.OriginDefault, "sysinit.target", unit.Requires, unit.After)
		add(unit.OriginDefault, "shutdown.target", unit.Conflicts, unit.Before)
	}
	return deps
}

// defaultSlice is system.slice, for instances of a template a slice of their own below it.
func defaultSlice(n unit.Name) unit.Name {
	if n.IsInstance() {
		return unit.Name("system-" + unit.Escape(n.Prefix()) + ".slice")
	}
	return "system.slice"
}

// State implements unit.Unit.
func (s *Socket) State() unit.State {
	return unit.State{Active: phases[s.phase].active, Sub: s.phase.String(), Result: s.result.String()}
}

// Procs implements unit.ProcHolder.
func (s *Socket) Procs(f func(role string, p unit.Proc)) {
	if p := s.m.Control.Proc; !p.IsZero() {
		f("control", p)
	}
}

// FDs implements unit.FDHolder: the sockets, in the order of the files, once they exist.
func (s *Socket) FDs() []unit.FDRef {
	if !s.phase.open() || s.phase == startChown {
		return nil
	}
	refs := make([]unit.FDRef, 0, len(s.opened))
	for _, o := range s.opened {
		refs = append(refs, unit.FDRef{Key: o.key, Name: o.name})
	}
	return refs
}

// CanReload is false: there is nothing to reload.
func (s *Socket) CanReload() bool { return false }

// Handle implements unit.Unit.
func (s *Socket) Handle(tx *unit.Tx, ev unit.Event) {
	switch ev := ev.(type) {
	case unit.Start:
		s.onStart(tx)
		return
	case unit.Stop:
		s.onStop(tx)
		return
	case unit.Reload:
		tx.Refuse("a socket has nothing to reload")
		return
	case unit.Request:
		s.onRequest(tx, ev)
		return
	case unit.FDReady:
		s.onReady(tx, ev)
		return
	case unit.PeerChanged:
		s.onPeer(tx, ev)
		return
	case unit.Recovered:
		s.onRecovered(tx)
		return
	case unit.Done:
		if s.onSetup(tx, ev) || s.onListened(tx, ev) {
			return
		}
	case unit.TimerFired:
		if ev.ID == lookTimer {
			s.onLook(tx)
			return
		}
	}
	s.onNote(tx, s.m.Absorb(tx, ev))
}

// set enters a phase. It is the only place that does.
func (s *Socket) set(tx *unit.Tx, p phase) {
	old := s.phase
	s.phase = p
	if old == listening && p != listening {
		tx.Emit(unit.UnwatchFD{Keys: s.keys()})
	}
	if old == running && p != running && s.look != 0 {
		s.look = 0
		tx.Emit(unit.Disarm{ID: lookTimer})
	}
	if p.up() || p.down() {
		s.m.Disarm(tx)
	}
	if old.open() && !p.open() {
		s.close(tx)
	}
}

func (s *Socket) fail(r result) {
	if s.result == success {
		s.result = r
	}
}

func (s *Socket) keys() []string {
	keys := make([]string, 0, len(s.opened))
	for _, o := range s.opened {
		keys = append(keys, o.key)
	}
	return keys
}

// key is the name of port i in the store.
func (s *Socket) key(i int) string { return string(s.name) + "/" + strconv.Itoa(i) }

// close gives the sockets back, and removes what they left if that is wanted.
func (s *Socket) close(tx *unit.Tx) {
	if len(s.opened) == 0 {
		return
	}
	drop := unit.DropFD{Keys: s.keys()}
	if s.cfg.Options.RemoveOnStop {
		for _, o := range s.opened {
			if o.path != "" {
				drop.Unlink = append(drop.Unlink, o.path)
			}
		}
		drop.Unlink = append(drop.Unlink, s.cfg.Options.Symlinks...)
	}
	tx.Emit(drop)
	s.opened, s.listen = nil, 0
}
