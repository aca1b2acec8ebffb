package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// report is what a run found; --json prints exactly this. Times are milliseconds.
type report struct {
	Seed     uint64  `json:"seed"`
	Rounds   int     `json:"rounds"`
	Services int     `json:"services"`
	Steady   int     `json:"steady"` // of which nobody touched
	Seconds  float64 `json:"seconds"`

	Recovery map[attack]times `json:"recovery"`      // from the attack to an answer of the next core
	Death    times            `json:"death"`         // of kills: until the old core was gone ...
	Return   times            `json:"return"`        // ... and from then to the answer
	Jobs     int64            `json:"jobs"`          // acknowledged
	Unsure   int64            `json:"unsure"`        // jobs whose acknowledgement was lost with the connection
	Exits    int64            `json:"exits"`         // of services that ended by themselves
	Answers  int64            `json:"connections"`   // to held sockets that were answered
	Full     int64            `json:"full"`          // connections that the kernel's queue had no room for
	Notes    int64            `json:"notifications"` // sent between a core's death, or stop, and the next one's answer
	Blind    int              `json:"repaired"`      // services whose last record was destroyed and that the manager lost sight of

	MemoryBefore memory    `json:"memory_before"` // of the core that loaded the units
	MemoryAfter  memory    `json:"memory_after"`  // of the last one
	Load         [2]string `json:"load"`
	Lost         tally     `json:"lost"`
	Findings     []finding `json:"findings,omitempty"`
}

// times are the distribution of one kind of wait.
type times struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// spread sorts a copy and reads the percentiles off it (nearest rank).
func spread(list []time.Duration) times {
	if len(list) == 0 {
		return times{}
	}
	l := slices.Sorted(slices.Values(list))
	at := func(percent int) float64 {
		return float64(l[max((len(l)*percent+99)/100, 1)-1].Microseconds()) / 1000
	}
	return times{N: len(l), P50: at(50), P99: at(99), Max: at(100)}
}

func (b *bench) report() report {
	r := report{
		Seed: b.o.seed, Rounds: b.rounds, Services: len(b.fleet), Steady: len(b.fleet) - len(b.churned()), Seconds: b.took.Seconds(),
		Recovery: make(map[attack]times), Death: spread(b.steps[0]), Return: spread(b.steps[1]),
		Jobs: b.counts.jobs.Load(), Unsure: b.counts.unacknowledged.Load(), Exits: b.counts.exits.Load(),
		Answers: b.counts.connections.Load(), Full: b.counts.full.Load(), Notes: b.counts.notifications.Load(), Blind: b.blind,
		MemoryBefore: b.memory[0], MemoryAfter: b.memory[1], Load: b.load,
	}
	for a, list := range b.times {
		r.Recovery[a] = spread(list)
	}
	r.Lost, r.Findings = b.ledger.result()
	return r
}

// print writes the report for a person, or as JSON.
func (r report) print(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	p := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	p("torture: %d rounds in %.1f s, seed %d, load %s to %s", r.Rounds, r.Seconds, r.Seed, r.Load[0], r.Load[1])
	p("  %d services, %d of them untouched; %d jobs acknowledged, %d ends by themselves,", r.Services, r.Steady, r.Jobs, r.Exits)
	p("  %d connections answered, %d notifications sent to a dead core, %d services repaired after damage", r.Answers, r.Notes, r.Blind)
	p("\n%-18s %6s %9s %9s %9s   milliseconds to an answering API", "", "n", "p50", "p99", "max")
	for _, a := range []attack{attackKill, attackStorm, attackUpgrade, attackCorrupt, attackStop} {
		if t, ok := r.Recovery[a]; ok {
			p("%-18s %6d %9.1f %9.1f %9.1f", a, t.N, t.P50, t.P99, t.Max)
		}
	}
	if t := r.Death; t.N > 0 {
		p("%-18s %6d %9.1f %9.1f %9.1f", " kill: to its end", t.N, t.P50, t.P99, t.Max)
	}
	if t := r.Return; t.N > 0 {
		p("%-18s %6d %9.1f %9.1f %9.1f", " end: to an answer", t.N, t.P50, t.P99, t.Max)
	}
	p("\ncore's memory: %d KiB anonymous, %d KiB PSS at first; %d and %d at the end",
		r.MemoryBefore.Anonymous, r.MemoryBefore.PSS, r.MemoryAfter.Anonymous, r.MemoryAfter.PSS)
	p("")
	for _, l := range losses() {
		p("%-22s %6d", l, r.Lost[l])
	}
	for _, f := range r.Findings {
		p("  round %d: %s: %s: %s", f.Round, f.Loss, f.Unit, f.Text)
	}
	if r.Lost.none() {
		p("nothing was lost")
	}
	return nil
}
