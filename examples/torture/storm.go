package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/client"
)

// storm has every steady service that can notify do so while the core is stopped, and kills
// the core: it has read none of it. The next one has to show all.
func (b *bench) storm() (time.Duration, error) {
	v, err := b.seize()
	if err != nil {
		return 0, err
	}
	defer v.release()
	if err := v.signal(unix.SIGSTOP); err != nil {
		return 0, err
	}
	b.noteNo++
	list := b.talkers()
	ctx, stop := context.WithTimeout(context.Background(), b.o.patience)
	defer stop()
	for _, m := range list {
		if err := command(ctx, b.o.dir, m.name, fmt.Sprintf("note %d 0", b.noteNo)); err != nil {
			b.ledger.add(finding{Loss: lostNotification, Unit: m.unit(), Text: "it does not listen: " + err.Error()})
		}
	}
	b.awaitNotes(list)
	t := time.Now()
	if err := v.signal(unix.SIGKILL); err != nil {
		return 0, err
	}
	if err := v.gone(b.o.patience); err != nil {
		return 0, err
	}
	if err := b.answers(); err != nil {
		return 0, err
	}
	took := time.Since(t)
	c := b.connect()
	defer c.Close()
	for _, m := range list {
		b.counts.notifications.Add(1)
		if got, ok := b.shown(ctx, c, m, b.noteNo); !ok {
			b.ledger.add(finding{Loss: lostNotification, Unit: m.unit(), Text: fmt.Sprintf("it sent %d, and the manager shows %q", b.noteNo, got)})
		}
	}
	return took, nil
}

// awaitNotes waits until all have sent, but not long: where the kernel keeps only a few
// notifications (net.unix.max_dgram_qlen) the others wait for the next core.
func (b *bench) awaitNotes(list []member) {
	end := time.Now().Add(time.Second)
	for _, m := range list {
		b.awaitNote(m, b.noteNo, end)
	}
}

// awaitNote waits until m has sent number no, and reports whether it has.
func (b *bench) awaitNote(m member, no int, end time.Time) bool {
	for {
		l, err := readLife(b.o.dir, m.name)
		if err != nil || l.note >= no || time.Now().After(end) {
			return err == nil && l.note >= no
		}
		pause(context.Background(), time.Millisecond)
	}
}

// shown waits until the manager shows notification no.
func (b *bench) shown(ctx context.Context, c *client.Client, m member, no int) (string, bool) {
	for {
		v, err := c.Property(ctx, m.unit(), "org.freedesktop.systemd1.Service", "StatusText")
		got := text(v)
		if err == nil && got == strconv.Itoa(no) {
			return got, true
		}
		if ctx.Err() != nil {
			return got, false
		}
		pause(ctx, 5*time.Millisecond)
	}
}
