package sim

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/sysmaster-go/sysmaster/core"
)

// Failure is a scenario that breaks a rule, or cannot be played.
type Failure struct {
	Scenario Scenario // with Crashes, so that Play breaks the same rule
	Err      error    // normally a *Violation
}

func (f *Failure) Error() string { return fmt.Sprintf("scenario %s: %v", f.Scenario.Name, f.Err) }

// Unwrap gives the violation.
func (f *Failure) Unwrap() error { return f.Err }

// Rule is the rule that was broken; empty if it was something else.
func (f *Failure) Rule() Rule {
	var v *Violation
	if errors.As(f.Err, &v) {
		return v.Rule
	}
	return ""
}

// Result is what came of a run without a failure.
type Result struct {
	Stats   Stats
	Outcome string // one line for each unit and program, sorted
	// Levels are CrashEverywhere's: the first is the run itself, the second the recoveries from its
	// crashes, and so on.
	Levels []Level

	stored bool // the store kept all that was committed
}

// Level says how much of one depth was explored.
type Level struct {
	Checkpoints int // passed from Everywhere.FromStep on, by all machines of this depth
	Crashed     int // at how many of them the core was crashed
}

func (l Level) String() string {
	return fmt.Sprintf("crashed at %d of %d checkpoints", l.Crashed, l.Checkpoints)
}

// Play plays a scenario once. The error is a *Failure.
func (h Host) Play(s Scenario) (Result, error) {
	p, err := h.player(&s)
	if err == nil {
		err = p.play()
	}
	if err != nil {
		return h.failed(p, s, err)
	}
	return Result{Stats: *p.m.stats, Outcome: p.outcome(), stored: p.m.store.works()}, nil
}

// Replay plays a scenario that once failed, and looks also for what Play alone does not show: another
// outcome than without Crashes, two recoveries that differ, two runs that differ, if that is the
// scenario's Rule. The error is a *Failure.
func (h Host) Replay(s Scenario) error {
	played, err := h.Play(s)
	if err != nil {
		return err
	}
	calm := s
	calm.Crashes = nil
	switch s.Rule {
	case RuleOutcome:
		plain, err := h.Play(calm)
		if err == nil && played.stored && played.Outcome != plain.Outcome {
			err = &Failure{s, &Violation{Rule: RuleOutcome, Text: "the outcome is another one:\n" + diffLines(plain.Outcome, played.Outcome)}}
		}
		return err
	case RuleTwice:
		_, err := h.CrashEverywhere(calm, Everywhere{Depth: max(1, len(s.Crashes)), Twice: 1, Differs: true, MaxForks: 1000})
		return err
	case RuleSame:
		return h.sameTrace(s)
	}
	return nil
}

func (h Host) failed(p *player, s Scenario, err error) (Result, error) {
	var f *Failure
	if errors.As(err, &f) { // in a fork
		return Result{Stats: *p.m.stats}, f
	}
	if p == nil {
		return Result{}, &Failure{s, err}
	}
	if s.Faults.Crash == 0 && len(s.Crashes) == 0 { // else the path is drawn, or given
		s.Crashes = slices.Clone(p.m.path)
	}
	return Result{Stats: *p.m.stats}, &Failure{s, err}
}

// Everywhere says how CrashEverywhere goes about it.
type Everywhere struct {
	// Depth is how many crashes a machine suffers at most: 1 crashes the core once, at each
	// checkpoint; 2 also at each checkpoint of each of those runs, and so on.
	Depth int
	// FromStep leaves out what happens before the step of this number was done.
	FromStep int
	// Every crashes at each n-th checkpoint only; 0 and 1: at all.
	Every int
	// Hang also lets the core hang at each checkpoint until init aborts it.
	Hang bool
	// Differs: the outcome may depend on where the core dies; only the rules are checked.
	Differs bool
	// Twice recovers twice at each n-th crash; 0: at each 16th.
	Twice int
	// MaxForks is about how many machines crash more than once, 0: all. They are spread evenly over
	// the depths after the first and over the checkpoints of each. The first depth is never bounded.
	MaxForks int
}

// everywhere is one pass over a scenario's checkpoints.
type everywhere struct {
	Everywhere
	want   string
	forks  int
	most   int // bounds forks; 0: no bound
	phase  int // which ones Every takes
	levels []Level
	quotas []quota // one for each depth
}

// quota takes so many of a number of things, evenly spread; the zero value takes none.
type quota struct{ take, of int }

var everyOne = quota{1, 1}

// has reports whether the n-th one, from 1 on, is among them.
func (q quota) has(n int) bool {
	return q.take > 0 && n*q.take/q.of > (n-1)*q.take/q.of
}

// CrashEverywhere plays a scenario, and from each of its checkpoints a copy whose core dies there:
// between each pair of a turn's steps, and after every effect. All rules hold in each copy, and
// its outcome is that of a run without a crash. The error is a *Failure.
func (h Host) CrashEverywhere(s Scenario, o Everywhere) (Result, error) {
	plain, err := h.Play(s)
	if err != nil {
		return plain, err
	}
	o.Depth, o.Every, o.Twice = or(o.Depth, 1), or(o.Every, 1), or(o.Twice, 16)
	quotas := slices.Repeat([]quota{everyOne}, o.Depth)
	var total Stats
	if o.Depth > 1 && o.MaxForks > 0 { // each first crash, to see how much there is below
		e := &everywhere{Everywhere: o, want: plain.Outcome, quotas: []quota{everyOne, {}}}
		stats, err := h.pass(s, e)
		if err != nil {
			return Result{Stats: stats, Levels: e.levels}, err
		}
		total.Add(stats)
		quotas = o.quotas(e.levels)
	}
	e := &everywhere{Everywhere: o, want: plain.Outcome, quotas: quotas}
	stats, err := h.pass(s, e)
	total.Add(stats)
	return Result{Stats: total, Outcome: plain.Outcome, Levels: e.levels}, err
}

// quotas share MaxForks out to the depths after the first, given what the first two have. A machine
// that crashed more often is taken to have as many checkpoints left as one that crashed once.
func (o Everywhere) quotas(found []Level) []quota {
	list := []quota{everyOne}
	each := 1 // machines for a checkpoint
	if o.Hang {
		each = 2
	}
	left, of := o.MaxForks/each, found[1].Checkpoints/o.Every
	machines := max(1, found[0].Crashed*each)
	for depth := 2; depth <= o.Depth; depth++ {
		take := min(of, left/(o.Depth-depth+1))
		list = append(list, quota{take, of})
		left -= take
		of = take * each * found[1].Checkpoints / machines / o.Every
	}
	return list
}

// pass plays a scenario once, with the copies that e asks for.
func (h Host) pass(s Scenario, e *everywhere) (Stats, error) {
	e.levels = make([]Level, len(e.quotas))
	p, err := h.player(&s)
	if err != nil {
		return Stats{}, &Failure{s, err}
	}
	p.crash = e
	p.m.onPoint = p.at
	if err := p.play(); err != nil {
		r, err := h.failed(p, s, err)
		return r.Stats, err
	}
	return *p.m.stats, nil
}

// at is a checkpoint: the place for a crash.
func (p *player) at(_ *Machine, _ core.Stage) error {
	e := p.crash
	l := &e.levels[p.level]
	if p.next < e.FromStep || e.most > 0 && e.forks >= e.most {
		return nil
	}
	l.Checkpoints++
	if n := l.Checkpoints + e.phase; n%e.Every != 0 || !e.quotas[p.level].has(n/e.Every) {
		return nil
	}
	l.Crashed++
	if err := p.crashHere(causeCrash); err != nil || !e.Hang {
		return err
	}
	return p.crashHere(causeHang)
}

func (p *player) crashHere(cause string) error {
	e := p.crash
	e.forks++
	down := AliveLimit
	if cause == causeCrash {
		down = 0
	}
	q, err := p.fork(cause, down)
	if err == nil && (e.forks+int(p.s.Seed))%e.Twice == 0 {
		err = q.m.RecoverTwice()
	}
	q.level++
	if q.level < len(e.quotas) {
		q.m.onPoint = q.at
	}
	if err == nil {
		err = q.play()
	}
	if err == nil && !e.Differs && cause == causeCrash && q.m.store.works() {
		if got := q.outcome(); got != e.want {
			err = q.m.violated(RuleOutcome, "", "the outcome is another one:\n"+diffLines(e.want, got))
		}
	}
	if err != nil {
		var f *Failure
		if errors.As(err, &f) {
			return f
		}
		s := *p.s
		s.Crashes = slices.Clone(q.m.path)
		if cause == causeHang {
			s.Note = "the last crash was a hang"
		}
		return &Failure{s, err}
	}
	return nil
}

// diffLines shows the lines that only one of the two texts has.
func diffLines(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out []string
	for _, l := range a {
		if !slices.Contains(b, l) {
			out = append(out, "\t- "+l)
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			out = append(out, "\t+ "+l)
		}
	}
	return strings.Join(out, "\n")
}

// Seed makes the scenario of a seed (Generate), plays it with random crashes, and crashes copies of it
// at about forks of its checkpoints. Each 32nd seed is played twice, and the traces are compared.
func (h Host) Seed(seed uint64, forks int) (Stats, error) {
	s := Generate(seed)
	if seed%32 == 0 {
		if err := h.sameTrace(s); err != nil {
			return Stats{}, err
		}
	}
	plain, err := h.Play(s)
	if err != nil || forks <= 0 {
		return plain.Stats, err
	}
	calm := s
	calm.Faults.Crash = 0 // crashes of the copies only: their paths are replayable
	every := max(1, plain.Stats.Points/forks)
	e := &everywhere{Everywhere: Everywhere{Every: every, Differs: true, Twice: 16}, most: 2 * forks, phase: int(seed % 97), quotas: []quota{everyOne}}
	stats, err := h.pass(calm, e)
	plain.Stats.Add(stats)
	plain.Stats.Seeds = 1
	return plain.Stats, err
}

// sameTrace plays a scenario twice and compares the traces.
func (h Host) sameTrace(s Scenario) error {
	var sums [2]uint64
	var lines [2]int
	for i := range sums {
		sum := fnv.New64a()
		traced := h
		traced.Trace = func(l string) {
			lines[i]++
			sum.Write([]byte(l))
			sum.Write([]byte{'\n'})
		}
		if _, err := traced.Play(s); err != nil {
			return err
		}
		sums[i] = sum.Sum64()
	}
	if sums[0] != sums[1] {
		return &Failure{s, &Violation{Rule: RuleSame, Text: fmt.Sprintf("two runs wrote %d and %d lines that differ", lines[0], lines[1])}}
	}
	return nil
}
