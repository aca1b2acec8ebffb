package core

import (
	"slices"

	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Records that may be too old.
//
// A damaged store may have lost the newest record of a unit, and give an older one for it. An intent is
// committed before each spawn, so without damage no process is newer than its unit's record. With damage that is
// what is looked for: a process whose mark has a later number than any that the record knows. Such a unit is
// orphaned - it shows as failed, its processes stay as they are until a stop or reset-failed ends them - because a
// machine that does not know them would start a second main process beside them. The same goes for a unit of
// whose processes nothing is known but that they are in its control group, if none that it counts on lives.

const (
	// farAhead is put on numbers that may have been used since a record was written.
	farAhead = 1 << 32
	// jobsAhead does the same for jobs, whose numbers are small: clients have 32 bits for them.
	jobsAhead = 1 << 16
)

const doubtReason = "the state store is damaged, and its record is older than its processes; stop or reset-failed kill what is left of it"

// doubt is the part of compare that a damaged store needs.
func (e *Engine) doubt(r *Recovery, report state.Report) {
	if !doubtful(&report) {
		return
	}
	e.forgetful = true
	e.nextJob += jobsAhead
	e.metaDirty = true
	for _, x := range e.byName() {
		e.further()
		if x.quar != nil || !x.loaded {
			continue
		}
		if e.outdated(x) {
			r.Problems++
			e.disown(x)
			continue
		}
		if x.seq > 0 {
			x.seq += farAhead
			e.touch(x)
		}
	}
}

// doubtful reports whether records may be too old, or missing. A torn tail may be a commit that was whole once.
func doubtful(report *state.Report) bool {
	return report.Omitted > 0 || slices.ContainsFunc(report.Problems, harms)
}

// harms: something that was recorded may be lost. The other problems pass.
func harms(p state.Problem) bool { return p.Damage != state.NotWritable && p.Damage != state.NoReserve }

// outdated asks the world whether x has processes that its record cannot know.
func (e *Engine) outdated(x *entry) bool {
	if _, ok := x.u.(unit.ProcHolder); !ok || x.cgroup == "" {
		return false
	}
	in := e.intent(x, unit.Emitted{})
	main := slices.ContainsFunc(x.procs, func(p ProcView) bool { return p.Role == roleMain })
	for _, p := range x.procs {
		if !main || p.Role == roleMain {
			in.Known = append(in.Known, p.Proc)
		}
	}
	outer := e.doing(stageProbe, x.name)
	found := e.cfg.World.Prober.Remains(in)
	e.rec.end(outer)
	return !found.Known && (found.Newest > x.seq || found.Nameless && !spawning(x))
}

const roleMain = "main"

// spawning: what a nameless process is will be asked for each Spawn.
func spawning(x *entry) bool {
	return slices.ContainsFunc(x.pending, isSpawn)
}

// disown orphans a unit whose machine does not know what it has.
func (e *Engine) disown(x *entry) {
	j := x.job
	x.saved, x.load, x.reason = stored{}, unit.LoadError, doubtReason
	e.orphan(x)
	e.indexProcs(x)
	if x.job = j; j != nil {
		e.followUp(finishLater{x.name, j.id, unit.JobFailed, doubtReason})
	}
	e.say(unit.LevelErr, x.name, doubtReason)
}
