package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// crashes lists what dead service managers left, or prints all that one of them did.
func (a *app) crashes() int {
	if len(a.args) == 1 {
		generation, err := strconv.ParseUint(a.args[0], 10, 64)
		if err != nil {
			return a.usage(fmt.Errorf("%q is not the number of a service manager; sctl crashes lists them", a.args[0]))
		}
		words, err := a.c.CrashWords(a.ctx, generation)
		if err != nil {
			return a.fail("print the crash", err)
		}
		for line := range strings.Lines(words) {
			a.printf("%s\n", foreign(strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "    ")))
		}
		return 0
	}
	list, err := a.c.Crashes(a.ctx)
	if err != nil {
		return a.fail("list crashes", err)
	}
	if a.opt.json {
		rows := make([][]field, 0, len(list))
		for _, c := range list {
			rows = append(rows, []field{{"number", c.Generation}, {"time", c.Time}, {"cause", c.Cause}, {"end", c.End}, {"first", c.First}})
		}
		a.printJSON(rows)
		return 0
	}
	if len(list) == 0 {
		a.printf("No service manager has crashed.\n")
		return 0
	}
	rows := make([][]string, 0, len(list))
	for _, c := range list {
		first := c.First
		if first == "" {
			first = "(no last words: who is killed leaves none)"
		}
		rows = append(rows, []string{strconv.FormatUint(c.Generation, 10), a.stamp(c.Time), c.Cause, c.End, first})
	}
	a.table([]string{"NUMBER", "TIME", "CAUSE", "END", "LAST WORDS"}, rows)
	if !a.opt.noLegend {
		a.printf("\nsctl crashes NUMBER prints all that one left.\n")
	}
	return 0
}
