package core

import (
	"strconv"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// stage is where in its work the engine is. The numbers stand in the recorder's page, where
// another version may read them: append only.
type stage uint8

const (
	stageNone     stage = iota
	stageDecode         // reading a unit's records
	stageSettings       // a kind's New and Implied, on a unit's settings
	stageRestore        // a kind's Restore
	stageHandle         // an event, in a unit's Handle
	stageSnapshot       // a unit's Snapshot
	stageProbe          // looking what became of an effect
	stageAct            // doing an effect
	stageRequest        // a client's or the engine's own request
	stageJob            // starting a queued job
	stageSignal
	stageFiles // linking units whose files were read
	stageLoad  // reading the store
	stageTidy  // compacting it
	numStages
)

var stageNames = [numStages]string{
	"", "reading its stored state", "reading its settings", "restoring its state", "handling", "taking its snapshot",
	"looking what became of", "doing", "answering the request", "running the job", "taking the signal",
	"linking units", "reading the store", "tidying the store",
}

// ofUnit: what goes wrong there costs the unit. Elsewhere it is the one thing itself, or nobody's.
func (s stage) ofUnit() bool { return s >= stageDecode && s <= stageAct }

// condemns: there is something to quarantine. The other stages are noted for the message only.
func (n *note) condemns() bool {
	return n.stage.ofUnit() && n.name != "" || n.stage == stageRequest && n.kind != 0 || n.stage == stageJob || n.stage == stageSignal
}

// what says in words what a note is about.
func (n *note) what() string {
	s := stageNames[n.stage%numStages]
	var names []string
	switch n.stage {
	case stageHandle:
		names = eventNames[:]
	case stageProbe, stageAct:
		names = effectNames[:]
	case stageRequest:
		names = requestNames[:]
	case stageJob:
		return s + " " + unit.JobType(n.kind).String()
	case stageSignal:
		return s + " " + strconv.Itoa(int(n.kind))
	}
	if int(n.kind) < len(names) && names[n.kind] != "" {
		s += " " + names[n.kind]
	}
	return s
}

// The numbers of events, effects and requests in notes are the places in these lists: append only.
var (
	eventNames = [...]string{"", "Start", "Stop", "Reload", "Request", "Spawned", "Execed", "Exited", "Notified", "TimerFired",
		"FDReady", "CgroupEmpty", "OOM", "PeerChanged", "PIDRead", "PathChanged", "Done", "Recovered"}
	effectNames = [...]string{"", "Spawn", "Kill", "Attach", "ReadPIDFile", "FindMain", "WatchPath", "UnwatchPath", "Realize",
		"RemoveCgroup", "Dirs", "Listen", "WatchFD", "UnwatchFD", "StoreFD", "DropFD", "Load", "Check", "Shutdown", "Reexec"}
	requestNames = [...]string{"", "OpJob", "OpLoad", "OpKill", "OpResetFailed", "OpCancel", "OpReload", "OpReexec", "OpShutdown", "OpRecall"}
)

// eventNote tells one event of a unit from another: its kind, and all of its content that a replay
// repeats.
func eventNote(ev unit.Event) (kind uint8, id uint64) {
	switch ev := ev.(type) {
	case unit.Start:
		return 1, 0
	case unit.Stop:
		return 2, 0
	case unit.Reload:
		return 3, 0
	case unit.Request:
		return 4, hashWord(uint64(ev.Kind)<<16|uint64(ev.Who)<<8, uint64(ev.Signal))
	case unit.Spawned:
		return 5, hashString(hashWord(procID(ev.Proc), ev.Seq), ev.Role)
	case unit.Execed:
		return 6, ev.Seq
	case unit.Exited:
		return 7, hashWord(procID(ev.Proc), uint64(ev.Exit.Code)<<32|uint64(uint32(ev.Exit.Status)))
	case unit.Notified:
		h := procID(ev.From)
		for i := range ev.Fields[:min(len(ev.Fields), 16)] {
			h = hashString(hashString(h, ev.Fields[i].Key), ev.Fields[i].Value)
		}
		return 8, h
	case unit.TimerFired:
		return 9, hashString(0, ev.ID)
	case unit.FDReady:
		return 10, hashString(0, ev.Key)
	case unit.CgroupEmpty:
		return 11, 0
	case unit.OOM:
		return 12, 0
	case unit.PeerChanged:
		return 13, hashString(uint64(ev.Rel)<<16|uint64(ev.Old.Active)<<8|uint64(ev.New.Active), string(ev.Peer))
	case unit.PIDRead:
		return 14, hashString(hashWord(procID(ev.Proc), ev.Seq), ev.Err)
	case unit.PathChanged:
		return 15, hashString(0, ev.ID)
	case unit.Done:
		return 16, hashString(ev.Seq, ev.Err)
	case unit.Recovered:
		return 17, 0
	}
	return 0, 0
}

func procID(p unit.Proc) uint64 { return hashWord(uint64(p.PID), p.Start) }

func effectKind(f unit.Effect) uint8 {
	switch f.(type) {
	case unit.Spawn:
		return 1
	case unit.Kill:
		return 2
	case unit.Attach:
		return 3
	case unit.ReadPIDFile:
		return 4
	case unit.FindMain:
		return 5
	case unit.WatchPath:
		return 6
	case unit.UnwatchPath:
		return 7
	case unit.Realize:
		return 8
	case unit.RemoveCgroup:
		return 9
	case unit.Dirs:
		return 10
	case unit.Listen:
		return 11
	case unit.WatchFD:
		return 12
	case unit.UnwatchFD:
		return 13
	case unit.StoreFD:
		return 14
	case unit.DropFD:
		return 15
	case sys.Load:
		return 16
	case sys.Check:
		return 17
	case sys.Shutdown:
		return 18
	case sys.Reexec:
		return 19
	}
	return 0
}

// requestNote tells one request from another by what it asks for, so that it is known again when a
// client repeats it.
func requestNote(r *Request) note {
	n := note{stage: stageRequest}
	switch op := r.Op.(type) {
	case OpJob:
		flags := uint64(op.Type)<<8 | uint64(op.Mode)<<16
		if op.Manual {
			flags |= 1
		}
		n.kind, n.id, n.name = 1, flags, string(op.Unit)
	case OpLoad:
		n.kind, n.name = 2, string(op.Unit)
	case OpKill:
		n.kind, n.id, n.name = 3, uint64(op.Who)<<32|uint64(uint32(op.Signal)), string(op.Unit)
	case OpResetFailed:
		n.kind, n.name = 4, string(op.Unit)
	case OpCancel:
		n.kind, n.id = 5, uint64(op.ID)
	case OpReload:
		n.kind = 6
	case OpReexec:
		n.kind = 7
	case OpShutdown:
		n.kind, n.id = 8, hashString(uint64(op.Code), op.Verb)
	case OpRecall:
		n.kind, n.id = 9, hashString(0, string(op.ID[:]))
	}
	return n
}

func intentNote(s stage, in *sys.Intent) note {
	return note{stage: s, kind: effectKind(in.Effect), arg: in.Seq, id: in.Seq, name: string(in.Unit)}
}

// doing notes something that is not about one input.
func (e *Engine) doing(s stage, n unit.Name) (outer int) {
	return e.rec.begin(note{stage: s, name: string(n)})
}
