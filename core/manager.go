package core

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// reply queues an answer for after the commit.
func (e *Engine) reply(r *Request, resp Response) {
	if r.settled != nil {
		r.settled(resp.Err)
	}
	e.answered(r, resp)
	if r.Reply != nil {
		e.replies = append(e.replies, reply{r.Reply, resp})
	}
}

// request does one request, or leaves it waiting for files.
func (e *Engine) request(r *Request) {
	if !e.first(r) {
		return
	}
	n := requestNote(r)
	if _, reset := r.Op.(OpResetFailed); !reset {
		if q := e.poison(&n); q != nil {
			e.reply(r, Response{Err: q.refusal(unit.Name(n.name))})
			return
		}
	}
	outer := e.rec.begin(n)
	e.serve(r)
	e.rec.end(outer)
}

func (e *Engine) serve(r *Request) {
	switch op := r.Op.(type) {
	case OpJob:
		e.whenLoaded(r, op.Unit, op.Type == unit.JobStop, func(x *entry) { e.jobRequest(r, op, x) })
	case OpLoad:
		e.whenLoaded(r, op.Unit, true, func(x *entry) { e.reply(r, Response{Unit: x.name}) })
	case OpKill:
		e.killRequest(r, op)
	case OpResetFailed:
		e.resetFailed(r, op)
	case OpCancel:
		e.cancel(r, op)
	case OpRecall:
		e.recall(r, op)
	case OpReload:
		e.startReload(r)
	case OpReexec:
		e.intents = append(e.intents, sys.Intent{Effect: sys.Reexec{}})
		e.reply(r, Response{})
	case OpShutdown:
		e.goDown(op.Verb, op.Code, e.causeOfRequest(r).words())
		e.reply(r, Response{})
	default:
		e.reply(r, Response{Err: ErrNotSupported})
	}
}

func (e *Engine) jobRequest(r *Request, op OpJob, x *entry) {
	if e.shutdown != nil {
		e.reply(r, Response{Unit: x.name, Err: ErrShuttingDown})
		return
	}
	// What the manager itself wants is queued, and goes on when the store works again.
	begins := e.storeErr != nil && r.settled == nil && op.Type != unit.JobStop
	if begins && op.Mode != unit.ModeReplaceIrreversibly {
		e.reply(r, Response{Unit: x.name, Err: &RequestError{x.name, ErrStore, e.storeErr.Error()}})
		return
	}
	if x.quar != nil {
		e.reply(r, Response{Unit: x.name, Err: x.quar.refusal(x.name)})
		return
	}
	p, err := e.plan(x, op)
	if err == nil && begins && !p.takesDown() {
		err = &RequestError{x.name, ErrStore, e.storeErr.Error()}
	}
	if err != nil {
		e.reply(r, Response{Unit: x.name, Err: err})
		return
	}
	resp := Response{Unit: x.name, Job: e.install(p, e.causeOfRequest(r))}
	if resp.Job == 0 {
		resp.Result = unit.JobDone
	}
	e.reply(r, resp)
}

func (e *Engine) killRequest(r *Request, op OpKill) {
	x := e.lookup(op.Unit)
	switch {
	case x == nil || x.u == nil && !x.orphaned() && x.quar == nil:
		e.reply(r, Response{Err: &RequestError{op.Unit, ErrNoSuchUnit, "it is not loaded"}})
		return
	case op.Signal < 1 || op.Signal > 64:
		e.reply(r, Response{Err: &RequestError{op.Unit, ErrNotSupported, "no such signal"}})
		return
	}
	e.noteRequest(x, r, Change{Kind: ChangeKill, Status: uint16(op.Signal)})
	if x.quar != nil { // nobody waits for the answer
		x.seq++
		e.intents = append(e.intents, e.intent(x, unit.Emitted{Seq: x.seq, Effect: unit.Kill{Signal: op.Signal}}))
		e.touch(x)
		e.reply(r, Response{Unit: x.name})
		return
	}
	if x.u == nil {
		e.manage(x, unit.Kill{Signal: op.Signal})
		e.reply(r, Response{Unit: x.name})
		return
	}
	if why := e.handle(x, unit.Request{Kind: unit.RequestKill, Signal: op.Signal, Who: op.Who}); why != "" {
		e.reply(r, Response{Unit: x.name, Err: &RequestError{x.name, ErrNoSuchProcess, why}})
		return
	}
	e.reply(r, Response{Unit: x.name})
}

func (e *Engine) resetFailed(r *Request, op OpResetFailed) {
	reset := func(x *entry) {
		if x.state.Active == unit.Failed || len(x.starts) > 0 {
			e.noteRequest(x, r, Change{Kind: ChangeReset})
		}
		if x.quar != nil {
			e.lift(x)
			return
		}
		x.starts, x.limited = nil, false
		e.touch(x)
		if x.orphaned() {
			e.revive(x)
		}
		if x.u != nil && x.state.Active == unit.Failed {
			e.handle(x, unit.Request{Kind: unit.RequestResetFailed})
		}
	}
	e.pardon()
	if op.Unit == "" {
		all := new(allClear)
		for _, x := range e.list {
			if x.gone {
				continue
			}
			if reset(x); x.clearing() {
				all.left++
				e.clearers = append(e.clearers, clearer{x, r, all})
			}
		}
		if all.left == 0 {
			e.reply(r, Response{})
		}
		return
	}
	x := e.lookup(op.Unit)
	if x == nil {
		e.reply(r, Response{Err: &RequestError{op.Unit, ErrNoSuchUnit, "it is not loaded"}})
		return
	}
	reset(x)
	if x.clearing() { // so that what the client asks for next finds the unit as it asked
		e.clearers = append(e.clearers, clearer{x: x, r: r})
		return
	}
	e.reply(r, Response{Unit: x.name})
}

func (e *Engine) cancel(r *Request, op OpCancel) {
	if op.ID == 0 {
		ids := make([]JobID, 0, len(e.jobs))
		for id := range e.jobs {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		for _, id := range ids {
			e.cancelJob(r, e.jobs[id])
		}
		e.reply(r, Response{})
		return
	}
	j := e.jobs[op.ID]
	if j == nil {
		e.reply(r, Response{Err: ErrNoSuchJob})
		return
	}
	e.cancelJob(r, j)
	e.reply(r, Response{Unit: j.x.name, Job: op.ID})
}

func (e *Engine) cancelJob(r *Request, j *job) {
	e.noteRequest(j.x, r, Change{Kind: ChangeCancel, Job: j.id})
	e.finish(j, unit.JobCanceled)
}

// The signals that init passes on, by number on all of Go's Linux ports but MIPS.
const (
	sigHUP   = 1
	sigINT   = 2
	sigKILL  = 9
	sigTERM  = 15
	sigWINCH = 28
	sigPWR   = 30
	sigRTMIN = 34
)

// signal does what man systemd(1), SIGNALS, says of the signals that init passes on.
func (e *Engine) signal(n int) {
	start := func(u unit.Name, m unit.JobMode) {
		e.followUp(jobLater{u, unit.JobStart, m, "signal", Cause{Kind: CauseSignal, Status: int32(n)}})
	}
	switch n {
	case sigHUP:
		e.startReload(&Request{by: Cause{Kind: CauseSignal, Status: sigHUP}, Op: OpReload{}})
	case sigTERM:
		e.intents = append(e.intents, sys.Intent{Effect: sys.Reexec{}})
	case sigINT:
		start("ctrl-alt-del.target", unit.ModeReplaceIrreversibly)
	case sigPWR:
		start("sigpwr.target", unit.ModeReplace)
	case sigWINCH:
		start("kbrequest.target", unit.ModeReplace)
	case sigRTMIN + 0:
		start("default.target", unit.ModeIsolate)
	case sigRTMIN + 1:
		start("rescue.target", unit.ModeIsolate)
	case sigRTMIN + 2:
		start("emergency.target", unit.ModeIsolate)
	case sigRTMIN + 3:
		start("halt.target", unit.ModeReplaceIrreversibly)
	case sigRTMIN + 4:
		start("poweroff.target", unit.ModeReplaceIrreversibly)
	case sigRTMIN + 5:
		start("reboot.target", unit.ModeReplaceIrreversibly)
	case sigRTMIN + 6:
		start("kexec.target", unit.ModeReplaceIrreversibly)
	}
}

// machineAction does what SuccessAction= and its kin ask for (man systemd.unit(5)). A code
// below zero means that none was set. setting is which of them it is, if that is known.
func (e *Engine) machineAction(x *entry, setting, action string, code int, why string) {
	var target unit.Name
	verb := ""
	switch action {
	case "", "none":
		return
	case "reboot":
		target = "reboot.target"
	case "poweroff":
		target = "poweroff.target"
	case "halt":
		target = "halt.target"
	case "exit":
		target = "exit.target"
	case "reboot-force", "reboot-immediate":
		verb = "reboot"
	case "poweroff-force", "poweroff-immediate":
		verb = "poweroff"
	case "halt-force", "halt-immediate":
		verb = "halt"
	case "exit-force":
		verb = "exit"
	default:
		e.say(unit.LevelErr, "", why+": unknown action "+action)
		return
	}
	e.say(unit.LevelNotice, "", why+": "+action)
	if verb != "" {
		e.goDown(verb, max(code, 0), why)
		return
	}
	if code >= 0 {
		e.exitCode = code
	}
	text := action
	if setting != "" {
		text = setting + "=" + action
	}
	by := Cause{Kind: CauseAction, Unit: x.name, Change: x.last(), Text: text}
	e.nextTurn(jobLater{target, unit.JobStart, unit.ModeReplaceIrreversibly, why, by})
}

// goDown hands the machine over to init.
func (e *Engine) goDown(verb string, code int, why string) {
	if e.shutdown != nil {
		return
	}
	if code == 0 {
		code = e.exitCode
	}
	e.shutdown = &sys.Shutdown{Verb: verb, Code: code}
	e.metaDirty = true
	e.say(unit.LevelNotice, "", "going down: "+verb+" ("+why+")")
	e.intents = append(e.intents, sys.Intent{Effect: *e.shutdown})
}

// boot queues the first job of a machine that has no stored state.
func (e *Engine) boot() {
	e.booted = true
	e.metaDirty = true
	names := append([]unit.Name{e.cfg.Boot.Unit}, e.cfg.Boot.Fallbacks...)
	e.bootTry(slices.DeleteFunc(names, func(n unit.Name) bool { return n == "" }))
}

// bootTry starts the first of names; the next one is tried if it cannot be started at all.
func (e *Engine) bootTry(names []unit.Name) {
	if len(names) == 0 {
		e.started, e.bootPending = true, false
		return
	}
	mode := e.cfg.Boot.Mode
	if mode == 0 {
		mode = unit.ModeIsolate
	}
	e.bootPending = true
	e.request(&Request{
		by: Cause{Kind: CauseBoot},
		Op: OpJob{Unit: names[0], Type: unit.JobStart, Mode: mode},
		settled: func(err error) {
			e.metaDirty = true
			if err == nil {
				e.bootPending = false
				return
			}
			e.say(unit.LevelErr, names[0], "cannot start: "+err.Error())
			e.bootRest, e.bootRetry = names[1:], true
		},
	})
}

// maybeStarted notices the end of the boot transaction.
func (e *Engine) maybeStarted() {
	if !e.started && e.booted && !e.bootPending && len(e.jobs) == 0 && len(e.waiting) == 0 {
		e.started = true
		e.metaDirty = true
		e.publish(StartupFinished{})
	}
}

// mix hashes an invocation id together.
func mix(seed [16]byte, name string, n uint64) (id [16]byte) {
	var b [24]byte
	copy(b[:], seed[:])
	binary.LittleEndian.PutUint64(b[16:], n)
	sum := sha256.Sum256(append(b[:], name...))
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x40 // as systemd: formed like a random UUID
	id[8] = id[8]&0x3f | 0x80
	return id
}
