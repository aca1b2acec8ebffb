package fdstore

import (
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// CrashOutput sends this process's last words - what the runtime writes when it panics or is
// aborted - to the descriptor of which text is the number (EnvCrashFD), with all
// goroutines, and gives what standard error was, for messages: a dump of thousands of
// goroutines would hold up a serial console for minutes. The runtime always writes to
// descriptor 2 and ignores whether that works, so this becomes 2, from the first instruction on;
// debug.SetCrashOutput would only add a second place. Children must be given a descriptor 2 of
// their own. An empty text changes nothing. After an error messages go to the old place.
func CrashOutput(text string) (*os.File, error) {
	if text == "" {
		return os.Stderr, nil
	}
	fd, err := strconv.Atoi(text)
	if err == nil && fd <= 2 {
		err = unix.EBADF
	}
	console := -1
	if err == nil {
		console, err = unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	}
	if err == nil {
		err = unix.Dup3(fd, 2, unix.O_CLOEXEC)
	}
	if err != nil {
		return os.Stderr, &os.PathError{Op: "keep last words in descriptor", Path: strconv.QuoteToASCII(text[:min(len(text), 32)]), Err: err}
	}
	_ = unix.Close(fd) // 2 is it now
	debug.SetTraceback("all")
	return os.NewFile(uintptr(console), "console"), nil
}
