package sim

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Peek implements sys.Source.
func (m *Machine) Peek(buf []sys.Input, most int) []sys.Input {
	if m.cfg.Faults.Reorder {
		m.shuffle()
	}
	n := min(most, len(m.ready))
	for _, in := range m.ready[:n] {
		if in.ID != 0 {
			m.peeked[in.ID] = in
		}
		m.note("in", in.Unit, int64(in.ID), 0, in.Body)
		buf = append(buf, m.bug.muffles(in))
	}
	m.ready = m.ready[n:]
	return buf
}

// shuffle changes the order of what is ready, but not that of one unit's inputs.
func (m *Machine) shuffle() {
	if len(m.ready) < 2 {
		return
	}
	rest := slices.Clone(m.ready)
	m.ready = m.ready[:0:0]
	for len(rest) > 0 {
		i := m.rng.IntN(len(rest))
		i = slices.IndexFunc(rest, func(in sys.Input) bool { return receiver(in) == receiver(rest[i]) })
		m.ready = append(m.ready, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
}

func receiver(in sys.Input) unit.Name {
	if in.Unit == "" {
		return unitOf(in.CGroup)
	}
	return in.Unit
}

// Ack implements sys.Source: what is acknowledged is gone for good.
func (m *Machine) Ack(ids []uint64) {
	for _, id := range ids {
		in, ok := m.peeked[id]
		if !ok || m.bug == bugDropAck {
			continue
		}
		delete(m.peeked, id)
		if n, ok := in.Body.(unit.Notified); ok {
			m.check.heard(receiver(in), n)
			for _, f := range n.FDs {
				delete(m.taken, f.Key)
			}
		}
		x, ok := in.Body.(unit.Exited)
		if !ok {
			continue
		}
		if p := m.procs[x.Proc.PID]; p != nil && p.proc == x.Proc {
			delete(m.procs, x.Proc.PID)
		}
		if m.chance(m.cfg.Faults.Duplicate) {
			m.after(0, happening{do: doDeliver, in: sys.Input{CGroup: in.CGroup, Body: x}})
		}
	}
}

// Wait implements sys.Source; the machine moves the clock itself.
func (m *Machine) Wait(time.Duration) {}

// deliver makes an input ready.
func (m *Machine) deliver(in sys.Input) {
	if survives(in.Body) {
		m.inputID++
		in.ID = m.inputID
	}
	m.ready = append(m.ready, in)
}

// survives: exits, notifications and signals stay with the kernel or init; results of
// effects, watches and clients' calls die with the core.
func survives(body any) bool {
	switch body.(type) {
	case unit.Exited, unit.Notified, sys.Signal:
		return true
	}
	return false
}

// again is what the next core finds: what was peeked and not acknowledged is still with its
// owner. An exit is init's to tell now, and init knows the control group only.
func (m *Machine) again() {
	list := make([]sys.Input, 0, len(m.peeked)+len(m.ready))
	for _, in := range m.peeked {
		list = append(list, in)
	}
	for _, in := range m.ready {
		if in.ID != 0 {
			list = append(list, in)
		}
	}
	slices.SortFunc(list, func(a, b sys.Input) int { return cmp.Compare(a.ID, b.ID) })
	for i := range list {
		switch b := list[i].Body.(type) {
		case unit.Exited:
			list[i].Unit = ""
		case unit.Notified:
			list[i].Body = m.takeAgain(b)
		}
	}
	m.ready = list
	clear(m.peeked)
}

// takeAgain is a message as the next core takes it from the socket: its descriptors get new
// temporary keys, and what init holds already may be the same.
func (m *Machine) takeAgain(n unit.Notified) unit.Notified {
	fds := make([]unit.FDRef, len(n.FDs))
	n.Same = make([][]string, len(n.FDs))
	for i, f := range n.FDs {
		m.seq++
		fds[i] = unit.FDRef{Key: "tmp/" + strconv.FormatUint(m.seq, 10), Name: f.Name}
		file := m.taken[f.Key]
		delete(m.taken, f.Key)
		n.Same[i] = m.keysOf(file)
		m.hold(fds[i].Key, file)
	}
	n.FDs = fds
	return n
}

// hold has a descriptor of a message held under a temporary key.
func (m *Machine) hold(key string, file uint64) { m.fds[key], m.taken[key] = file, file }

// file is a new open file.
func (m *Machine) file() uint64 {
	m.seq++
	return m.seq
}

// keysOf are the keys under which a file is held.
func (m *Machine) keysOf(file uint64) (keys []string) {
	for _, k := range sortedKeys(m.fds) {
		if m.fds[k] == file {
			keys = append(keys, k)
		}
	}
	return keys
}

// storedTwice notes if what is held for a service now is held for it already. No program of a machine
// stores anything twice: the core took one message for two.
func (m *Machine) storedTwice(key string) {
	for _, k := range m.keysOf(m.fds[key]) {
		if k != key && path.Dir(k) == path.Dir(key) {
			m.check.stored = key + " is the same file as " + k
		}
	}
}

// exitComes reports whether a process's end is on its way to the core.
func (m *Machine) exitComes(p unit.Proc) bool {
	is := func(in *sys.Input) bool {
		x, ok := in.Body.(unit.Exited)
		return ok && x.Proc == p
	}
	for i := range m.ready {
		if is(&m.ready[i]) {
			return true
		}
	}
	for _, in := range m.peeked {
		if is(&in) {
			return true
		}
	}
	for _, h := range m.queue {
		if h.do == doDeliver && is(&h.in) {
			return true
		}
	}
	return false
}
