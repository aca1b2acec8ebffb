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
// comes of it, also while the manager that was asked is replaced. An *Error says that nothing
// was exchanged.
func (c *Client) Upgrade(ctx context.Context, target, path string) (Upgrade, error) {
	before, err := c.LastUpgrade(ctx)
	if err != nil {
		return Upgrade{}, err
	}
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
	ctx, stop := context.WithTimeout(ctx, upgradeTime)
	defer stop()
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	// A request that init has taken is decided before another manager answers.
	unknown := time.Time{}
	for {
		u, err := c.LastUpgrade(ctx)
		if err != nil {
			return Upgrade{}, err
		}
		// A re-execution that a signal asked for has no number: it is nobody's upgrade.
		if u.Result != "none" && u.ID != 0 && (u.ID == id || id == 0 && u.ID != before.ID) {
			return u, nil
		}
		if unknown.IsZero() {
			unknown = time.Now().Add(lostTime)
		}
		if id == 0 && time.Now().After(unknown) {
			return Upgrade{}, errors.New("the service manager died before it took the request")
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
