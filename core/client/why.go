package client

import (
	"context"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// Change is one change of a unit and what brought it about.
type Change struct {
	Unit      string
	Did       string // "was started"
	Because   string // "multi-user.target pulled it in (Wants=)"; empty when it is not known
	File      string // of the dependency, if one brought it about
	Line      uint32
	Timestamp uint64 // microseconds since the epoch
	Earlier   bool   // not the cause of the change before, but what came before it
	// All is everything that the manager says of it, by name; see org.sysmaster.Manager.Why.
	All Props
}

// Why follows the causes of a unit's present state, its last change first, back to what began it. It is empty if
// the unit has not changed since it was loaded, or is not loaded.
func (c *Client) Why(ctx context.Context, unit string) ([]Change, error) {
	return c.changes(ctx, "Why", unit)
}

// Changes lists the last changes of a unit, oldest first.
func (c *Client) Changes(ctx context.Context, unit string) ([]Change, error) {
	return c.changes(ctx, "Changes", unit)
}

func (c *Client) changes(ctx context.Context, member, unit string) ([]Change, error) {
	out, err := c.Read(ctx, wire.ManagerPath, wire.OwnManagerIface, member, "s", unit)
	if err != nil {
		return nil, err
	}
	if len(out) != 1 {
		return nil, malformed(member)
	}
	list, ok := out[0].([]any)
	if !ok {
		return nil, malformed(member)
	}
	changes := make([]Change, 0, len(list))
	for _, row := range list {
		p, ok := row.(map[string]dbus.Variant)
		if !ok {
			return nil, malformed(member)
		}
		changes = append(changes, changeOf(p))
	}
	return changes, nil
}

func changeOf(p Props) Change {
	c := Change{Unit: text(p["Unit"].Value()), Did: text(p["Did"].Value()), Because: text(p["Because"].Value()), File: text(p["File"].Value()), All: p}
	c.Line, _ = p["Line"].Value().(uint32)
	c.Timestamp, _ = p["Timestamp"].Value().(uint64)
	c.Earlier, _ = p["Earlier"].Value().(bool)
	return c
}
