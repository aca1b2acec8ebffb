package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// knock asks the held sockets all the time. Each call has to be answered, whether the
// service runs, is restarted or was never started, and whether a core is there or not.
func (b *bench) knock(ctx context.Context, rng *rand.Rand) {
	var doors []member
	for _, m := range b.fleet {
		if m.kind == kindSocket {
			doors = append(doors, m)
		}
	}
	for ctx.Err() == nil && len(doors) > 0 {
		m := doors[rng.IntN(len(doors))]
		err := call(socketPath(b.o.dir, m.name), b.o.patience)
		switch {
		case errors.Is(err, unix.EAGAIN): // its queue is full: not refused, but told to come again
			b.counts.full.Add(1)
		case err != nil:
			b.ledger.add(finding{Loss: lostConnection, Unit: m.name + ".socket", Text: err.Error()})
		default:
			b.counts.connections.Add(1)
		}
		pause(ctx, time.Duration(rng.IntN(2000))*time.Microsecond)
	}
}

// call asks once.
func call(path string, limit time.Duration) error {
	began := time.Now()
	c, err := net.DialTimeout("unix", path, limit)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(began.Add(limit)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "knock\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && line != "knock\n" {
		err = fmt.Errorf("the answer is %q", line)
	}
	if err != nil {
		return fmt.Errorf("no answer after %v: %w", time.Since(began).Round(time.Millisecond), err)
	}
	return nil
}

// refused says that nobody held the socket.
func refused(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT)
}
