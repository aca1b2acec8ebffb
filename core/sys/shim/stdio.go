package shim

import (
	"syscall"
	"unsafe"
)

// Requests of ioctl_tty(2) that package syscall lacks on some ports.
const (
	tiocnxcl      = 0x540d
	tcsets        = 0x5402
	tiocvhang     = 0x5437
	tcgets        = 0x5401
	tiocsctty     = 0x540e
	tiocswinsz    = 0x5414
	vtDisallocate = 0x5608
)

// openStdio opens the standard streams that the parent left to the shim, because opening
// them may wait, or needs the child's session.
func (r *runner) openStdio() {
	call(syscall.SYS_UMASK, uintptr(r.Umask))
	r.prepareTTY()
	for i := range r.Stdio {
		status, step := ExitStdin, "StandardInput"
		switch i {
		case 1:
			status, step = ExitStdout, "StandardOutput"
		case 2:
			status, step = ExitStderr, "StandardError"
		}
		r.must(r.openStream(i), status, step, r.streamName(i))
	}
}

func (r *runner) streamName(i int) string {
	if r.Stdio[i].Kind == StdioTTY {
		return r.TTY.Path
	}
	return r.Stdio[i].Path
}

func (r *runner) openStream(i int) syscall.Errno {
	s := &r.Stdio[i]
	flags := 0
	switch s.Kind {
	case StdioKeep:
		return 0
	case StdioDup0:
		return sameFD(0, i)
	case StdioDup1:
		return sameFD(1, i)
	case StdioRead:
		flags = syscall.O_RDONLY
	case StdioWrite:
		flags = syscall.O_WRONLY | syscall.O_CREAT
	case StdioAppend:
		flags = syscall.O_WRONLY | syscall.O_CREAT | syscall.O_APPEND
	case StdioTruncate:
		flags = syscall.O_WRONLY | syscall.O_CREAT | syscall.O_TRUNC
	case StdioBoth:
		flags = syscall.O_RDWR | syscall.O_CREAT
	case StdioTTY:
		return r.openTTY(i)
	}
	fd, e := open(atFDCWD, s.Path, flags|syscall.O_NOCTTY, 0o666)
	if e != 0 {
		return e
	}
	e = dup(fd, i)
	closeFD(fd)
	return e
}

func sameFD(from, to int) syscall.Errno {
	if from == to {
		return 0
	}
	return dup(from, to)
}

// prepareTTY hangs up and resets the terminal before it is used.
func (r *runner) prepareTTY() {
	if r.TTY.Path == "" || !(r.TTY.Hangup || r.TTY.Reset || r.TTY.Clear || r.TTY.Rows > 0 || r.TTY.Columns > 0) {
		return
	}
	fd, e := open(atFDCWD, r.TTY.Path, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if e != 0 {
		return // opening it as a stream says what is wrong
	}
	if r.TTY.Hangup {
		call(syscall.SYS_IOCTL, uintptr(fd), tiocvhang, 0)
		closeFD(fd)
		if fd, e = open(atFDCWD, r.TTY.Path, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0); e != 0 {
			return
		}
	}
	if r.TTY.Reset {
		resetTTY(fd)
	}
	if r.TTY.Clear {
		clearVT(fd, r.TTY.Path)
	}
	if r.TTY.Rows > 0 || r.TTY.Columns > 0 {
		size := [4]uint16{uint16(r.TTY.Rows), uint16(r.TTY.Columns)}
		syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(fd), tiocswinsz, uintptr(unsafe.Pointer(&size)))
	}
	closeFD(fd)
}

// resetTTY gives a terminal sane settings. What fails is left: it may be no terminal at all.
func resetTTY(fd int) {
	call(syscall.SYS_IOCTL, uintptr(fd), tiocnxcl, 0)
	var t syscall.Termios
	if _, _, e := syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(fd), tcgets, uintptr(unsafe.Pointer(&t))); e != 0 {
		return
	}
	t.Iflag &^= syscall.IGNBRK | syscall.BRKINT | syscall.ISTRIP | syscall.INLCR | syscall.IGNCR | syscall.IUCLC
	t.Iflag |= syscall.ICRNL | syscall.IMAXBEL | syscall.IUTF8
	t.Oflag |= syscall.ONLCR | syscall.OPOST
	t.Cflag |= syscall.CREAD
	t.Lflag = syscall.ISIG | syscall.ICANON | syscall.IEXTEN | syscall.ECHO | syscall.ECHOE | syscall.ECHOK | syscall.ECHOCTL | syscall.ECHOKE
	t.Cc[syscall.VINTR], t.Cc[syscall.VQUIT], t.Cc[syscall.VERASE] = 3, 28, 127
	t.Cc[syscall.VKILL], t.Cc[syscall.VEOF] = 21, 4
	t.Cc[syscall.VSTART], t.Cc[syscall.VSTOP], t.Cc[syscall.VSUSP] = 17, 19, 26
	t.Cc[syscall.VLNEXT], t.Cc[syscall.VWERASE], t.Cc[syscall.VREPRINT] = 22, 23, 18
	t.Cc[syscall.VEOL], t.Cc[syscall.VEOL2], t.Cc[syscall.VTIME], t.Cc[syscall.VMIN] = 0, 0, 0, 1
	syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(fd), tcsets, uintptr(unsafe.Pointer(&t)))
}

// clearVT removes what is left on a virtual terminal, scroll-back included, so that the next
// one to log in does not read it (TTYVTDisallocate=).
func clearVT(fd int, path string) {
	const prefix = "/dev/tty"
	n := 0
	for i := len(prefix); i < len(path) && path[i] >= '0' && path[i] <= '9' && n < 64; i++ {
		n = 10*n + int(path[i]-'0')
	}
	if n > 0 && path[:len(prefix)] == prefix {
		if any, e := open(atFDCWD, "/dev/tty0", syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0); e == 0 {
			_, e = call(syscall.SYS_IOCTL, uintptr(any), vtDisallocate, uintptr(n))
			closeFD(any)
			if e == 0 {
				return
			}
		}
	}
	// In use: home, clear with scroll-back. The descriptor does not wait, so this may be lost.
	write(fd, []byte("\033[r\033[H\033[3J"))
}

// openTTY opens the terminal as stream i, and takes it as the controlling one if asked.
func (r *runner) openTTY(i int) syscall.Errno {
	fd, e := open(atFDCWD, r.TTY.Path, syscall.O_RDWR|syscall.O_NOCTTY, 0)
	if e != 0 {
		return e
	}
	if i == 0 && r.TTY.Control {
		if e := r.acquire(fd); e != 0 {
			return e
		}
	}
	e = dup(fd, i)
	closeFD(fd)
	return e
}

// acquire makes the terminal the session's controlling one. Only this process waits for
// whoever has it.
func (r *runner) acquire(fd int) syscall.Errno {
	// Taking it from others sends SIGHUP to them, and to us if we had it; the runtime's
	// handler would end the process.
	ignored := [8]uintptr{1}
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGHUP), uintptr(unsafe.Pointer(&ignored)), 0, 8, 0, 0)
	force := uintptr(0)
	if r.TTY.Force {
		force = 1
	}
	for {
		e := errnoOf(call(syscall.SYS_IOCTL, uintptr(fd), tiocsctty, force))
		if e != syscall.EPERM || r.TTY.Fail || r.TTY.Force {
			return e
		}
		pause := syscall.Timespec{Nsec: 100e6}
		syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pause)), 0, 0)
	}
}
