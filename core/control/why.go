package control

import (
	"time"

	"github.com/sysmaster-go/sysmaster/core"
)

// whySig is a list of changes, each a dictionary: what happened, when, and what brought it about. Keys
// may be added.
const whySig = "aa{sv}"

// why answers why a unit is as it is: its last change first, then what brought that about, back to the
// root. A unit that is not known has no file and no changes.
func (c *call) why() {
	n, err := parseUnit(c.str(0))
	if err != nil {
		c.fail(err)
		return
	}
	rows := [][]entry{}
	for _, l := range c.s.cfg.Manager.View().Why(n) {
		rows = append(rows, c.s.linkEntries(&l))
	}
	c.reply(whySig, rows)
}

// changes lists what a unit's record has, oldest first.
func (c *call) changes() {
	n, err := parseUnit(c.str(0))
	if err != nil {
		c.fail(err)
		return
	}
	rows := [][]entry{}
	if u := c.s.cfg.Manager.View().Unit(n); u != nil {
		for i := range u.Changes {
			l := u.Explain(i)
			rows = append(rows, c.s.linkEntries(&l))
		}
	}
	c.reply(whySig, rows)
}

func (s *Server) linkEntries(l *core.Link) []entry {
	out := make([]entry, 0, 32)
	add := func(name, sig string, v any) {
		if e, err := makeEntry(name, sig, v); err == nil {
			out = append(out, e)
		}
	}
	text := func(name, v string) {
		if v != "" {
			add(name, "s", v)
		}
	}
	number := func(name string, v uint32) {
		if v != 0 {
			add(name, "u", v)
		}
	}
	c := &l.Change
	text("Unit", string(l.Unit))
	text("Did", l.Did)
	text("Because", l.Because)
	text("File", l.Place.File)
	number("Line", uint32(l.Place.Line))
	add("Earlier", "b", l.Earlier)
	number("Change", c.N)
	text("Kind", c.Kind.String())
	if c.Kind == core.ChangeJob {
		text("Type", c.Type.String())
		text("Mode", c.Mode.String())
		text("Result", c.Result.String())
	}
	number("Job", uint32(c.Job))
	number("Signal", uint32(c.Status))
	text("State", c.State.String())
	number("Starts", uint32(c.Starts))
	text("Detail", c.Detail)
	for _, t := range []struct {
		name string
		at   time.Duration
	}{{"Timestamp", c.Real}, {"TimestampMonotonic", c.Mono}, {"EndedMonotonic", c.Ended}} {
		if t.at != 0 {
			add(t.name, "t", usec(t.at))
		}
	}
	return append(out, s.causeEntries(&c.By)...)
}

func (s *Server) causeEntries(by *core.Cause) []entry {
	out := []entry{}
	add := func(ok bool, name, sig string, v any) {
		if e, err := makeEntry(name, sig, v); err == nil && ok {
			out = append(out, e)
		}
	}
	add(true, "Cause", "s", by.Kind.String())
	add(by.Kind == core.CauseUnit, "Relation", "s", by.Rel.String())
	add(by.Unit != "", "CauseUnit", "s", string(by.Unit))
	add(by.Change != 0, "CauseChange", "u", by.Change)
	add(by.Text != "", "Text", "s", by.Text)
	add(by.PID != 0, "PID", "u", uint32(by.PID))
	add(by.Status != 0, "Status", "i", by.Status)
	if c := by.Caller; c != nil {
		add(true, "CallerUID", "u", uint32(c.UID))
		add(true, "CallerPID", "u", uint32(c.PID))
		add(true, "Caller", "s", c.Comm)
	}
	return out
}
