package execseq

import (
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// TimerID is the timer that a Machine arms.
const TimerID = "state"

// Process is a process of the unit, or one that was asked for.
type Process struct {
	Role string    // of its Spawn; empty for one that the unit was told of
	Seq  uint64    // of the Spawn that is not answered; 0 once it is
	Exec uint64    // of the Spawn whose Execed is not in; 0 once it is
	Proc unit.Proc // zero until it exists
}

// Live reports whether the process exists or is asked for.
func (p *Process) Live() bool { return p.Seq != 0 || !p.Proc.IsZero() }

// Machine is the shared state; New makes one. All fields are part of a snapshot; a unit
// reads them, and changes them through the methods only.
type Machine struct {
	Main, Control Process
	List          string // the list that the control process belongs to
	Index         int    // its place there
	Empty         bool   // the control group is known to have no process
	KillSeq       uint64 // the last Kill of the whole group, not answered
	Owed          int    // signal for processes that did not exist when it was sent; 0: none
	Armed         bool
	Deadline      time.Duration // monotonic, valid if Armed
}

// New gives a Machine without processes.
func New() Machine { return Machine{Empty: true} }

// NoteKind says what an event meant.
type NoteKind uint8

const (
	None NoteKind = iota
	Spawned
	Execed
	Exited
	Empty
	Timeout
)

// Note is what an event meant to the Machine.
type Note struct {
	Kind NoteKind
	Main bool             // Spawned, Execed, Exited: the main process, else control
	Proc unit.Proc        // Exited
	Exit unit.Exit        // Exited
	Err  *unit.SpawnError // Exited without a process, or Execed with a failed step
}

// Absorb takes an event. See the table in the package's comment.
func (m *Machine) Absorb(tx *unit.Tx, ev unit.Event) Note {
	switch ev := ev.(type) {
	case unit.Spawned:
		return m.spawned(tx, ev)
	case unit.Execed:
		for _, p := range []*Process{&m.Main, &m.Control} {
			if ev.Seq != 0 && p.Exec == ev.Seq {
				p.Exec = 0
				return Note{Kind: Execed, Main: p == &m.Main, Err: ev.Err}
			}
		}
	case unit.Exited:
		for _, p := range []*Process{&m.Main, &m.Control} {
			if Same(p.Proc, ev.Proc) {
				*p = Process{}
				return Note{Kind: Exited, Main: p == &m.Main, Proc: ev.Proc, Exit: ev.Exit}
			}
		}
	case unit.CgroupEmpty:
		m.Empty = true
		return Note{Kind: Empty}
	case unit.Done:
		if ev.Seq == 0 || ev.Seq != m.KillSeq {
			break
		}
		m.KillSeq = 0
		if ev.None {
			m.Empty = true
			return Note{Kind: Empty}
		}
	case unit.TimerFired:
		if ev.ID == TimerID {
			m.Armed = false
			return Note{Kind: Timeout}
		}
	}
	return Note{}
}

// Same reports whether a and b are the same process. A start time of 0 is not known.
func Same(a, b unit.Proc) bool {
	return !a.IsZero() && a.PID == b.PID && (a.Start == b.Start || a.Start == 0 || b.Start == 0)
}

func (m *Machine) spawned(tx *unit.Tx, ev unit.Spawned) Note {
	for _, p := range []*Process{&m.Main, &m.Control} {
		if ev.Seq == 0 || p.Seq != ev.Seq {
			continue
		}
		main := p == &m.Main
		if ev.Err != nil {
			*p = Process{}
			exit := unit.Exit{Code: unit.ExitExited, Status: ev.Err.Status}
			if ev.Err.Status == 0 { // nobody knows: something may run
				exit.Code, m.Empty = unit.ExitUnknown, false
			}
			return Note{Kind: Exited, Main: main, Exit: exit, Err: ev.Err}
		}
		p.Seq, p.Proc, m.Empty = 0, ev.Proc, false
		if m.Owed != 0 {
			tx.Emit(unit.Kill{Proc: ev.Proc, Signal: m.Owed, Cont: true})
		}
		return Note{Kind: Spawned, Main: main}
	}
	if ev.Err == nil { // nobody waits for it any more
		tx.Emit(unit.Kill{Proc: ev.Proc, Signal: sigKILL})
	}
	return Note{}
}

// SpawnMain runs s as the main process. Role and FIFO order are the caller's.
func (m *Machine) SpawnMain(tx *unit.Tx, s unit.Spawn) {
	seq := tx.Emit(s)
	m.Owed = 0
	m.Main = Process{Role: s.Role, Seq: seq, Exec: seq}
}

// SpawnControl runs s as the control process, command index of list.
func (m *Machine) SpawnControl(tx *unit.Tx, list string, index int, s unit.Spawn) {
	seq := tx.Emit(s)
	m.Owed = 0
	m.Control = Process{Role: s.Role, Seq: seq, Exec: seq}
	m.List, m.Index = list, index
}

// Arm sets the state's timer d from now; Infinity takes it away.
func (m *Machine) Arm(tx *unit.Tx, d time.Duration) { m.ArmAt(tx, tx.Now.Deadline(d)) }

// ArmAt sets the state's timer to a time of the monotonic clock; Infinity takes it away.
func (m *Machine) ArmAt(tx *unit.Tx, at time.Duration) {
	if at == unit.Infinity {
		m.Disarm(tx)
		return
	}
	if m.Armed && m.Deadline == at {
		return
	}
	m.Armed, m.Deadline = true, at
	tx.Emit(unit.Arm{ID: TimerID, At: at})
}

// Disarm takes the state's timer away.
func (m *Machine) Disarm(tx *unit.Tx) {
	if m.Armed {
		m.Armed = false
		tx.Emit(unit.Disarm{ID: TimerID})
	}
}

// Extend moves the state's timer to at least d from now (EXTEND_TIMEOUT_USEC=); a state
// without a timer gets none.
func (m *Machine) Extend(tx *unit.Tx, d time.Duration) {
	if at := tx.Now.Deadline(d); m.Armed && at > m.Deadline && at != unit.Infinity {
		m.ArmAt(tx, at)
	}
}

// Encode writes m as the fields of one message.
func (m *Machine) Encode(e *unit.Encoder) {
	for i, p := range []*Process{&m.Main, &m.Control} {
		if *p != (Process{}) {
			e.Message(uint(1+i), func(e *unit.Encoder) {
				e.Str(1, p.Role)
				e.Uint(2, p.Seq)
				e.Uint(3, p.Exec)
				e.Proc(4, p.Proc)
			})
		}
	}
	e.Str(3, m.List)
	e.Int(4, int64(m.Index))
	e.Bool(5, m.Empty)
	e.Uint(6, m.KillSeq)
	e.Int(7, int64(m.Owed))
	e.Bool(8, m.Armed)
	e.Duration(9, m.Deadline)
}

// DecodeField reads the present field of d.
func (m *Machine) DecodeField(d *unit.Decoder) {
	switch d.Tag() {
	case 1:
		m.Main.decode(d)
	case 2:
		m.Control.decode(d)
	case 3:
		m.List = d.Str()
	case 4:
		m.Index = int(d.Int())
	case 5:
		m.Empty = d.Bool()
	case 6:
		m.KillSeq = d.Uint()
	case 7:
		m.Owed = int(d.Int())
	case 8:
		m.Armed = d.Bool()
	case 9:
		m.Deadline = d.Duration()
	}
}

func (p *Process) decode(d *unit.Decoder) {
	d.Message(func(d *unit.Decoder) {
		switch d.Tag() {
		case 1:
			p.Role = d.Str()
		case 2:
			p.Seq = d.Uint()
		case 3:
			p.Exec = d.Uint()
		case 4:
			p.Proc = d.Proc()
		}
	})
}
