package core

import (
	"strconv"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// maxLinks bounds a chain of causes.
const maxLinks = 64

// Link is one step of the answer to "why": what changed, and what brought it about.
type Link struct {
	Unit    unit.Name
	Change  Change
	Did     string   // what happened, "was started"; with Unit before it a sentence
	Because string   // what brought it about, "multi-user.target pulled it in (Wants=)"
	Place   unit.Pos // the file and line of the dependency, where one brought it about
	// Earlier: not the cause of the link before, but what came before it: how a service that restarts by
	// itself came to run at all.
	Earlier bool
}

// Why follows the causes of a unit's present state back to the root: the last change comes first. It is
// empty for a unit that has not changed since it was loaded, or is not known.
func (v *View) Why(name unit.Name) []Link {
	u := v.Unit(name)
	if u == nil {
		return nil
	}
	w := whyWalk{v: v, seen: make(map[whySeen]bool)}
	w.follow(u, u.telling())
	if len(w.links) > 0 {
		w.before(u)
	}
	return w.links
}

// Explain puts one of the unit's changes into words, without what it leads back to.
func (u *UnitView) Explain(i int) Link {
	c := &u.Changes[i]
	return Link{Unit: u.Name, Change: *c, Did: c.did(), Because: u.because(c)}
}

// whyWalk is one search for a root.
type whyWalk struct {
	v     *View
	seen  map[whySeen]bool
	links []Link
}

type whySeen struct {
	unit unit.Name
	n    uint32
}

// telling is the change that explains the unit's present state; nil if there is none. A kill or a job that
// found nothing to do explains nothing, unless there is nothing else. Of those who asked for the same job the first counts.
func (u *UnitView) telling() *Change {
	for i := len(u.Changes) - 1; i >= 0; i-- {
		c := &u.Changes[i]
		if (c.Kind != ChangeState && c.Kind != ChangeJob) || c.Idle {
			continue
		}
		for k := range u.Changes[:i] {
			if d := &u.Changes[k]; c.Kind == ChangeJob && d.Kind == ChangeJob && d.Job == c.Job && d.Type == c.Type {
				return d
			}
		}
		return c
	}
	if n := len(u.Changes); n > 0 {
		return &u.Changes[n-1]
	}
	return nil
}

func (u *UnitView) change(n uint32) *Change {
	for i := range u.Changes {
		if u.Changes[i].N == n {
			return &u.Changes[i]
		}
	}
	return nil
}

func (w *whyWalk) follow(u *UnitView, c *Change) {
	for c != nil && len(w.links) < maxLinks && !w.seen[whySeen{u.Name, c.N}] {
		w.seen[whySeen{u.Name, c.N}] = true
		by := c.By
		if died := u.restartOf(c); died != nil { // they are told in one sentence
			w.seen[whySeen{u.Name, died.N}] = true
			by = died.By
		}
		w.links = append(w.links, Link{Unit: u.Name, Change: *c, Did: c.did(), Because: u.because(c), Place: w.v.place(u, &by)})
		if by.Change == 0 && by.Unit == "" {
			return
		}
		if by.Unit != "" && by.Unit != u.Name {
			if u = w.v.Unit(by.Unit); u == nil {
				return
			}
		}
		at := c.Mono
		if c = u.change(by.Change); c == nil {
			c = u.jobAt(at)
		}
	}
}

// restartOf is the change that a restart was the unit's own answer to.
func (u *UnitView) restartOf(c *Change) *Change {
	if c.By.Kind != CauseRestart {
		return nil
	}
	return u.change(c.By.Change)
}

// because puts the cause of c into words.
func (u *UnitView) because(c *Change) string {
	s := c.By.words()
	if died := u.restartOf(c); died != nil {
		s = died.By.words()
		if died.Detail != "" {
			s = died.Detail
		}
	}
	if c.By.Kind == CauseRestart {
		s += u.restartWords(c)
	}
	if c.Detail != "" && (c.Result != unit.JobDone || c.State.IsDown()) {
		s = c.Detail + "; it was asked for because " + s
	}
	return s
}

// jobAt is the newest job of u that began not later than at.
func (u *UnitView) jobAt(at time.Duration) *Change {
	for i := len(u.Changes) - 1; i >= 0; i-- {
		if c := &u.Changes[i]; c.Kind == ChangeJob && c.Mono <= at {
			return c
		}
	}
	return nil
}

// before adds who wanted a unit that by now restarts by itself.
func (w *whyWalk) before(u *UnitView) {
	if w.links[0].Change.By.Kind != CauseRestart {
		return
	}
	for i := len(u.Changes) - 1; i >= 0; i-- {
		c := &u.Changes[i]
		if c.N < w.links[0].Change.N && c.origin() && !w.seen[whySeen{u.Name, c.N}] {
			n := len(w.links)
			w.follow(u, c)
			if n < len(w.links) {
				w.links[n].Earlier = true
			}
			return
		}
	}
}

// restartWords tells of the settings by which a unit started itself again.
func (u *UnitView) restartWords(c *Change) string {
	s := " (Restart="
	value := ""
	if u.Spec != nil {
		for i := range u.Spec.Settings {
			if u.Spec.Settings[i].Key == "Restart" {
				value = u.Spec.Settings[i].Value
			}
		}
	}
	s += value
	if c.Starts > 0 && u.Common != nil && u.Common.StartLimitBurst > 0 {
		s += "; start " + strconv.Itoa(int(c.Starts)) + " of at most " + strconv.Itoa(u.Common.StartLimitBurst) +
			" within " + u.Common.StartLimitInterval.String()
	}
	return s + ")"
}

// place finds the line that makes u what c says that it is to the other unit.
func (v *View) place(u *UnitView, c *Cause) unit.Pos {
	if c.Kind != CauseUnit {
		return unit.Pos{}
	}
	if other := v.Unit(c.Unit); other != nil {
		if p, ok := dependency(other, c.Rel, u); ok {
			return p
		}
		if p, ok := dependency(u, c.Rel.Inverse(), other); ok {
			return p
		}
	}
	return unit.Pos{}
}

func dependency(from *UnitView, r unit.Relation, to *UnitView) (unit.Pos, bool) {
	if from.Spec == nil {
		return unit.Pos{}, false
	}
	for i := range from.Spec.Deps {
		d := &from.Spec.Deps[i]
		if d.Rel == r && (d.Unit == to.Name || to.Spec != nil && contains(to.Spec.Aliases, d.Unit)) {
			return d.Pos, true
		}
	}
	return unit.Pos{}, false
}

func contains(list []unit.Name, n unit.Name) bool {
	for _, m := range list {
		if m == n {
			return true
		}
	}
	return false
}
