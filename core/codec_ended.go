package core

import (
	"slices"

	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

// ended are the processes whose ends a unit heard of in the last turn in which it heard of any. A core
// that dies between the commit of that turn and its acknowledgement leaves the exits to init, and the next
// core must not take one of them for that of a Spawn which the unit asked for in answer.
type ended struct {
	turn  uint64
	procs []unit.Proc
}

func (d *ended) add(turn uint64, p unit.Proc) {
	if d.turn != turn {
		d.turn, d.procs = turn, d.procs[:0]
	}
	d.procs = append(d.procs, p)
}

// tagEnded is the place of such a process in its unit's record.
const tagEnded = 25

// encodeEnded writes what only the probe of a Spawn looks at, and only while one is not answered.
func encodeEnded(enc *record.Encoder, x *entry) {
	if len(x.ended.procs) == 0 || !slices.ContainsFunc(x.pending, isSpawn) {
		return
	}
	for _, p := range x.ended.procs {
		m := enc.Begin(tagEnded)
		encodeProc(enc, p)
		enc.End(m)
	}
}

func isSpawn(em unit.Emitted) bool {
	_, ok := em.Effect.(unit.Spawn)
	return ok
}
