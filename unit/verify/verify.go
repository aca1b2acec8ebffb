// Package verify says what is wrong with unit files, before a manager meets them: what its loader would complain about, what
// units refer to and cannot have, and the cycles in their order.
//
//	names --Loader--> Specs --Type.New--> refusals
//	                    |
//	                    dependencies --> missing units, ordering cycles
//	                    commands     --> missing executables
//
// It reads nothing but what its Loader reads, and starts nothing.
package verify

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
)

// Config says what is verified.
type Config struct {
	Loader *unitfile.Loader                // has the units, and what they refer to
	Types  map[unit.Kind]*unit.Type        // the Loader's
	Names  []unit.Name                     // nil: all of the Loader's; a template stands for its instance "test"
	Whole  bool                            // the Loader has all units of a machine: what it has not got is missing
	Stat   func(path string) (Kind, error) // what is at an absolute path; nil: nobody knows, and commands are not looked for
}

// Kind is what stands at a path.
type Kind uint8

// The kinds.
const (
	Executable Kind = iota
	OtherFile
	Directory
)

// Rule names a kind of problem. It is part of the output, and does not change.
type Rule string

// The rules.
const (
	RuleFile    Rule = "unit-file"       // a line, section, key or value that makes no sense
	RuleLoad    Rule = "not-loaded"      // the unit cannot be loaded
	RuleRefused Rule = "not-implemented" // the unit loads, and its start is refused
	RuleMissing Rule = "missing-unit"    // it refers to a unit that it cannot have
	RuleCommand Rule = "missing-command" // a command has no executable
	RuleCycle   Rule = "ordering-cycle"  // units that are started together wait for each other
)

// Rules are all rules with one line on each, in a fixed order.
func Rules() []struct {
	Rule Rule
	Doc  string
} {
	type row = struct {
		Rule Rule
		Doc  string
	}
	return []row{
		{RuleFile, "A line, section, key or value that makes no sense."},
		{RuleLoad, "The unit cannot be loaded."},
		{RuleRefused, "The unit loads, but its start is refused, as it asks for what is not implemented."},
		{RuleMissing, "The unit refers to a unit that is not there."},
		{RuleCommand, "A command has no executable."},
		{RuleCycle, "Units that are started together wait for each other."},
	}
}

// Place is a line, and the unit that it belongs to.
type Place struct {
	Unit unit.Name
	Pos  unit.Pos
}

// Problem is one thing that is wrong.
type Problem struct {
	Rule     Rule
	Severity unit.Severity
	Place
	Key     string  // "Section.Key", if it is about one
	Text    string  // what is wrong, and what would be right
	Related []Place // a cycle's edges
}

func (p Problem) String() string {
	s := p.Pos.String()
	if s == "" {
		s = string(p.Unit)
	}
	if p.Key != "" {
		s += ": " + p.Key
	}
	return s + ": " + p.Text
}

// Report is what was found, in the order of the names, and in each unit in the order of its files.
type Report struct {
	Units    []unit.Name // that were looked at
	Problems []Problem
}

// Errors counts the problems that are no warnings.
func (r *Report) Errors() int {
	n := 0
	for i := range r.Problems {
		if r.Problems[i].Severity == unit.Error {
			n++
		}
	}
	return n
}

// check is one verification.
type check struct {
	Config
	report Report
	nodes  map[unit.Name]*node
	order  []*node
	known  map[unit.Kind][]string // names of units, for spelling
	common *unit.KeySet
	steps  int // of the search for cycles
	looks  int // for spelling
}

// Check verifies. It never fails: what cannot be loaded is a problem like any other.
func Check(c Config) *Report {
	k := &check{Config: c, nodes: make(map[unit.Name]*node), common: unit.NewKeySet(unit.CommonKeys())}
	names := c.Names
	if names == nil {
		names = c.Loader.Names()
	}
	var roots []*node
	for _, d := range c.Loader.Diags() {
		k.report.Problems = append(k.report.Problems, fromDiag("", d))
	}
	for _, name := range names {
		other := unit.Name("")
		if name.IsTemplate() {
			name, other = name.WithInstance("test"), name.WithInstance("1")
		}
		n := k.node(name)
		if n.root {
			continue // by another of its names
		}
		n.root = true
		roots = append(roots, n)
		k.unit(n)
		if other != "" {
			k.onlyAlways(n, other)
		}
		k.report.Units = append(k.report.Units, n.spec.Name)
	}
	k.cycles(roots)
	return &k.report
}

// onlyAlways takes back what is missing for the made-up instance n of a template and not for another one.
func (k *check) onlyAlways(n *node, other unit.Name) {
	missing := func(p *Problem) bool { return p.Rule == RuleMissing || p.Rule == RuleCommand }
	from := slices.IndexFunc(k.report.Problems, func(p Problem) bool { return p.Unit == n.spec.Name })
	if from < 0 || !slices.ContainsFunc(k.report.Problems[from:], func(p Problem) bool { return missing(&p) }) {
		return
	}
	mine := slices.Clone(k.report.Problems[from:])
	k.report.Problems = k.report.Problems[:from]
	k.unit(k.node(other))
	others := slices.Clone(k.report.Problems[from:])
	k.report.Problems = append(k.report.Problems[:from], slices.DeleteFunc(mine, func(p Problem) bool {
		return missing(&p) && !slices.ContainsFunc(others, func(o Problem) bool { return o.Pos == p.Pos && o.Text == p.Text })
	})...)
}

func fromDiag(name unit.Name, d unit.Diagnostic) Problem {
	return Problem{Rule: RuleFile, Severity: d.Severity, Place: Place{name, d.Pos}, Key: d.Key, Text: d.Text}
}

func (k *check) add(r Rule, s unit.Severity, n *node, pos unit.Pos, key, format string, args ...any) {
	k.report.Problems = append(k.report.Problems, Problem{Rule: r, Severity: s, Place: Place{n.spec.Name, pos}, Key: key, Text: fmt.Sprintf(format, args...)})
}

// unit looks at one unit for itself, and at what it refers to.
func (k *check) unit(n *node) {
	from := len(k.report.Problems)
	defer func() {
		slices.SortStableFunc(k.report.Problems[from:], func(a, b Problem) int {
			return cmp.Or(strings.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line))
		})
	}()
	told := false
	for _, d := range n.spec.Diags {
		k.report.Problems = append(k.report.Problems, fromDiag(n.spec.Name, d))
		told = told || d.Severity == unit.Error
	}
	if n.spec.Load != unit.LoadLoaded {
		if !told && n.spec.Load != unit.LoadMasked {
			k.add(RuleLoad, unit.Error, n, unit.Pos{File: n.spec.FragmentPath}, "", "%s", n.spec.LoadError)
		}
		return
	}
	k.machine(n)
	k.dependencies(n)
	k.commands(n)
}

// machine looks at the unit as the manager makes it before its first start.
func (k *check) machine(n *node) {
	if n.err != nil {
		k.add(RuleLoad, unit.Error, n, unit.Pos{File: n.spec.FragmentPath}, "", "%v", n.err)
		return
	}
	r, ok := n.unit.(unit.Refuser)
	if !ok {
		return
	}
	for _, line := range r.Refusals() {
		pos, key := n.written(line)
		k.add(RuleRefused, unit.Error, n, pos, key, "%s is not implemented, and the unit does not start without it (valid: to leave it out, or the manager's option allow-degraded)", line)
	}
}

// written finds the place of a setting, "Key=value", or only of its key.
func (n *node) written(line string) (pos unit.Pos, key string) {
	name, value, _ := strings.Cut(line, "=")
	pos = unit.Pos{File: n.spec.FragmentPath}
	for i := range n.spec.Settings {
		if s := &n.spec.Settings[i]; s.Key == name {
			pos, key = s.Pos, s.Section+"."+s.Key
			if s.Value == value {
				break
			}
		}
	}
	return pos, key
}

// need is how much a unit suffers when the other end of a relation is missing.
func need(r unit.Relation) (s unit.Severity, minds bool) {
	switch r {
	case unit.Requires, unit.Requisite, unit.BindsTo, unit.Triggers:
		return unit.Error, true
	case unit.Wants, unit.Upholds, unit.OnFailure, unit.OnSuccess:
		return unit.Warning, true
	}
	return 0, false
}

func (k *check) dependencies(n *node) {
	worst := make(map[unit.Name]unit.Severity)
	for _, d := range n.deps {
		if s, minds := need(d.Rel); minds && d.Origin != unit.OriginDefault {
			worst[d.Unit] = max(worst[d.Unit], s)
		}
	}
	seen := make(map[unit.Name]bool)
	for _, d := range n.deps {
		severity, minds := need(d.Rel)
		if !minds || d.Unit == "" || d.Origin == unit.OriginDefault || severity < worst[d.Unit] || seen[d.Unit] {
			continue
		}
		seen[d.Unit] = true
		m := k.node(d.Unit)
		switch {
		case m.typ == nil:
			if severity == unit.Error {
				k.add(RuleRefused, severity, n, d.Pos, "", "%s=%s: there are no units of kind %s", d.Rel, d.Unit, d.Unit.Kind())
			}
		case !k.Whole:
		case m.spec.Load == unit.LoadNotFound:
			k.add(RuleMissing, severity, n, d.Pos, "", "%s=%s: there is no such unit%s", d.Rel, d.Unit, k.nearest(d.Unit))
		case m.spec.Load != unit.LoadLoaded && severity == unit.Error:
			k.add(RuleMissing, severity, n, d.Pos, "", "%s=%s: that unit cannot be loaded: %s", d.Rel, d.Unit, m.spec.LoadError)
		}
	}
}

// maxLooks bounds how often a spelling is looked for among all names.
const maxLooks = 100

func (k *check) nearest(name unit.Name) string {
	if k.known == nil {
		k.known = make(map[unit.Kind][]string)
		for _, n := range k.Loader.Names() {
			k.known[n.Kind()] = append(k.known[n.Kind()], n.Stem())
		}
	}
	if k.looks++; k.looks > maxLooks || len(name.Stem()) < 3 { // a short one is near to everything
		return ""
	}
	if best := unitfile.Nearest(name.Stem(), k.known[name.Kind()]); best != "" {
		return " (did you mean " + best + "." + string(name.Kind()) + "?)"
	}
	return ""
}

// searchPath is where the exec shim looks for a bare name.
var searchPath = [...]string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

func (k *check) commands(n *node) {
	if k.Stat == nil || n.set("RootDirectory") != "" || n.set("RootImage") != "" { // what is in there nobody knows
		return
	}
	search := searchPath[:]
	if own := n.set("ExecSearchPath"); own != "" {
		search = strings.Split(own, ":")
	}
	for i := range n.spec.Settings {
		s := &n.spec.Settings[i]
		if s.Section == "Unit" || s.Section == "Install" || !strings.HasPrefix(s.Key, "Exec") || s.Value == "" {
			continue
		}
		if key := n.typ.Keys.Lookup(s.Section, s.Key); key == nil || key.Form != unit.FormWords {
			continue
		}
		list, err := execspec.ParseExecLine(s.Value)
		if err != nil {
			continue // the loader's to tell
		}
		for _, c := range list {
			k.command(n, s, &c, search)
		}
	}
}

// set is the last value of a setting.
func (n *node) set(key string) string {
	for i := len(n.spec.Settings) - 1; i >= 0; i-- {
		if s := &n.spec.Settings[i]; s.Key == key {
			return s.Value
		}
	}
	return ""
}

// plain is an error without the path, which is told once.
func plain(err error) string {
	var e *fs.PathError
	if errors.As(err, &e) {
		err = e.Err
	}
	return err.Error()
}

func (k *check) command(n *node, s *unit.Setting, c *unit.Command, search []string) {
	severity := unit.Error
	if c.IgnoreFail {
		severity = unit.Warning
	}
	paths := []string{c.Path}
	if !strings.HasPrefix(c.Path, "/") {
		paths = paths[:0]
		for _, dir := range search {
			paths = append(paths, dir+"/"+c.Path)
		}
	}
	why := ""
	for _, p := range paths {
		kind, err := k.Stat(p)
		switch {
		case err == nil && kind == Executable:
			return
		case err == nil && kind == Directory:
			why = p + " is a directory"
		case err == nil:
			why = p + " is not executable"
		case len(paths) == 1:
			why = p + ": " + plain(err)
		}
	}
	if why == "" {
		why = "there is no " + c.Path + " in " + strings.Join(search, ", ")
	}
	k.add(RuleCommand, severity, n, s.Pos, s.Section+"."+s.Key, "cannot be executed: %s", why)
}
