package pid1

import (
	"math/bits"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/event"
	"github.com/sysmaster-go/sysmaster/init/policy"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// pendingSignal is a signal that the core has not taken yet; id 0: none.
type pendingSignal struct {
	id   uint64
	sent bool
	verb fdstore.Verb // what init does itself ...
	due  time.Time    // ... if the core has not taken it by then
}

// Seven ctrl-alt-del within two seconds mean now (systemd-system.conf(5),
// CtrlAltDelBurstAction=).
const (
	burstCount  = 7
	burstWindow = 2 * time.Second
)

func (k *keeper) takeSignals(now time.Time) {
	for set := k.cfg.Signals.Take(); set != 0; set &= set - 1 {
		n := bits.TrailingZeros64(set) + 1
		if n != int(unix.SIGCHLD) {
			k.tell(event.Event{Kind: event.Signal, Signal: n})
			k.signalled(now, n)
		}
	}
}

func (k *keeper) signalled(now time.Time, n int) {
	r := policy.RequestOf(n, k.cfg.Subreaper)
	if n == int(unix.SIGINT) && !k.cfg.Subreaper && k.burst(now) {
		r.Forward = false
	}
	if n == int(unix.SIGTERM) && !k.cfg.Subreaper && k.cfg.Signals.Sealed() {
		// systemd(1): and the core does the same when it is told. One that the next signal could
		// end while it starts does it only when it is asked for by name.
		k.reexec.wanted = true
	}
	switch {
	case !r.Forward && r.Verb != fdstore.VerbNone:
		k.endWith(fdstore.Shutdown{Verb: r.Verb}, "a signal asks for it")
	case r.Verb != fdstore.VerbNone && k.rescue.alone():
		k.endWith(fdstore.Shutdown{Verb: r.Verb}, "a signal asks for it, and there is no core")
	case r.Forward && k.pending[n].id == 0:
		k.SignalID++
		k.pending[n] = pendingSignal{id: k.SignalID, verb: r.Verb, due: now.Add(k.cfg.TakeTimeout)}
	}
}

// burst notes a ctrl-alt-del.
func (k *keeper) burst(now time.Time) bool {
	if now.Sub(k.burstStart) > burstWindow {
		k.burstStart, k.Bursts = now, 0
	}
	k.Bursts++
	return k.Bursts >= burstCount
}

// signalTaken is the core's acknowledgement. A request to end stays init's
// concern: if the core cannot be kept alive, or takes too long, init does it.
func (k *keeper) signalTaken(now time.Time, id uint64) {
	for n := range k.pending {
		p := &k.pending[n]
		if p.id != id || id == 0 {
			continue
		}
		if p.verb != fdstore.VerbNone {
			k.Intent, k.intentDue = fdstore.Shutdown{Verb: p.verb}, now.Add(k.cfg.EndTimeout)
		}
		*p = pendingSignal{}
	}
}

// signalsWaiting reports whether a signal was sent and not acknowledged.
func (k *keeper) signalsWaiting() bool {
	for n := range k.pending {
		if k.pending[n].id != 0 && k.pending[n].sent {
			return true
		}
	}
	return false
}

// overdue does what the core should have done.
func (k *keeper) overdue(now time.Time) {
	for n := range k.pending {
		if p := k.pending[n]; p.verb != fdstore.VerbNone && due(p.due, now) {
			k.endWith(fdstore.Shutdown{Verb: p.verb}, "the core does not take the request")
		}
	}
	if due(k.intentDue, now) {
		k.endWith(k.Intent, "the core took the request and did not carry it out in time")
	}
}

// endWith begins the end. The first reason counts.
func (k *keeper) endWith(s fdstore.Shutdown, why string) {
	if k.end.Verb == fdstore.VerbNone {
		k.end = s
		k.tell(event.Event{Kind: event.Shutdown, Text: s.Verb.String() + ": " + why})
	}
}
