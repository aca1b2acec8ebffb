package control

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/client"
)

// relay stands between clients and the server, and cuts all connections when it is told to: so it looks
// when a core dies.
type relay struct {
	path, to string
	mu       sync.Mutex
	conns    []net.Conn
}

func newRelay(t *testing.T, to string) *relay {
	r := &relay{path: filepath.Join(t.TempDir(), "relay"), to: to}
	l, err := net.Listen("unix", r.path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()); r.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("unix", r.to)
			if err != nil {
				_ = c.Close()
				continue
			}
			r.mu.Lock()
			r.conns = append(r.conns, c, s)
			r.mu.Unlock()
			go func() { _, _ = io.Copy(s, c); _ = s.Close() }()
			go func() { _, _ = io.Copy(c, s); _ = c.Close() }()
		}
	}()
	return r
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = nil
}

// exchanger is init and the cores that come and go: what was taken is remembered, and who dies is gone.
type exchanger struct {
	mu    sync.Mutex
	last  Upgrade
	done  int
	asked []Exchange
	die   func(n int, taken bool) bool // in the n-th request, before or after it was taken
}

func (e *exchanger) Begin(x Exchange) (uint64, func(), error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, x)
	n := len(e.asked)
	switch {
	case e.last.ID == x.ID:
		return x.ID, func() {}, nil
	case e.last.ID != x.Before:
		return 0, nil, errors.New("another came in between")
	case e.die(n, false):
		return 0, nil, errors.New("nobody hears this")
	}
	e.done++
	e.last = Upgrade{ID: x.ID, Target: x.Target, Result: "adopted", From: "one", To: "two"}
	e.die(n, true)
	return x.ID, func() {}, nil
}

func (e *exchanger) Last() Upgrade {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last.Result == "" {
		return Upgrade{Result: "none"}
	}
	return e.last
}

func (e *exchanger) Versions() Versions { return Versions{} }

// An upgrade whose answer is lost is asked for again with its number: it is done once, and the client
// hears what came of it, wherever the manager died.
func TestUpgradeIsAskedForAgain(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may exchange programs")
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	for _, deaths := range []struct {
		name          string
		before, after map[int]bool // in which requests
		asked         int
	}{
		{"nobody dies", nil, nil, 1},
		{"before it is taken", map[int]bool{1: true}, nil, 2},
		{"after", nil, map[int]bool{1: true}, 2},
		{"three times", map[int]bool{1: true, 2: true}, map[int]bool{3: true}, 4},
	} {
		t.Run(deaths.name, func(t *testing.T) {
			ups := &exchanger{last: Upgrade{ID: 3, Result: "refused"}}
			m := newMachine(t, Config{Observe: quiet, Upgrades: ups})
			r := newRelay(t, m.socket())
			ups.die = func(n int, taken bool) bool {
				die := deaths.before[n]
				if taken {
					die = deaths.after[n]
				}
				if die {
					r.cut()
				}
				return die
			}
			c := client.New(client.Config{Path: r.path})
			u, err := c.Upgrade(ctx, "core", "/bin/new")
			require.NoError(t, err)
			require.NoError(t, c.Close())
			ups.mu.Lock()
			defer ups.mu.Unlock()
			require.Equal(t, ups.last.ID, u.ID)
			require.Equal(t, "adopted", u.Result)
			require.Equal(t, 1, ups.done)
			require.Len(t, ups.asked, deaths.asked)
			for _, x := range ups.asked {
				require.Equal(t, Exchange{ID: u.ID, Before: 3, Target: "core", Path: "/bin/new"}, x)
			}
		})
	}
}
