package client

import (
	"context"
	"errors"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// Crash is a core's death of which something is kept.
type Crash struct {
	Generation uint64 // the number of the core
	Time       uint64 // microseconds since 1970
	Cause      string // "crash", "hang", "out of memory"
	End        string // "signal 6", "exit status 2"
	First      string // the first line of its last words; empty: there are none
}

// Crashes lists the cores that died lately and left something, the newest first.
func (c *Client) Crashes(ctx context.Context) ([]Crash, error) {
	const member = "ListCrashes"
	out, err := c.Read(ctx, wire.ManagerPath, wire.OwnManagerIface, member, "")
	if err != nil {
		return nil, err
	}
	var list []Crash
	err = rows(out, member, 5, func(r wire.Struct) bool {
		generation, ok1 := r[0].(uint64)
		at, ok2 := r[1].(uint64)
		list = append(list, Crash{generation, at, text(r[2]), text(r[3]), text(r[4])})
		return ok1 && ok2
	})
	return list, err
}

// Troubles says in a line each what is wrong with the manager itself (core.View.Troubles). A manager of another
// make has none to tell: an error.
func (c *Client) Troubles(ctx context.Context) ([]string, error) {
	const member = "ListTroubles"
	out, err := c.Read(ctx, wire.ManagerPath, wire.OwnManagerIface, member, "")
	if err != nil {
		return nil, err
	}
	if len(out) == 1 {
		if list, ok := out[0].([]string); ok {
			return list, nil
		}
	}
	return nil, errors.New("cannot understand the manager's answer to " + member)
}

// CrashWords gives all that a core left, printable.
func (c *Client) CrashWords(ctx context.Context, generation uint64) (string, error) {
	const member = "GetCrash"
	out, err := c.Read(ctx, wire.ManagerPath, wire.OwnManagerIface, member, "t", generation)
	if err != nil {
		return "", err
	}
	if len(out) == 1 {
		if words, ok := out[0].(string); ok {
			return words, nil
		}
	}
	return "", malformed(member)
}
