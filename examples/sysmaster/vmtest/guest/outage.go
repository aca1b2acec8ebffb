package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sysmaster-go/sysmaster/core/client"
	cw "github.com/sysmaster-go/sysmaster/core/client/wire"
	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest/wire"
)

// outage measures how long nobody answers clients of the service manager after a signal. Each question is a connection of its own, as of
// a systemctl that is called then; a refused one is tried again after a pause that is short beside what is measured.
func outage(ctx context.Context, q wire.Request) (wire.Answer, error) {
	const pause = time.Millisecond
	for askManager(ctx) != nil {
		if ctx.Err() != nil {
			return wire.Answer{}, errors.New("cannot measure an outage: there is one already")
		}
		time.Sleep(pause)
	}
	a, err := kill(q)
	if err != nil {
		return a, err
	}
	if len(a.PIDs) == 0 {
		return a, errors.New("cannot measure an outage: nobody was signalled")
	}
	signalled := time.Now()
	end := signalled.Add(time.Duration(q.WindowMS) * time.Millisecond)
	last, longest := signalled, time.Duration(0)
	for answered := 0; answered == 0 || time.Now().Before(end); {
		asked := time.Now()
		if err := askManager(ctx); err != nil {
			if ctx.Err() != nil {
				return a, fmt.Errorf("cannot measure an outage: %w", err)
			}
			time.Sleep(pause)
			continue
		}
		now := time.Now()
		longest = max(longest, now.Sub(last))
		last = now
		if asked.After(signalled) {
			answered++
		}
	}
	a.OutageMS = float64(longest) / float64(time.Millisecond)
	return a, nil
}

// questionLimit is when a question is given up and asked again: a connection that a manager had when it replaced itself may never be
// answered. It bounds the error of what is measured.
const questionLimit = 500 * time.Millisecond

// askManager is one small question over the private socket that systemd and sysMaster both serve.
func askManager(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, questionLimit)
	defer cancel()
	c := client.New(client.Config{Resume: -1})
	_, err := c.Read(ctx, cw.ManagerPath, cw.PropsIface, "Get", "ss", cw.ManagerIface, "Version")
	return errors.Join(err, c.Close())
}
