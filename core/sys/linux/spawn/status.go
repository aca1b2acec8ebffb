package spawn

import (
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys/shim"
	"github.com/sysmaster-go/sysmaster/unit"
)

// ReadStatus looks, without waiting, how the set-up of a process ended: done is false while it
// goes on; then err is nil if the program was executed, else it says which step failed. The
// process then ends with err.Status by itself.
func ReadStatus(fd int) (done bool, err *unit.SpawnError) {
	p := []unix.PollFd{{Fd: int32(fd), Events: 0}}
	for {
		n, e := unix.Poll(p, 0)
		if e == unix.EINTR {
			continue
		}
		if e != nil || n == 0 || p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) == 0 {
			return false, nil
		}
		break
	}
	var buf [2 * shim.MaxReport]byte
	n := 0
	for n < len(buf) {
		got, e := unix.Read(fd, buf[n:])
		if e == unix.EINTR {
			continue
		}
		if e != nil || got <= 0 {
			break
		}
		n += got
	}
	r := shim.ParseReport(buf[:n])
	if r == nil {
		return true, nil
	}
	return true, &unit.SpawnError{Status: r.Status, Step: r.Step, Msg: r.Msg}
}
