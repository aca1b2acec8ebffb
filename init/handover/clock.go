package handover

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock translates between time.Time, which is a process's own, and CLOCK_MONOTONIC, which programs share.
type Clock struct {
	Now  time.Time
	mono int64
}

// NewClock begins with a reading of time.Now.
func NewClock(now time.Time) Clock {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail
	return Clock{now, ts.Nano() - int64(time.Since(now))}
}

// Out gives what is handed over; 0 for the zero time.
func (c Clock) Out(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(c.mono+int64(t.Sub(c.Now)), 1)
}

// In is its reverse.
func (c Clock) In(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return c.Now.Add(time.Duration(at - c.mono))
}
