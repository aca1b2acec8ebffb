package client

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// requestID is a number for one command, by which the manager recognises it when it comes again.
type requestID []byte

func newRequestID() (requestID, error) {
	id := make(requestID, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("cannot choose a number for the command: %w", err)
	}
	return id, nil
}

// numbered sends a command until it is answered: whichever of them arrives is carried out once.
func (c *Client) numbered(ctx context.Context, id requestID, member, sig string, args ...any) ([]any, *session, error) {
	return c.repeat(ctx, isLost, wire.ManagerPath, wire.OwnManagerIface, member, "ay"+sig, append([]any{[]byte(id)}, args...)...)
}

// command gives a command whose answer is empty. A manager that does not know such commands is given
// the plain one, and after a *LostError it is not known whether that was carried out.
func (c *Client) command(ctx context.Context, member, sig string, args []any, plain, plainSig string, plainArgs ...any) error {
	id, err := newRequestID()
	if err != nil {
		return err
	}
	_, _, err = c.numbered(ctx, id, member, sig, args...)
	if isUnknown(err) {
		return c.manager(ctx, plain, plainSig, plainArgs...)
	}
	return err
}

// isUnknown says that the manager has no such method.
func isUnknown(err error) bool {
	return Is(err, "org.freedesktop.DBus.Error.UnknownMethod") || Is(err, "org.freedesktop.DBus.Error.UnknownInterface")
}

// connected reports whether there ever was a connection.
func (c *Client) connected() bool {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	return c.ever
}
