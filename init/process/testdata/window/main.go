// Command window executes itself as often as its argument says, as init does, and then tells which
// of SIGTERM's it has seen in all.
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/process"
)

func main() {
	signals := process.AcceptSignals()
	process.Settle(signals)
	left, err := strconv.Atoi(os.Args[1])
	if err != nil {
		os.Exit(3)
	}
	if left > 0 {
		signals.Hold()
		if signals.Take()&(1<<(unix.SIGTERM-1)) != 0 {
			os.Setenv("SEEN", "1")
		}
		_ = syscall.Exec("/proc/self/exe", []string{os.Args[0], strconv.Itoa(left - 1)}, os.Environ())
		os.Exit(4)
	}
	seen := os.Getenv("SEEN") != ""
	for end := time.Now().Add(2 * time.Second); !seen && time.Now().Before(end); {
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(signals.WakeFD()), Events: unix.POLLIN}}, 100)
		seen = signals.Take()&(1<<(unix.SIGTERM-1)) != 0
	}
	child, err := os.StartProcess("/bin/grep", []string{"grep", "SigBlk", "/proc/self/status"}, &os.ProcAttr{Files: []*os.File{nil, os.Stdout, os.Stderr}})
	if err == nil {
		_, err = child.Wait()
	}
	fmt.Println("sealed", signals.Sealed(), "seen", seen, err)
}
