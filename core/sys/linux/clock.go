package linux

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Now reads the three clocks (clock_gettime(2)).
func (w *World) Now() unit.Stamp {
	return unit.Stamp{
		Real: clock(unix.CLOCK_REALTIME),
		Mono: clock(unix.CLOCK_MONOTONIC),
		Boot: clock(unix.CLOCK_BOOTTIME),
	}
}

func monotonic() time.Duration { return clock(unix.CLOCK_MONOTONIC) }

// tick is the unit of a process's start time in /proc/PID/stat: USER_HZ is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// ticksNow is not later than the start time of a process that is begun from now on (proc_pid_stat(5), field 22).
func ticksNow() uint64 { return uint64(clock(unix.CLOCK_BOOTTIME) / tick) }

func clock(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		// These clocks exist since Linux 2.6.39; the call cannot fail otherwise.
		panic("linux: clock_gettime: " + err.Error())
	}
	return time.Duration(ts.Nano())
}
