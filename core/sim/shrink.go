package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// shrinkBudget is how many runs a shrinking may take.
const shrinkBudget = 1500

// Shrink makes a failing scenario small: it leaves out steps, units, lines of unit files, faults and
// crashes as long as the same rule is broken. The result fails when it is replayed, by a crash at
// Crashes if it has any.
func (h Host) Shrink(f *Failure) *Failure {
	first := *f
	first.Scenario.Rule = f.Rule()
	s := &shrinker{h: h, rule: f.Rule(), best: &first, left: shrinkBudget}
	for changed := true; changed && s.left > 0; {
		changed = false
		for _, try := range [...]func() bool{s.crashes, s.steps, s.faults, s.files, s.lines, s.programs, s.calm} {
			changed = try() || changed
		}
	}
	return s.best
}

type shrinker struct {
	h    Host
	rule Rule
	best *Failure
	left int
}

// fails tries a smaller scenario, and keeps it if it breaks the same rule. Where its crash has to
// fall may have moved: then each checkpoint is tried.
func (s *shrinker) fails(c Scenario) bool {
	if s.left <= 0 {
		return false
	}
	s.left--
	if s.keep(s.h.Replay(c)) {
		return true
	}
	if len(c.Crashes) != 1 || s.rule == RuleOutcome && len(s.best.Scenario.Crashes) == 0 {
		return false
	}
	c.Crashes = nil
	s.left -= 10
	_, err := s.h.CrashEverywhere(c, Everywhere{Differs: s.rule != RuleOutcome})
	return s.keep(err)
}

func (s *shrinker) keep(err error) bool {
	var f *Failure
	if err == nil || !errors.As(err, &f) || f.Rule() != s.rule {
		return false
	}
	s.best = f
	return true
}

func (s *shrinker) crashes() (changed bool) {
	c := s.best.Scenario
	if len(c.Crashes) > 0 {
		d := c
		d.Crashes = nil
		if s.fails(d) {
			return true
		}
	}
	for i := len(c.Crashes) - 1; i >= 0 && len(c.Crashes) > 1; i-- {
		d := c
		d.Crashes = slices.Delete(slices.Clone(c.Crashes), i, i+1)
		if s.fails(d) {
			return true
		}
	}
	return false
}

func (s *shrinker) steps() (changed bool) {
	for i := len(s.best.Scenario.Steps) - 1; i >= 0; i-- {
		if i >= len(s.best.Scenario.Steps) {
			continue
		}
		c := s.best.Scenario
		c.Steps = slices.Delete(slices.Clone(c.Steps), i, i+1)
		changed = s.fails(c) || changed
	}
	return changed
}

func (s *shrinker) faults() (changed bool) {
	for _, less := range [...]func(*Faults){
		func(f *Faults) { *f = Faults{} },
		func(f *Faults) { f.SpawnFails = 0 }, func(f *Faults) { f.LateSpawned = 0 }, func(f *Faults) { f.EffectFails = 0 }, func(f *Faults) { f.ProbeUnknown = 0 },
		func(f *Faults) { f.Duplicate = 0 }, func(f *Faults) { f.LostExit = 0 }, func(f *Faults) { f.Reorder = false },
		func(f *Faults) { f.Crash, f.Hang, f.MaxCrashes = 0, 0, 0 }, func(f *Faults) { f.Hang = 0 }, func(f *Faults) { f.TornWrite, f.FlippedBit = 0, 0 },
	} {
		c := s.best.Scenario
		less(&c.Faults)
		if c.Faults != s.best.Scenario.Faults {
			changed = s.fails(c) || changed
		}
	}
	return changed
}

func (s *shrinker) files() (changed bool) {
	for _, name := range sortedKeys(s.best.Scenario.Files) {
		if s.basic(name) {
			continue
		}
		c := s.best.Scenario
		c.Files = maps.Clone(c.Files)
		delete(c.Files, name)
		changed = s.fails(c) || changed
	}
	return changed
}

// basic files stay: without them many things fail for reasons of their own.
func (s *shrinker) basic(name string) bool {
	return name == "default.target" || s.best.Scenario.Files[name] == baseFiles()[name]
}

func (s *shrinker) lines() (changed bool) {
	for _, name := range sortedKeys(s.best.Scenario.Files) {
		for i := strings.Count(s.best.Scenario.Files[name], "\n") - 1; i >= 0 && (name == "default.target" || !s.basic(name)); i-- {
			lines := strings.SplitAfter(s.best.Scenario.Files[name], "\n")
			if i >= len(lines) || strings.HasPrefix(lines[i], "[") {
				continue
			}
			c := s.best.Scenario
			c.Files = maps.Clone(c.Files)
			c.Files[name] = strings.Join(slices.Delete(lines, i, i+1), "")
			changed = s.fails(c) || changed
		}
	}
	return changed
}

func (s *shrinker) programs() (changed bool) {
	for _, path := range sortedKeys(s.best.Scenario.Programs) {
		c := s.best.Scenario
		c.Programs = maps.Clone(c.Programs)
		delete(c.Programs, path)
		if s.fails(c) {
			changed = true
			continue
		}
		if list := s.best.Scenario.Programs[path]; len(list) > 1 {
			c.Programs[path] = list[:len(list)-1]
			changed = s.fails(c) || changed
		}
	}
	return changed
}

// calm takes away delays, the real log, and waiting.
func (s *shrinker) calm() (changed bool) {
	for _, less := range [...]func(*Scenario){
		func(c *Scenario) { c.MaxDelay = 0 },
		func(c *Scenario) { c.Store = StoreMemory },
		func(c *Scenario) {
			c.Steps = slices.Clone(c.Steps)
			for i := range c.Steps {
				c.Steps[i].After = 0
			}
		},
	} {
		c := s.best.Scenario
		less(&c)
		if c.MaxDelay != s.best.Scenario.MaxDelay || c.Store != s.best.Scenario.Store || !sameSteps(c.Steps, s.best.Scenario.Steps) {
			changed = s.fails(c) || changed
		}
	}
	return changed
}

func sameSteps(a, b []Step) bool {
	return slices.EqualFunc(a, b, func(x, y Step) bool { return x.After == y.After })
}

// Save writes the scenario, with a note of what it broke, into a file of its own below dir, and gives
// its path. The same scenario gets the same path.
func (f *Failure) Save(dir string) (string, error) {
	s := f.Scenario
	s.Rule = f.Rule()
	what := f.Err.Error()
	var v *Violation
	if errors.As(f.Err, &v) {
		what, _, _ = strings.Cut(v.Short(), "\n")
	}
	s.Note = strings.TrimPrefix(s.Note+"; "+what, "; ")
	js, err := s.JSON()
	if err != nil {
		return "", fmt.Errorf("cannot save scenario %s: %w", s.Name, err)
	}
	sum := fnv.New32a()
	sum.Write(js)
	name := "other"
	if s.Rule != "" {
		name = strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) {
				return unicode.ToLower(r)
			}
			return '-'
		}, string(s.Rule))
	}
	path := filepath.Join(dir, fmt.Sprintf("%s-%08x.json", name, sum.Sum32()))
	if err := os.WriteFile(path, append(js, '\n'), 0o644); err != nil {
		return "", fmt.Errorf("cannot save scenario %s: %w", s.Name, err)
	}
	return path, nil
}

// JSON is the scenario as a file for testdata.
func (s Scenario) JSON() ([]byte, error) { return json.MarshalIndent(s, "", "  ") }

// ParseScenario reads what JSON wrote. Unknown fields are an error: a misspelt one would change
// what is tested.
func ParseScenario(data []byte) (Scenario, error) {
	var s Scenario
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	err := d.Decode(&s)
	return s, err
}
