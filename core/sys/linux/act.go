package linux

import (
	"fmt"
	"strings"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// answer queues the event that answers an effect.
func (w *World) answer(in sys.Intent, ev unit.Event) {
	w.inputs.push(sys.Input{Unit: in.Unit, CGroup: in.CGroup, Body: ev}, nil)
}

// finish answers with Done, if an answer is wanted, and lets the lane go on.
func (w *World) finish(in sys.Intent, err error, next func()) {
	if in.Seq == 0 {
		if err != nil {
			w.note(in.Unit, "recovery", err)
		}
		next()
		return
	}
	d := unit.Done{Seq: in.Seq}
	if err != nil {
		d.Err = err.Error()
	}
	w.answer(in, d)
	next()
}

// carryOut does one effect of a unit. next is called once when the lane may go on, at once
// or later on this goroutine.
func (w *World) carryOut(in sys.Intent, next func()) {
	w.progress()
	w.learn(in)
	done := func(err error) { w.finish(in, err, next) }
	switch e := in.Effect.(type) {
	case unit.Spawn:
		w.spawn(in, e, next)
	case unit.Kill:
		w.killed(in, e, w.kill(in, e), next)
	case unit.Attach:
		done(w.attach(in, e))
	case unit.ReadPIDFile:
		w.readPIDFile(in, e, next)
	case unit.FindMain:
		w.findMain(in, e, next)
	case unit.WatchPath:
		w.watchPath(in, e, next)
	case unit.UnwatchPath:
		w.unwatchPath(in.Unit, e.ID)
		next()
	case unit.Realize:
		done(w.realize(in))
	case unit.RemoveCgroup:
		done(w.removeCGroup(in))
	case unit.Dirs:
		w.slow(done, func() error { return makeDirs(e) })
	case unit.Listen:
		w.listen(e, done)
	case unit.WatchFD:
		if err := w.watchFDs(in.Unit, e.Keys); err != nil {
			w.note(in.Unit, "watch", err)
		}
		next()
	case unit.UnwatchFD:
		w.unwatchFDs(e.Keys)
		next()
	case unit.StoreFD:
		w.storeFD(e.From, e.To, done)
	case unit.DropFD:
		w.dropAndUnlink(e, done)
	default:
		done(fmt.Errorf("cannot carry out %T: it is not an effect of the world", e))
	}
}

// slow has f run beside the loop, and done with its result on this goroutine.
func (w *World) slow(done func(error), f func() error) {
	w.pool.run(func() func() {
		err := f()
		return func() { done(err) }
	}, done)
}

// actForEngine carries out the manager's own effects.
func (w *World) actForEngine(in sys.Intent) {
	switch e := in.Effect.(type) {
	case sys.Load:
		w.load(in, e)
	case sys.Check:
		w.check(in, e)
	case sys.Shutdown:
		w.finish(in, w.shutdown(e), func() {})
	case sys.Reexec:
		if w.cfg.Reexec == nil {
			w.finish(in, fmt.Errorf("cannot replace the core: the assembly has no way"), func() {})
			return
		}
		if w.cfg.Init != nil && !w.channel.gone {
			// This turn is committed, and never ends: an exit before a completed turn would count as a failure.
			w.toInit("", w.cfg.Init.Pulse(w.pulse.turn+1, 0))
		}
		w.cfg.Reexec()
	}
}

// load has the loader run, one call after the other.
func (w *World) load(in sys.Intent, e sys.Load) {
	w.loads = append(w.loads, func() {
		w.loading = true
		w.pool.run(func() func() {
			specs := w.callLoad(e)
			return func() {
				w.inputs.push(sys.Input{Unit: in.Unit, Body: sys.Loaded{Seq: in.Seq, Specs: specs}}, nil)
				w.loading = false
				w.nextLoad()
			}
		}, w.cannotBreak("load"))
	})
	w.nextLoad()
}

func (w *World) nextLoad() {
	if w.loading || len(w.loads) == 0 {
		return
	}
	f := w.loads[0]
	w.loads = w.loads[1:]
	f()
}

// callLoad guards the engine against a loader that breaks its promise: unit files come
// from outside, and a bug that one of them reaches must cost the load, not the manager.
func (w *World) callLoad(e sys.Load) (specs []*unit.Spec) {
	names := e.Names
	defer func() {
		if r := recover(); r != nil {
			err := fmt.Errorf("cannot load %s: the loader panicked: %v", joinNames(names), r)
			w.note("", "load", err)
			specs = brokenSpecs(names, nil, err.Error())
		}
	}()
	if w.cfg.Load == nil {
		return brokenSpecs(names, nil, "the assembly has no loader")
	}
	return brokenSpecs(names, w.cfg.Load(e), "the loader gave no answer")
}

// brokenSpecs makes one Spec per name, with an error where there is none.
func brokenSpecs(names []unit.Name, have []*unit.Spec, why string) []*unit.Spec {
	specs := make([]*unit.Spec, len(names))
	for i, n := range names {
		if i < len(have) && have[i] != nil {
			specs[i] = have[i]
			continue
		}
		specs[i] = &unit.Spec{Name: n, Load: unit.LoadError, LoadError: why}
	}
	return specs
}

func joinNames(names []unit.Name) string {
	s := make([]string, 0, 4)
	for i, n := range names {
		if i == 3 {
			s = append(s, "...")
			break
		}
		s = append(s, string(n))
	}
	return strings.Join(s, " ")
}

// check has conditions evaluated. What gives no answer is not met.
func (w *World) check(in sys.Intent, e sys.Check) {
	w.pool.run(func() func() {
		results := w.callCheck(in.Unit, e.Conditions)
		return func() {
			w.inputs.push(sys.Input{Unit: in.Unit, Body: sys.Checked{Seq: in.Seq, Results: results}}, nil)
		}
	}, w.cannotBreak("check"))
}

// cannotBreak is for work that catches its panics by itself, because it can say more.
func (w *World) cannotBreak(what string) func(error) {
	return func(err error) { w.note("", what, err) }
}

func (w *World) callCheck(u unit.Name, conditions []unit.Condition) (results []bool) {
	results = make([]bool, len(conditions))
	defer func() {
		if r := recover(); r != nil {
			w.note(u, "check", fmt.Errorf("cannot evaluate conditions: panic: %v", r))
			clear(results)
		}
	}()
	if w.cfg.Check != nil {
		copy(results, w.cfg.Check(conditions))
	}
	return results
}
