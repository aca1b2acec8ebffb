package statetest

import (
	"cmp"
	"maps"
	"slices"

	"github.com/sysmaster-go/sysmaster/state"
)

// Commit is a commit as a Mem's Fail sees it.
type Commit struct {
	N       int // counts Commit calls on this Mem and those it was reopened from, from 1
	Urgent  bool
	Records []state.Record
}

// Mem is a state.Store in memory, for simulations: no files, no bytes, the same promises. The zero value is empty
// and ready. As with a Log, a process that died is followed by one that opens what was committed: Reopen.
type Mem struct {
	// Fail, if set, may refuse a commit: with an error nothing is recorded. Take a *state.CommitError as a Log would,
	// or use Refuse. After UseReserve a Log refuses nothing; whether Fail still does is its own choice.
	Fail func(Commit) error
	// Broken is added to Load's report: damage that the engine is to be tested with.
	Broken []state.Problem

	data   map[state.Key]state.Record
	n      int
	urgent bool
	fault  error
	closed bool
}

// Interface guard.
var _ state.Store = (*Mem)(nil)

// Refuse is the error of a Log that cannot write for this reason: state.ErrFull, state.ErrGone ...
func Refuse(reason error) error {
	return &state.CommitError{Op: "write", File: "memory", Reason: reason, Err: reason}
}

// Commit records everything or, with Fail's error, nothing.
func (m *Mem) Commit(recs []state.Record) error {
	if m.closed {
		return state.ErrClosed
	}
	m.n++
	if m.Fail != nil {
		if m.fault = m.Fail(Commit{N: m.n, Urgent: m.urgent, Records: recs}); m.fault != nil {
			return m.fault
		}
	}
	if m.data == nil {
		m.data = make(map[state.Key]state.Record)
	}
	for _, r := range recs {
		k := state.Key{Segment: r.Segment, Name: r.Key}
		if r.Data == nil {
			delete(m.data, k)
			continue
		}
		r.Data = append(make([]byte, 0, len(r.Data)), r.Data...)
		m.data[k] = r
	}
	return nil
}

// Load calls fn for each key, sorted by segment and name.
func (m *Mem) Load(fn func(state.Record) error) (state.Report, error) {
	rep := state.Report{Format: state.Format, Records: len(m.data), Problems: slices.Clone(m.Broken)}
	for _, p := range m.Broken {
		rep.Dropped += p.Bytes
		if p.Damage == state.LostCommits {
			rep.Lost += p.Count
		}
	}
	if m.closed {
		return rep, state.ErrClosed
	}
	for _, r := range m.Records() {
		if err := fn(r); err != nil {
			return rep, err
		}
	}
	return rep, nil
}

// Records returns the newest record of each key, sorted by segment and name.
func (m *Mem) Records() []state.Record {
	return slices.SortedFunc(maps.Values(m.data), func(a, b state.Record) int {
		return cmp.Or(cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Key, b.Key))
	})
}

// Maintain has nothing to do but to end the urgent time once commits work again.
func (m *Mem) Maintain(int) (bool, error) {
	if m.closed {
		return false, state.ErrClosed
	}
	m.urgent = m.urgent && m.fault != nil
	return false, nil
}

// UseReserve tells Fail that the following commits are urgent.
func (m *Mem) UseReserve() { m.urgent = true }

// Health is the store's condition.
func (m *Mem) Health() state.Health {
	h := state.Health{Err: m.fault, Urgent: m.urgent, Keys: len(m.data)}
	for _, r := range m.data {
		h.Live += int64(len(r.Key) + len(r.Data))
	}
	return h
}

// Commits is the number of Commit calls so far.
func (m *Mem) Commits() int { return m.n }

// Close makes every later call fail.
func (m *Mem) Close() error {
	if m.closed {
		return state.ErrClosed
	}
	m.closed = true
	return nil
}

// Reopen is a crash of the process and its restart: it returns the store as the next process finds it, and a process
// that still uses m gets errors. Fail goes with it.
func (m *Mem) Reopen() *Mem {
	next := m.Clone()
	m.closed = true
	return next
}

// Clone returns an independent copy: for trying the same crash in several ways.
func (m *Mem) Clone() *Mem {
	return &Mem{Fail: m.Fail, Broken: m.Broken, n: m.n, data: maps.Clone(m.data)}
}
