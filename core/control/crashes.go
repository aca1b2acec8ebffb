package control

import (
	"fmt"
	"time"
)

// Crash is what a dead core left behind.
type Crash struct {
	Generation uint64 // of the core: how many init had started by then
	Time       time.Time
	Cause      string // "crash", "hang", "out of memory"
	End        string // how it ended, "signal 6"
	First      string // the first line of its last words; empty: there are none
	// Words gives all of it, safe to print and bounded. Called from any goroutine.
	Words func() (string, error)
}

// crashesSig is the type of the list of crashes: generation, microseconds since 1970, cause, end, first line.
const crashesSig = "a(ttsss)"

type crashRow struct {
	Generation, Time  uint64
	Cause, End, First string
}

func (c *call) listCrashes() {
	rows := []crashRow{}
	for _, x := range c.s.cfg.Crashes {
		rows = append(rows, crashRow{x.Generation, uint64(x.Time.UnixMicro()), clean(x.Cause), clean(x.End), clean(x.First)})
	}
	c.reply(crashesSig, rows)
}

func (c *call) getCrash() {
	generation := c.args[0].(uint64)
	for _, x := range c.s.cfg.Crashes {
		if x.Generation != generation {
			continue
		}
		words, err := x.Words()
		if err != nil {
			c.fail(fmt.Errorf("cannot read the last words of core %d: %w", generation, err))
			return
		}
		c.reply("s", clean(words))
		return
	}
	c.fail(&busError{errNoSuchCrash, fmt.Sprintf("Nothing is kept of core %d.", generation)})
}
