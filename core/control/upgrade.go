package control

import (
	"encoding/binary"
	"time"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// Upgrades exchanges the programs of core and init. Its methods are called from many goroutines.
type Upgrades interface {
	// Begin looks at the program at x.Path - a file that is read once - and has it take the place of
	// x.Target. It may take seconds. An error says why nothing is exchanged. Otherwise
	// the answer is sent, finish called, and Last says under id what came of it, perhaps in another core.
	// An x.ID that was taken before, maybe by another core, is answered and not done again.
	Begin(x Exchange) (id uint64, finish func(), err error)
	// Last is what became of the last upgrade. It may wait for init to say so.
	Last() Upgrade
	// Versions are those of the programs that run.
	Versions() Versions
}

// Exchange is a request for an upgrade.
type Exchange struct {
	ID           uint64 // the client's; 0: one is chosen, and nobody will ask again
	Before       uint64 // with ID: what Last().ID was when the client asked first; else nothing is done
	Target, Path string // "core" or "init"
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
		// As the other commands with a number (own.go). Nobody but init can keep what became of it, and init
		// keeps the last one: behind the number stands which one that was when the client asked first, so
		// that a request that is asked for again is never done a second time because others came between.
		{onManager, m, "Exchange", "aytss", "t", numbered(func(c *call) {
			id := binary.LittleEndian.Uint64(c.id[:]) | 1
			c.upgrade(Exchange{ID: id, Before: c.args[0].(uint64), Target: c.str(1), Path: c.str(2)})
		})},
		{onManager, m, "Upgrade", "ss", "t", func(c *call) { c.upgrade(Exchange{Target: c.str(0), Path: c.str(1)}) }},
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
func (c *call) upgrade(x Exchange) {
	switch {
	case c.c.uid != 0:
		c.fail(&busError{"org.freedesktop.DBus.Error.AccessDenied", "Only root may exchange the manager's programs."})
	case c.s.cfg.Upgrades == nil:
		c.fail(&busError{errNotSupported, "This manager cannot exchange its programs."})
	default:
		id, finish, err := c.s.cfg.Upgrades.Begin(x)
		if err != nil {
			c.fail(&busError{errFailed, err.Error()})
			return
		}
		c.reply("t", id)
		finish()
	}
}
