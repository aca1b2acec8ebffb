package control

import (
	"time"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// Upgrades exchanges the programs of core and init. Its methods are called from many goroutines.
type Upgrades interface {
	// Begin looks at the program at path - a file that is read once - and has it take the place of
	// target, "core" or "init". It may take seconds. An error says why nothing is exchanged. Otherwise
	// the answer is sent, finish called, and Last says under id what came of it, perhaps in another core.
	Begin(target, path string) (id uint64, finish func(), err error)
	// Last is what became of the last upgrade.
	Last() Upgrade
	// Versions are those of the programs that run.
	Versions() Versions
}

// Upgrade is what became of an upgrade.
type Upgrade struct {
	ID     uint64
	Target string // "core", "init"
	Result string // "none", "adopted", "rolled-back", "refused"
	From   string
	To     string
	Reason string
}

// Versions are those of the programs that run, and of the core to go back to.
type Versions struct {
	Core       string
	Generation uint64 // how many cores there have been
	Init       string
	Sealed     bool          // no signal can end init while it executes itself
	Previous   string        // the core before
	Held       bool          // ... is still held
	Probation  time.Duration // for how much longer init goes back to it by itself
}

func upgradeMethods() []method {
	const m = wire.OwnManagerIface
	return []method{
		{onManager, m, "Upgrade", "ss", "t", (*call).upgrade},
		{onManager, m, "LastUpgrade", "", "tsssss", func(c *call) {
			u := Upgrade{Result: "none"}
			if c.s.cfg.Upgrades != nil {
				u = c.s.cfg.Upgrades.Last()
			}
			c.reply("tsssss", u.ID, u.Target, u.Result, clean(u.From), clean(u.To), clean(u.Reason))
		}},
		{onManager, m, "Versions", "", "stsbsbt", func(c *call) {
			v := Versions{Core: c.s.cfg.Info().Version}
			if c.s.cfg.Upgrades != nil {
				v = c.s.cfg.Upgrades.Versions()
			}
			c.reply("stsbsbt", clean(v.Core), v.Generation, clean(v.Init), v.Sealed, clean(v.Previous), v.Held,
				uint64(v.Probation/time.Microsecond))
		}},
	}
}

// upgrade holds up this client's connection only.
func (c *call) upgrade() {
	switch {
	case c.c.uid != 0:
		c.fail(&busError{"org.freedesktop.DBus.Error.AccessDenied", "Only root may exchange the manager's programs."})
	case c.s.cfg.Upgrades == nil:
		c.fail(&busError{errNotSupported, "This manager cannot exchange its programs."})
	default:
		id, finish, err := c.s.cfg.Upgrades.Begin(c.str(0), c.str(1))
		if err != nil {
			c.fail(&busError{errFailed, err.Error()})
			return
		}
		c.reply("t", id)
		finish()
	}
}
