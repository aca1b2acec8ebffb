package fdstore

import (
	"strconv"
	"time"
)

// Target is the program that an upgrade replaces.
type Target uint8

// The targets.
const (
	TargetCore Target = 1
	TargetInit Target = 2
)

// String gives the program's name.
func (t Target) String() string {
	switch t {
	case TargetCore:
		return "core"
	case TargetInit:
		return "init"
	}
	return "target " + strconv.Itoa(int(t))
}

// Result is what became of an upgrade.
type Result uint8

// The results. After ResultRefused nothing was replaced; after ResultRolledBack the old program runs again.
const (
	ResultNone       Result = 0 // there was no upgrade yet
	ResultAdopted    Result = 1 // the new program runs
	ResultRolledBack Result = 2
	ResultRefused    Result = 3
)

// String gives the result in one word.
func (r Result) String() string {
	switch r {
	case ResultNone:
		return "none"
	case ResultAdopted:
		return "adopted"
	case ResultRolledBack:
		return "rolled-back"
	case ResultRefused:
		return "refused"
	}
	return "result " + strconv.Itoa(int(r))
}

// Upgrade is one exchange of a program for another. An Upgrade message asks for it, with the new
// program as its descriptor; Outcome says what came of it, and is repeated to each new core.
type Upgrade struct {
	ID     uint64 // chosen by who asks; 0: init itself
	Target Target
	Result Result // Outcome
	From   string // version of the program before, as far as it was told (Outcome)
	To     string // version of the new one
	Reason string // why it was refused or taken back (Outcome)
}

// About is what init tells a core of itself, after Outcome and at each change.
type About struct {
	Version   string        // of init
	Protected bool          // no signal can end init while it re-executes
	Previous  string        // version of the core's program before, if it is still held
	Held      bool          // ... and whether it is
	Probation time.Duration // for how much longer init goes back to it by itself; 0: no longer
}

// Shorten cuts a text to at most limit bytes and makes it printable, for Upgrade and About.
func Shorten(text string, limit int) string {
	b := []byte(text[:min(len(text), limit)])
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

func (c *codec) upgrade(k Kind, u *Upgrade) {
	if k != KindHealthy {
		c.u64(&u.ID)
	}
	if k == KindUpgrade || k == KindOutcome {
		c.u8((*uint8)(&u.Target))
		if u.Target < TargetCore || u.Target > TargetInit {
			c.fail(ErrMalformed)
		}
	}
	if k == KindOutcome {
		c.u8((*uint8)(&u.Result))
		c.str(&u.From, MaxVersion)
	}
	if k != KindAdopted {
		c.str(&u.To, MaxVersion)
	}
	if k == KindOutcome {
		c.str(&u.Reason, MaxReason)
	}
}

func (c *codec) about(a *About) {
	c.str(&a.Version, MaxVersion)
	c.flag(&a.Protected)
	c.str(&a.Previous, MaxVersion)
	c.flag(&a.Held)
	c.milliseconds(&a.Probation)
}
