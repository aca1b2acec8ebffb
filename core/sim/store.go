package sim

import (
	"syscall"
	"time"

	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/statetest"
)

// StoreKind says where the simulated core keeps its state.
type StoreKind uint8

const (
	// StoreMemory is a statetest.Mem: fast, and never damaged.
	StoreMemory StoreKind = iota
	// StoreLog is the real state.Log on a statetest.FS, with its torn writes, full disks and compaction.
	StoreLog
)

// store is the machine's side of the core's store.
type store struct {
	kind    StoreKind
	seed    uint64
	mem     *statetest.Mem
	fs      *statetest.FS
	log     *state.Log
	broken  FaultKind
	damaged bool // records may be lost, and that is not the core's fault
	refused bool // ... a commit was refused since the last crash
	forgot  bool // ... and a core died before what was refused could be recorded: init, which is not simulated, ends the machine then
	last    statetest.Op
	fresh   bool // it was just copied
}

func newStore(m *Machine) *store {
	s := &store{kind: m.cfg.Store, seed: m.cfg.Seed}
	if s.kind == StoreLog {
		s.fs = &statetest.FS{}
	} else {
		s.mem = &statetest.Mem{}
	}
	return s
}

// open makes what the next core uses.
func (s *store) open() error {
	if s.kind != StoreLog {
		s.mem.Fail = s.refuse
		return nil
	}
	s.fs.Fault = s.fault
	log, report, err := state.Open(state.Config{FS: s.fs, Salt: s.seed + 1, CompactAt: 64 << 10, Reserve: 64 << 10})
	if err != nil {
		return err
	}
	s.log = log
	s.damaged = s.damaged || !report.Whole()
	return nil
}

func (s *store) use() state.Store {
	if s.kind == StoreLog {
		return s.log
	}
	return s.mem
}

func (s *store) maintain() {
	if s.kind == StoreLog || s.broken != "" || s.refused {
		// Its errors are in Health; the engine's own loop says them.
		_, _ = s.use().Maintain(64 << 10)
	}
}

// refuse is statetest.Mem's Fail. A full disk has a reserve for what is urgent, the others have none.
func (s *store) refuse(c statetest.Commit) error {
	reasons := map[FaultKind]error{FaultFull: state.ErrFull, FaultIO: state.ErrIO, FaultReadOnly: state.ErrReadOnly}
	if s.broken == "" || s.broken == FaultFull && c.Urgent {
		return nil
	}
	s.refused = true
	return statetest.Refuse(reasons[s.broken])
}

// fault is statetest.FS's Fault.
func (s *store) fault(op statetest.Op) statetest.Outcome {
	if op.Kind == statetest.OpWrite {
		s.last = op
	}
	if s.broken != "" {
		s.refused = true
	}
	if s.broken == FaultIO && op.Kind.Changes() {
		return statetest.Outcome{Err: syscall.EIO}
	}
	return statetest.Outcome{}
}

// works reports whether everything that the core committed since its start is recorded.
func (s *store) works() bool { return s.broken == "" && !s.refused && !s.damaged }

func (m *Machine) breakDisk(kind FaultKind, d time.Duration) {
	s := m.store
	s.broken = kind
	if s.fs != nil {
		s.fs.ReadOnly = kind == FaultReadOnly
		if kind == FaultFull {
			s.fs.Capacity = s.fs.Used()
		}
	}
	if d > 0 {
		m.after(d, happening{do: doHeal})
	}
}

func (s *store) heal() {
	s.broken = ""
	if s.fs != nil {
		s.fs.ReadOnly, s.fs.Capacity = false, 0
	}
}

// crash is what the death of the process does to the store.
func (s *store) crash(m *Machine) error {
	s.forgot = s.forgot || s.refused
	if s.kind != StoreLog {
		if s.mem.Health().Urgent {
			s.mem = s.mem.Reopen()
		}
		s.refused, s.fresh = s.broken != "", false
		return s.open()
	}
	if !s.fresh {
		s.fs = s.fs.Restart()
	}
	s.fresh = false
	f := &m.cfg.Faults
	if m.tears() && m.chance(f.TornWrite) {
		s.tear(m.rng.IntN(s.last.Len))
		m.committed = false
		m.note("torn write", "", int64(s.last.Len), 0, s.last.Name)
	}
	if m.chance(f.FlippedBit) {
		s.flip(m)
	}
	s.refused = s.broken != ""
	return s.open()
}

// tears reports whether the present crash may fall into the write of a commit: nothing has been
// done since then that depends on it.
func (m *Machine) tears() bool {
	return m.committed && m.stage == stageCommitted && m.store.last.Len > 0 && m.store.broken == ""
}

// tear leaves n bytes of the last write.
func (s *store) tear(n int) {
	data := s.fs.Content(s.last.Name)
	end := int(s.last.Off) + s.last.Len
	if end > len(data) {
		return // it was replaced since
	}
	clear(data[int(s.last.Off)+n : end])
	if end == len(data) {
		data = data[:int(s.last.Off)+n]
	}
	s.fs.Put(s.last.Name, data)
}

// flip inverts a bit near the end of the newest log.
func (s *store) flip(m *Machine) {
	size := len(s.fs.Content(s.last.Name))
	if size == 0 {
		return
	}
	at := size - 1 - m.rng.IntN(min(size, 256))
	s.fs.Flip(s.last.Name, int64(at), uint(m.rng.IntN(8)))
	s.damaged = true
	m.note("flipped bit", "", int64(at), 0, s.last.Name)
}

// clone copies the store for the machine n, whose core dies now.
func (s *store) clone() *store {
	c := *s
	c.log, c.fresh = nil, true
	if s.kind == StoreLog {
		c.fs = s.fs.Restart()
	} else {
		c.mem = s.mem.Clone()
	}
	return &c
}
