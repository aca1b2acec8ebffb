package main

import (
	"fmt"
	"sync"
)

// loss is what must not happen.
type loss string

const (
	lostService      loss = "service restarted"   // or killed, or started twice, by nobody's order
	lostExit         loss = "exit lost"           // the manager does not know how a process ended
	lostJob          loss = "job lost"            // acknowledged, and never ended or not carried out
	lostConnection   loss = "connection lost"     // refused, reset, or not answered
	lostNotification loss = "notification lost"   // sent, and the manager never showed it
	lostUnit         loss = "unit quarantined"    // the manager gave it up
	lostSight        loss = "manager disagrees"   // it shows another process than the one that runs
	lostCore         loss = "core did not return" // within the patience
)

func losses() []loss {
	return []loss{lostService, lostExit, lostJob, lostConnection, lostNotification, lostUnit, lostSight, lostCore}
}

// finding is one loss with what is known of it.
type finding struct {
	Loss  loss   `json:"loss"`
	Round int    `json:"round"`
	Unit  string `json:"unit,omitempty"`
	Text  string `json:"text"`
}

// tally counts losses.
type tally map[loss]int

func (t tally) none() bool {
	for _, n := range t {
		if n > 0 {
			return false
		}
	}
	return true
}

// ledger collects what was lost; safe for concurrent use.
type ledger struct {
	mu    sync.Mutex
	round int
	count tally
	found []finding
	told  func(finding) // may be nil
}

// findingsKept bounds what a report lists; all are counted.
const findingsKept = 200

func (l *ledger) add(f finding) {
	l.mu.Lock()
	f.Round = l.round
	if l.count == nil {
		l.count = tally{}
	}
	l.count[f.Loss]++
	if len(l.found) < findingsKept {
		l.found = append(l.found, f)
	}
	told := l.told
	l.mu.Unlock()
	if told != nil {
		told(f)
	}
}

func (l *ledger) addAll(list []finding) {
	for _, f := range list {
		l.add(f)
	}
}

func (l *ledger) begin(round int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.round = round
}

func (l *ledger) result() (tally, []finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := tally{}
	for _, k := range losses() {
		t[k] = l.count[k]
	}
	return t, append([]finding(nil), l.found...)
}

// verb is what the workload does to one service.
type verb string

const (
	verbNone    verb = "none" // nothing: it must be as it was
	verbStart   verb = "start"
	verbStop    verb = "stop"
	verbRestart verb = "restart"
	verbExit    verb = "exit" // it ends by itself, with a status
	verbDie     verb = "die"  // ... by a signal
)

// order is one thing done to one service.
type order struct {
	verb   verb
	status int    // of verbExit, or the signal of verbDie
	delay  int    // microseconds from the word to the deed, of both
	result string // of the job, as the manager told it
	maybe  bool   // the connection was lost before the answer: it may have been carried out or not
}

// said is what the manager tells of a service.
type said struct {
	active   string
	load     string
	main     int // process
	lastMain int // the last main process
	code     int // how that ended: CLD_EXITED ..., 0 for "it runs"
	status   int // or signal
	text     string
	poisoned bool // quarantined
	job      bool // one waits or runs
}

// The codes of waitid(2).
const (
	cldExited = 1
	cldKilled = 2
	cldDumped = 3
)

// judge compares what a service's journal and the kernel show before and after an order with
// what the order allows, and then with what the manager says. Nothing found means: all is as it
// should be. What is found may be too early to tell: the caller asks again until its patience ends.
func judge(m member, o order, before, after life, s said) []finding {
	out := facts(m, o, before, after)
	add := adder(&out, m, o)
	if len(out) == 0 {
		m.compare(o, before, after, s, add)
	}
	if s.poisoned {
		add(lostUnit, "it is quarantined")
	}
	return out
}

// facts judges without the manager.
func facts(m member, o order, before, after life) (out []finding) {
	add := adder(&out, m, o)
	least, most := o.starts(m.kind)
	switch n := after.starts - before.starts; {
	case n > most:
		add(lostService, "%d processes were started instead of %d", n, most)
		return out
	case n < least && (o.verb == verbExit || o.verb == verbDie):
		add(lostExit, "process %d has ended, and no other was started", before.now.pid)
		return out
	case n < least:
		add(lostJob, "it was acknowledged and ended with %q, and no process was started", o.result)
		return out
	}
	up := o.up(m.kind, before, after)
	switch {
	case up && !after.alive && m.kind != kindOneshot:
		add(lostService, "process %d is gone; by its own account: %q %d", after.now.pid, after.end.how, after.end.status)
	case !up && after.alive && (o.verb == verbExit || o.verb == verbDie):
		add(lostSight, "process %d does not end", after.now.pid)
	case !up && after.alive:
		add(lostJob, "process %d still runs; the job ended with %q", after.now.pid, o.result)
	}
	return out
}

func adder(out *[]finding, m member, o order) func(loss, string, ...any) {
	return func(l loss, format string, args ...any) {
		*out = append(*out, finding{Loss: l, Unit: m.unit(), Text: fmt.Sprintf("%s service, %s: ", m.kind, o.verb) + fmt.Sprintf(format, args...)})
	}
}

// final: no patience can put it right.
func final(m member, o order, before, after life) bool {
	_, most := o.starts(m.kind)
	return after.starts-before.starts > most
}

// starts is how many processes an order starts, at least and at most.
func (o order) starts(k kind) (least, most int) {
	switch o.verb {
	case verbStart, verbRestart:
		least, most = 1, 1
	case verbExit, verbDie:
		if k.returns() {
			least, most = 1, 1
		}
	}
	if o.maybe {
		least = 0
	}
	return least, most
}

// up tells whether the service is to run after an order.
func (o order) up(k kind, before, after life) bool {
	switch o.verb {
	case verbStart, verbRestart:
		return true
	case verbStop:
		return o.maybe && after.alive
	case verbExit, verbDie:
		return k.returns()
	}
	return before.alive
}

// compare is the manager's word against the facts.
func (m member) compare(o order, before, after life, s said, add func(loss, string, ...any)) {
	up := o.up(m.kind, before, after)
	switch {
	case m.kind == kindOneshot:
		if want := o.verb != verbStop; (s.active == "active") != want && !o.maybe {
			add(lostSight, "the manager calls it %s", s.active)
		}
	case up && (s.active != "active" || s.main != after.now.pid):
		add(lostSight, "process %d runs, and the manager says %s with main process %d", after.now.pid, s.active, s.main)
	case !up && s.active != "inactive" && s.active != "failed":
		add(lostSight, "it does not run, and the manager says %s with main process %d", s.active, s.main)
	case !up && !o.maybe && before.alive && s.lastMain != after.now.pid:
		add(lostExit, "process %d has ended, and the last one that the manager knows is %d", after.now.pid, s.lastMain)
	case !up && !o.maybe && before.alive && !after.end.known(s):
		add(lostExit, "process %d ended with %q %d, and the manager says code %d, status %d", after.now.pid, after.end.how, after.end.status, s.code, s.status)
	}
}

// known reports whether the manager knows how the process ended.
func (e end) known(s said) bool {
	switch e.how {
	case "exit", "term":
		return s.code == cldExited && s.status == e.status
	case "die":
		return (s.code == cldKilled || s.code == cldDumped) && s.status == e.status
	}
	return false // nobody ends without saying so
}
