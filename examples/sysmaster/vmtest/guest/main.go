package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// agentName is the agent's argv[0], by which the program knows its part.
const agentName = "vmtest-agent"

func main() {
	if os.Args[0] == agentName {
		fail("agent", agent())
	}
	fail("initramfs", boot())
}

// fail ends the program: for the initramfs part that is a kernel panic, which the harness sees on the console.
func fail(part string, err error) {
	kmsg(3, fmt.Sprintf("%s: %v", part, err))
	os.Exit(1)
}

// kmsg writes one line to the kernel log and so to the serial console. Before /dev is there the line is lost; there is no other place.
func kmsg(level int, line string) {
	fd, err := unix.Open("/dev/kmsg", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vmtest:", line)
		return
	}
	_, err = unix.Write(fd, fmt.Appendf(nil, "<%d>vmtest: %s\n", level, line))
	if err != nil {
		fmt.Fprintln(os.Stderr, "vmtest:", line)
	}
	unix.Close(fd)
}
