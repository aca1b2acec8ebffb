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
	return Result{*p.m.stats, p.outcome()}, nil
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
	// MaxForks bounds the number of machines; 0: no bound.
	MaxForks int
}

type everywhere struct {
	Everywhere
	want  string
	seen  int
	forks int
}

// CrashEverywhere plays a scenario, and from each of its checkpoints a copy whose core dies there:
// between each pair of a turn's steps, and after every effect. All rules hold in each copy, and
// its outcome is that of a run without a crash. The error is a *Failure.
func (h Host) CrashEverywhere(s Scenario, o Everywhere) (Result, error) {
	plain, err := h.Play(s)
	if err != nil {
		return plain, err
	}
	p, err := h.player(&s)
	if err != nil {
		return Result{}, &Failure{s, err}
	}
	o.Depth, o.Every, o.Twice = or(o.Depth, 1), or(o.Every, 1), or(o.Twice, 16)
	e := &everywhere{Everywhere: o, want: plain.Outcome}
	p.crash, p.depth = e, o.Depth
	p.m.onPoint = p.at
	if err := p.play(); err != nil {
		return h.failed(p, s, err)
	}
	return Result{*p.m.stats, plain.Outcome}, nil
}

// at is a checkpoint: the place for a crash.
func (p *player) at(_ *Machine, _ core.Stage) error {
	e := p.crash
	e.seen++
	if p.next < e.FromStep || e.seen%e.Every != 0 || e.MaxForks > 0 && e.forks >= e.MaxForks {
		return nil
	}
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
	q.depth--
	if q.depth > 0 {
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
	p, err := h.player(&calm)
	if err != nil {
		return plain.Stats, &Failure{calm, err}
	}
	every := max(1, plain.Stats.Points/forks)
	p.crash = &everywhere{Everywhere: Everywhere{Depth: 1, Every: every, Differs: true, Twice: 16, MaxForks: 2 * forks}, seen: int(seed % 97)}
	p.depth = 1
	p.m.onPoint = p.at
	err = p.play()
	if err != nil {
		_, err = h.failed(p, calm, err)
	}
	plain.Stats.Add(*p.m.stats)
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
