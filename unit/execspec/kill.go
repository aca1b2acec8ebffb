package execspec

import (
	"github.com/sysmaster-go/sysmaster/unit"
)

// KillMode says which processes a stop signals (man systemd.kill(5)).
type KillMode uint8

const (
	KillControlGroup KillMode = iota
	KillMixed
	KillProcess
	KillNone
)

var killModes = [...]string{"control-group", "mixed", "process", "none"}

// String is systemd's word.
func (m KillMode) String() string { return killModes[m] }

// The signals that the defaults name (Linux numbers, the same on all of Go's ports but mips).
const (
	sigHUP  = 1
	sigABRT = 6
	sigKILL = 9
	sigTERM = 15
)

// KillContext are the settings of systemd.kill(5).
type KillContext struct {
	Mode                        KillMode
	Signal                      int
	RestartSignal               int // 0: Signal
	FinalSignal, WatchdogSignal int
	SendSIGKILL, SendSIGHUP     bool
}

// NewKillContext gives the defaults of systemd 252.
func NewKillContext() KillContext {
	return KillContext{Signal: sigTERM, FinalSignal: sigKILL, WatchdogSignal: sigABRT, SendSIGKILL: true}
}

// KillKeys are the settings of systemd.kill(5) for one section, bound to *KillContext.
func KillKeys(section string) []unit.Key {
	signal := func(name, def, doc string, field func(*KillContext) *int) unit.Key {
		return unit.Bind(unit.Key{Section: section, Name: name, Syntax: "signal name or number", Default: def, Doc: doc},
			func(c *KillContext, v string) error {
				n, err := unit.ParseSignal(v)
				if err == nil {
					*field(c) = n
				}
				return err
			})
	}
	return []unit.Key{
		wordKey(section, "KillMode", "control-group", "Which processes a stop signals.", killModes[:], func(c *KillContext, n int) { c.Mode = KillMode(n) }),
		signal("KillSignal", "SIGTERM", "The first signal of a stop.", func(c *KillContext) *int { return &c.Signal }),
		signal("RestartKillSignal", "", "The first signal of a restart; KillSignal= if not set.", func(c *KillContext) *int { return &c.RestartSignal }),
		signal("FinalKillSignal", "SIGKILL", "The signal for what is left after TimeoutStopSec=.", func(c *KillContext) *int { return &c.FinalSignal }),
		signal("WatchdogSignal", "SIGABRT", "The signal when the watchdog fires.", func(c *KillContext) *int { return &c.WatchdogSignal }),
		boolKey(section, "SendSIGKILL", "yes", "Whether FinalKillSignal= is sent at all.", func(c *KillContext) *bool { return &c.SendSIGKILL }),
		boolKey(section, "SendSIGHUP", "no", "Whether SIGHUP follows the first signal at once.", func(c *KillContext) *bool { return &c.SendSIGHUP }),
	}
}
