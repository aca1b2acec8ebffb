package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// Upgrade is what became of an exchange of the core's or init's program.
type Upgrade struct {
	ID     uint64
	Target string // "core", "init"
	Result string // "none", "adopted", "rolled-back", "refused"
	From   string // versions
	To     string
	Reason string // of a roll-back or refusal
}

const (
	upgradeTime = 2 * time.Minute // more than init and core give each other
	lostTime    = 3 * time.Second // for a new manager to hear from init what became of an upgrade
)

// Upgrade has the program at path take the place of target, "core" or "init", and waits for what
// comes of it, also while the manager that was asked is replaced. If the connection is lost before the
// answer it asks again, and the manager does not do it twice. An *Error says that nothing was exchanged, or
// that others exchanged programs meanwhile.
func (c *Client) Upgrade(ctx context.Context, target, path string) (Upgrade, error) {
	before, err := c.LastUpgrade(ctx)
	if err != nil {
		return Upgrade{}, err
	}
	number, err := newRequestID()
	if err != nil {
		return Upgrade{}, err
	}
	out, _, err := c.numbered(ctx, number, "Exchange", "tss", before.ID, target, path)
	if isUnknown(err) {
		return c.upgradePlain(ctx, before, target, path)
	}
	if err != nil {
		return Upgrade{}, err
	}
	id, ok := uint64(0), len(out) == 1
	if ok {
		id, ok = out[0].(uint64)
	}
	if !ok {
		return Upgrade{}, malformed("Exchange")
	}
	return c.awaitUpgrade(ctx, func(u Upgrade) (bool, error) {
		if u.ID != 0 && u.ID != id && u.ID != before.ID {
			return false, errors.New("another upgrade came since; what became of this one is not known any more")
		}
		return u.ID == id, nil
	})
}

// upgradePlain asks a manager that does not know such numbers.
func (c *Client) upgradePlain(ctx context.Context, before Upgrade, target, path string) (Upgrade, error) {
	out, err := c.Call(ctx, wire.ManagerPath, wire.OwnManagerIface, "Upgrade", "ss", target, path)
	id := uint64(0)
	switch {
	case err == nil && len(out) == 1:
		id, _ = out[0].(uint64)
	case err == nil:
		return Upgrade{}, malformed("Upgrade")
	case !isLost(err): // else it was replaced before it could answer
		return Upgrade{}, err
	}
	// A request that init has taken is decided before another manager answers.
	unknown := time.Time{}
	return c.awaitUpgrade(ctx, func(u Upgrade) (bool, error) {
		// A re-execution that a signal asked for has no number: it is nobody's upgrade.
		if u.Result != "none" && u.ID != 0 && (u.ID == id || id == 0 && u.ID != before.ID) {
			return true, nil
		}
		if unknown.IsZero() {
			unknown = time.Now().Add(lostTime)
		}
		if id == 0 && time.Now().After(unknown) {
			return false, errors.New("the service manager died before it took the request")
		}
		return false, nil
	})
}

// awaitUpgrade asks for the last upgrade until it is the one.
func (c *Client) awaitUpgrade(ctx context.Context, is func(Upgrade) (bool, error)) (Upgrade, error) {
	ctx, stop := context.WithTimeout(ctx, upgradeTime)
	defer stop()
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		u, err := c.LastUpgrade(ctx)
		if err != nil {
			return Upgrade{}, err
		}
		if done, err := is(u); done || err != nil {
			return u, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return Upgrade{}, fmt.Errorf("cannot wait for the upgrade any longer: %w", ctx.Err())
		}
	}
}

// LastUpgrade tells what became of the last upgrade.
func (c *Client) LastUpgrade(ctx context.Context) (Upgrade, error) {
	const member = "LastUpgrade"
	out, err := c.Read(ctx, wire.ManagerPath, wire.OwnManagerIface, member, "")
	if err != nil {
		return Upgrade{}, err
	}
	if len(out) != 6 {
		return Upgrade{}, malformed(member)
	}
	id, ok := out[0].(uint64)
	if !ok {
		return Upgrade{}, malformed(member)
	}
	return Upgrade{id, text(out[1]), text(out[2]), text(out[3]), text(out[4]), text(out[5])}, nil
}

// Versions are those of the programs that run, and of the core to go back to.
type Versions struct {
	Core       string
	Generation uint64
	Init       string
	Sealed     bool // no signal can end init while it executes itself
	Previous   string
	Held       bool
	Probation  time.Duration // for how much longer init goes back to it by itself
}

// Versions tells which programs run.
func (c *Client) Versions(ctx context.Context) (Versions, error) {
	const member = "Versions"
	out, err := c.Read(ctx, wire.ManagerPath, wire.OwnManagerIface, member, "")
	if err != nil {
		return Versions{}, err
	}
	if len(out) != 7 {
		return Versions{}, malformed(member)
	}
	generation, ok1 := out[1].(uint64)
	sealed, ok2 := out[3].(bool)
	held, ok3 := out[5].(bool)
	usec, ok4 := out[6].(uint64)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return Versions{}, malformed(member)
	}
	return Versions{text(out[0]), generation, text(out[2]), sealed, text(out[4]), held, time.Duration(usec) * time.Microsecond}, nil
}
