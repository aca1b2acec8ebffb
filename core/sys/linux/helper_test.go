package linux

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// helpers are the programs that this test binary turns into when LINUX_TEST_HELPER names one.
var helpers = map[string]func() int{
	"notify":  notifyHelper,
	"barrier": barrierHelper,
	"fdstore": fdstoreHelper,
	"last":    func() int { return report(send(os.Getenv("HELPER_ARG"), "READY=1\nSTATUS=bye")) },
}

// helper runs this binary as a helper with arguments in HELPER_ARG.
func helper(t testing.TB, name, arg string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "LINUX_TEST_HELPER="+name, "HELPER_ARG="+arg)
	cmd.Stderr = os.Stderr
	return cmd
}

func send(path, text string, fds ...int) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	return unix.Sendmsg(fd, []byte(text), rights, &unix.SockaddrUnix{Name: path}, 0)
}

func report(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// notifyHelper says READY=1 and waits until its input ends.
func notifyHelper() int {
	if err := send(os.Getenv("HELPER_ARG"), "READY=1\nSTATUS=here\n"); err != nil {
		return report(err)
	}
	var b [1]byte
	os.Stdin.Read(b[:])
	return 0
}

// barrierHelper does what sd_notify_barrier(3) does: it waits until the manager has closed
// the descriptor that it sent.
func barrierHelper() int {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return report(err)
	}
	if err := send(os.Getenv("HELPER_ARG"), "BARRIER=1", p[1]); err != nil {
		return report(err)
	}
	unix.Close(p[1])
	fds := []unix.PollFd{{Fd: int32(p[0])}}
	if _, err := unix.Poll(fds, 20000); err != nil {
		return report(err)
	}
	if fds[0].Revents&unix.POLLHUP == 0 {
		return report(fmt.Errorf("barrier: no hang-up"))
	}
	return 0
}

// fdstoreHelper stores a pipe's read end in which "kept" stands.
func fdstoreHelper() int {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return report(err)
	}
	if _, err := unix.Write(p[1], []byte("kept")); err != nil {
		return report(err)
	}
	return report(send(os.Getenv("HELPER_ARG"), "FDSTORE=1\nFDNAME=thing", p[0]))
}
