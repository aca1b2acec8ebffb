package sim

import (
	"slices"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Connect lets a client connect to the socket that init holds under key ("web.socket/0"). If a
// live process has the socket, it serves the client at once; else the client waits in the queue.
// A socket that is not held refuses.
func (m *Machine) Connect(key string) {
	if m.fds[key] == 0 {
		m.refused[key]++
		m.note("refused", "", 0, 0, key)
		return
	}
	m.conns[key]++
	for pid, p := range m.procs {
		if !p.dead && slices.Contains(p.fds, key) {
			m.note("served", p.unit, int64(pid), 0, key)
			m.served[key] += m.conns[key]
			delete(m.conns, key)
			return
		}
	}
	if n, ok := m.watched[key]; ok {
		delete(m.watched, key)
		m.ready = append(m.ready, sys.Input{Unit: n, Body: unit.FDReady{Key: key}})
	}
}

// Served is how many clients of the socket were served, Waiting how many wait, Refused how many
// found no socket.
func (m *Machine) Served(key string) int { return m.served[key] }

// Waiting is how many clients of the socket wait.
func (m *Machine) Waiting(key string) int { return m.conns[key] }

// Refused is how many clients found no socket.
func (m *Machine) Refused(key string) int { return m.refused[key] }

// serve lets a new process take the clients that wait at its sockets.
func (m *Machine) serve(p *process) {
	for _, key := range p.fds {
		if m.conns[key] > 0 {
			m.served[key] += m.conns[key]
			delete(m.conns, key)
		}
	}
}

func (m *Machine) watchFDs(n unit.Name, keys []string) {
	for _, k := range keys {
		if m.fds[k] != 0 {
			m.watched[k] = n
		}
	}
	for _, k := range keys {
		if m.conns[k] > 0 && m.watched[k] == n {
			delete(m.watched, k)
			m.ready = append(m.ready, sys.Input{Unit: n, Body: unit.FDReady{Key: k}})
			return
		}
	}
}
