package unit

import "time"

// Stamp is one reading of the clocks, taken once per turn.
type Stamp struct {
	Real time.Duration // CLOCK_REALTIME since the epoch
	Mono time.Duration // CLOCK_MONOTONIC
	Boot time.Duration // CLOCK_BOOTTIME
}

// Infinity is a time span that never ends ("infinity" in unit files).
const Infinity = time.Duration(1<<63 - 1)

// Deadline is now+d on the monotonic clock, Infinity if d is Infinity or the sum overflows.
func (s Stamp) Deadline(d time.Duration) time.Duration {
	if d == Infinity || s.Mono > Infinity-d {
		return Infinity
	}
	return s.Mono + d
}
