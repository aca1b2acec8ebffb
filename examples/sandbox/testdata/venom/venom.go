// Package main's venom is what a test adds to the reference core: services that the core dies of. The test
// builds it into that package by an overlay; nothing else does.
package main

import (
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/service"
)

// venomous makes the core die of a process that exits with one of deaths' statuses: nothing of it can be
// caught by a recover.
func venomous(t unit.Type) unit.Type {
	make, restore := t.New, t.Restore
	wrap := func(u unit.Unit, err error) (unit.Unit, error) {
		if err != nil {
			return nil, err
		}
		return venom{u.(*service.Service)}, nil
	}
	t.New = func(s *unit.Spec) (unit.Unit, error) { return wrap(make(s)) }
	t.Restore = func(s *unit.Spec, v uint32, b []byte) (unit.Unit, error) { return wrap(restore(s, v, b)) }
	return t
}

type venom struct{ *service.Service }

func (v venom) Handle(tx *unit.Tx, ev unit.Event) {
	if x, ok := ev.(unit.Exited); ok && x.Exit.Code == unit.ExitExited {
		if die := deaths[x.Exit.Status]; die != nil {
			die()
		}
	}
	v.Service.Handle(tx, ev)
}

var deaths = map[int]func(){
	71: func() { // "fatal error: sync: unlock of unlocked mutex"
		var m sync.Mutex
		m.Unlock()
	},
	72: func() { // a livelock
		for n := uint64(0); ; n++ {
			sink = n
		}
	},
	73: func() { select {} }, // a deadlock
	74: func() { // "fatal error: runtime: cannot allocate memory"
		limit := unix.Rlimit{Cur: 2 << 30, Max: unix.RLIM_INFINITY}
		_ = unix.Setrlimit(unix.RLIMIT_AS, &limit)
		for {
			kept = append(kept, new([64 << 20]byte)) // never touched: it costs addresses only
		}
	},
	75: func() { // "fatal error: stack overflow"
		debug.SetMaxStack(1 << 16)
		sink = deeper(1)
	},
}

func deeper(n uint64) uint64 { return deeper(n+1) + n }

var (
	sink uint64
	kept []*[64 << 20]byte
)
