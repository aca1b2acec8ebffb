package unit

// Peer is what a unit may see of another one.
type Peer struct {
	Name  Name
	State State
	FDs   []FDRef // descriptors that the peer offers (a socket unit's sockets)
	Job   JobType // the peer's queued or running job, 0 for none
	// Limited: the peer's last start was refused by StartLimitBurst=. Its Result may tell of
	// an earlier failure.
	Limited bool
}

// View is the read-only view of related units that a Tx carries.
type View interface {
	// Peer finds a loaded unit by any of its names.
	Peer(Name) (Peer, bool)
	// Related lists the units of relation r of the unit that is handling an event, sorted by name.
	Related(r Relation) []Name
}

// Emitted is an effect with the number by which its answer refers to it.
type Emitted struct {
	Seq    uint64
	Effect Effect
}

// Tx is one unit's part of a turn: the time, a view of its peers, and what it wants done.
type Tx struct {
	Now    Stamp
	CGroup string // the unit's control group, relative to the delegated root

	view     View
	seq      *uint64
	effects  []Emitted
	refused  string
	reloaded *bool
}

// NewTx starts a Tx. seq is the unit's effect counter and is advanced by Emit; view may be nil.
func NewTx(now Stamp, cgroup string, view View, seq *uint64) *Tx {
	return &Tx{Now: now, CGroup: cgroup, view: view, seq: seq}
}

// Emit asks for an effect; the result is the Seq that the answer will carry.
func (tx *Tx) Emit(e Effect) uint64 {
	*tx.seq++
	tx.effects = append(tx.effects, Emitted{*tx.seq, e})
	return *tx.seq
}

// Refuse turns down a Start, Stop, Reload or Request: the job fails (or the caller is
// told) with reason, and the unit's state stays as it is.
func (tx *Tx) Refuse(reason string) { tx.refused = reason }

// ReloadDone tells how the unit's current reload ended; the state alone does not say it.
func (tx *Tx) ReloadDone(ok bool) { tx.reloaded = &ok }

// Peer finds a related unit.
func (tx *Tx) Peer(n Name) (Peer, bool) {
	if tx.view == nil {
		return Peer{}, false
	}
	return tx.view.Peer(n)
}

// Related lists the units of one relation, sorted by name.
func (tx *Tx) Related(r Relation) []Name {
	if tx.view == nil {
		return nil
	}
	return tx.view.Related(r)
}

// Effects are what was emitted, in order.
func (tx *Tx) Effects() []Emitted { return tx.effects }

// Refused is the reason given to Refuse, empty for none.
func (tx *Tx) Refused() string { return tx.refused }

// ReloadResult is what ReloadDone was told; nil if it was not called.
func (tx *Tx) ReloadResult() *bool { return tx.reloaded }
