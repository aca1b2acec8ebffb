package cli

import (
	"maps"
	"slices"
	"strconv"

	"github.com/sysmaster-go/sysmaster/core/client"
)

// why says of each unit why it is as it is, back to what began it.
func (a *app) why() int {
	names, err := a.names()
	if err != nil {
		return a.fail("list units", err)
	}
	code := 0
	for i, n := range names {
		if i > 0 && !a.opt.json {
			a.printf("\n")
		}
		if c := a.whyUnit(n); c != 0 {
			code = c
		}
	}
	return code
}

func (a *app) whyUnit(name string) int {
	p, err := a.c.Unit(a.ctx, name)
	if err != nil {
		return a.fail("ask why "+name, err)
	}
	load, active := word(p, "LoadState"), word(p, "ActiveState")
	if load == "not-found" && active == "inactive" {
		a.complain("unit %s could not be found", name)
		return exitNoSuchUnit
	}
	chain, err := a.c.Why(a.ctx, word(p, "Id"))
	if err != nil {
		return a.fail("ask why "+name, err)
	}
	if a.opt.json {
		a.printJSON(changeRows(chain))
		return 0
	}
	if len(chain) == 0 {
		a.printf("%s is %s: nothing has asked for it, and nothing happened to it, since it was loaded\n", word(p, "Id"), active)
		return 0
	}
	for i := range chain {
		c := &chain[i]
		lead := "  "
		switch {
		case i == 0:
			lead = ""
		case c.Earlier:
			lead = "before that, "
		}
		a.printf("%s%s\n", lead, a.sentence(c))
	}
	return 0
}

// sentence tells one change: what, when, why.
func (a *app) sentence(c *client.Change) string {
	s := c.Unit + " " + c.Did
	if c.Timestamp != 0 {
		s += " " + a.ago(c.Timestamp)
	}
	if c.Because != "" {
		s += " because " + c.Because
	}
	if c.File != "" {
		s += ", " + c.File
		if c.Line > 0 {
			s += ":" + strconv.FormatUint(uint64(c.Line), 10)
		}
	}
	return foreign(s)
}

// whyLine is the first link of the chain, for status; empty where it is not known.
func (a *app) whyLine(name string) string {
	chain, err := a.c.Why(a.ctx, name)
	if err != nil || len(chain) == 0 || chain[0].Because == "" {
		return "" // a manager without such a record, or nothing to tell
	}
	s := chain[0].Did + " because " + chain[0].Because
	if last := &chain[len(chain)-1]; len(chain) > 1 && !last.Earlier {
		s += " (root: " + last.Unit + " " + last.Did + " because " + last.Because + ")"
	}
	return foreign(s)
}

func changeRows(list []client.Change) [][]field {
	rows := make([][]field, 0, len(list))
	for i := range list {
		var row []field
		for _, name := range slices.Sorted(maps.Keys(list[i].All)) {
			row = append(row, field{name, list[i].All[name].Value()})
		}
		rows = append(rows, row)
	}
	return rows
}

// maxWhyJobs: in a longer list nobody reads why, and each is a question to the manager.
const maxWhyJobs = 100

// jobWhy is what brought about the job that a unit has.
func (a *app) jobWhy(name string, jobs int) string {
	if jobs > maxWhyJobs {
		return ""
	}
	chain, err := a.c.Why(a.ctx, name)
	if err != nil || len(chain) == 0 {
		return "" // a manager without such a record
	}
	return foreign(chain[0].Because)
}
