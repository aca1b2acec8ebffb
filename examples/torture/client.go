package main

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core/client"
)

// connect makes a client that resumes for as long as the patience lasts.
func (b *bench) connect() *client.Client {
	return client.New(client.Config{Resume: b.o.patience, Greeting: b.o.patience})
}

// ask reads what the manager says of a service.
func ask(ctx context.Context, c *client.Client, unit string) (said, error) {
	p, err := c.Unit(ctx, unit)
	if err != nil {
		return said{}, err
	}
	job, _ := p["Job"].Value().([]any)
	s := said{
		active: text(p["ActiveState"]), load: text(p["LoadState"]), text: text(p["StatusText"]),
		main: number(p["MainPID"]), lastMain: number(p["ExecMainPID"]),
		code: number(p["ExecMainCode"]), status: number(p["ExecMainStatus"]),
	}
	if len(job) > 0 {
		id, _ := job[0].(uint32)
		s.job = id != 0
	}
	s.poisoned = text(p["SubState"]) == "quarantined"
	return s, nil
}

func text(v dbus.Variant) string {
	s, _ := v.Value().(string)
	return s
}

func number(v dbus.Variant) int {
	switch n := v.Value().(type) {
	case uint32:
		return int(n)
	case int32:
		return int(n)
	}
	return 0
}

// pause waits, unless everything ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
