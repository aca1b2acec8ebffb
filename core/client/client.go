package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// DefaultPath is where the manager listens.
const DefaultPath = "/run/systemd/private"

// Config says how to reach the manager. The zero value is right on a normal machine.
type Config struct {
	Path string // of the private socket; empty: DefaultPath
	// Resume is for how long to try again after the connection was lost: 30 s if 0, negative
	// for not at all. A first connection that cannot be made is not tried again; one that is cut
	// before the manager has greeted is, a few times.
	Resume time.Duration
	// Greeting is how long a manager that accepts the connection may take to greet: 10 s if 0.
	// Init holds the socket, so that one connects even while no manager runs.
	Greeting time.Duration
	// Lost, if not nil, is told when the connection was lost and is being made again.
	Lost func(error)
}

// Client is a connection to the manager that is made when it is needed.
type Client struct {
	cfg  Config
	turn chan struct{} // held by who looks at or makes the connection
	quit chan struct{} // closed by Close
	once sync.Once

	now  *session // with turn
	ever bool     // connected once; with turn
}

// New makes a client; it connects with the first call.
func New(cfg Config) *Client {
	if cfg.Path == "" {
		cfg.Path = DefaultPath
	}
	if cfg.Resume == 0 {
		cfg.Resume = 30 * time.Second
	}
	return &Client{cfg: cfg, turn: make(chan struct{}, 1), quit: make(chan struct{})}
}

// Close ends the connection; calls under way fail.
func (c *Client) Close() error {
	c.once.Do(func() { close(c.quit) })
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if c.now != nil {
		c.now.end(net.ErrClosed)
	}
	return nil
}

// session gives the live connection, making it if need be.
func (c *Client) session(ctx context.Context) (*session, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("cannot reach the service manager: %w", ctx.Err())
	}
	defer func() { <-c.turn }()
	select {
	case <-c.quit:
		return nil, net.ErrClosed
	default:
	}
	if c.now != nil {
		select {
		case <-c.now.lost:
			if c.cfg.Lost != nil {
				c.cfg.Lost(c.now.err)
			}
			c.now = nil
		default:
			return c.now, nil
		}
	}
	s, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	c.now, c.ever = s, true
	return s, nil
}

// retryEvery is the pause between attempts to connect again.
const retryEvery = 50 * time.Millisecond

// greetings is how often the first connection is made, if it ends during the greeting: so do
// the one that a manager accepts and then dies, and those of whom it turns away.
const greetings = 3

func (c *Client) connect(ctx context.Context) (*session, error) {
	if c.cfg.Resume < 0 {
		return c.dial(ctx)
	}
	if !c.ever {
		for n := 1; ; n++ {
			s, err := c.dial(ctx)
			if err == nil || n == greetings || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				return s, err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Resume)
	defer cancel()
	t := time.NewTicker(retryEvery)
	defer t.Stop()
	for {
		s, err := c.dial(ctx)
		if err == nil {
			return s, nil
		}
		select {
		case <-t.C:
		case <-c.quit:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (c *Client) dial(ctx context.Context) (*session, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", c.cfg.Path)
	if err != nil {
		return nil, &UnreachableError{c.cfg.Path, err}
	}
	greeting, cancel := context.WithTimeout(ctx, cmp.Or(c.cfg.Greeting, 10*time.Second))
	defer cancel()
	s, err := newSession(greeting, nc)
	if err != nil {
		return nil, &UnreachableError{c.cfg.Path, err}
	}
	return s, nil
}

// Read calls a method that changes nothing, again if the connection is lost meanwhile. sig is
// the signature of args; the answer's values are as wire.Message.DecodeBody makes them.
func (c *Client) Read(ctx context.Context, path, iface, member, sig string, args ...any) ([]any, error) {
	out, _, err := c.repeat(ctx, isLost, path, iface, member, sig, args...)
	return out, err
}

// Call calls a method once: after a *LostError it is not known whether it was carried out.
func (c *Client) Call(ctx context.Context, path, iface, member, sig string, args ...any) ([]any, error) {
	out, _, err := c.repeat(ctx, isUnsent, path, iface, member, sig, args...)
	return out, err
}

// isLost says that a call may be sent again if it does no harm twice, isUnsent that it was never sent.
func isLost(err error) bool {
	var l *LostError
	return errors.As(err, &l)
}

func isUnsent(err error) bool {
	var n *notSentError
	return errors.As(err, &n)
}

// repeat sends a call until it was answered or again says no; the session is the one that answered.
func (c *Client) repeat(ctx context.Context, again func(error) bool, path, iface, member, sig string, args ...any) ([]any, *session, error) {
	for {
		s, err := c.session(ctx)
		if err != nil {
			return nil, nil, err
		}
		out, err := s.call(ctx, &wire.Message{
			Type: dbus.TypeMethodCall, Path: path, Interface: iface, Member: member,
			Destination: wire.Service, Signature: sig, Body: args,
		})
		if err == nil || !again(err) || c.cfg.Resume < 0 || ctx.Err() != nil {
			return out, s, err
		}
	}
}

// manager calls a command of the Manager object.
func (c *Client) manager(ctx context.Context, member, sig string, args ...any) error {
	_, err := c.Call(ctx, wire.ManagerPath, wire.ManagerIface, member, sig, args...)
	return err
}

// malformed says that an answer does not have the type that the interface promises.
func malformed(member string) error {
	return fmt.Errorf("cannot understand the answer to %s: %w", member, wire.ErrMalformed)
}
