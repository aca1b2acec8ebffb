package policy

// Stage is how far it has come with a core that cannot be kept alive.
type Stage uint8

// The stages. Each is said on the console, and in none of them is PID 1 idle for good.
const (
	Normal Stage = iota // a core in its normal role
	Rescue              // a core in the rescue role: the log set aside, rescue.target
	Shell               // the console has a rescue command: sulogin, a shell
	Rest                // nothing works; a time without anything
)

// String gives the stage in one word.
func (s Stage) String() string { return [...]string{"normal", "rescue", "shell", "rest"}[s&3] }

// Happening is what moves from one stage to another.
type Happening uint8

// The happenings.
const (
	Spent    Happening = iota // the core died by itself once more than its budget allows
	Replaced                  // a core that had completed turns ended with 0: it asks for a fresh one
	Used                      // somebody used the shell and left it
	NoShell                   // no rescue command works
	Waited                    // the time of this stage is over
)

// Deed is what init does about it.
type Deed uint8

// The deeds.
const (
	Nothing     Deed = iota
	StartNormal      // start the core in its normal role
	StartRescue      // start the core in the rescue role
	OfferShell       // run the rescue commands, one after the other
	Wait             // for Retry.Rest, or the time until the reboot
	Reboot
)

// Next is the table of the escalation; reboot says that one is configured.
//
//	           Spent          Replaced      Used          NoShell   Waited
//	normal     rescue, start  normal, start -             -         -
//	rescue     shell, offer   normal, start -             -         -
//	shell      -              -             normal, start rest      reboot, if configured
//	rest       -              -             -             -         reboot or normal, start
func (s Stage) Next(h Happening, reboot bool) (Stage, Deed) {
	switch {
	case h == Spent && s == Normal:
		return Rescue, StartRescue
	case h == Spent && s == Rescue:
		return Shell, OfferShell
	case h == Replaced && s <= Rescue, h == Used && s == Shell:
		return Normal, StartNormal
	case h == NoShell && s == Shell:
		return Rest, Wait
	case h == Waited && s >= Shell && reboot:
		return s, Reboot
	case h == Waited && s == Rest:
		return Normal, StartNormal
	}
	return s, Nothing
}
