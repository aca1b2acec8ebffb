package shim

import (
	"syscall"
	"unsafe"
)

// Numbers that package syscall lacks; they are the same on all 64-bit ports.
const (
	sysCloseRange = 436

	atFDCWD       = ^uintptr(99) // -100
	prSetKeepCaps = 8
	prCapbsetRead = 23
	prCapbsetDrop = 24
	prSecureBits  = 28
	prTimerSlack  = 29
	prNoNewPrivs  = 38
	prCapAmbient  = 47
	ambientRaise  = 2
	capVersion3   = 0x20080522
	resetOnFork   = 0x40000000
	keyctlJoin    = 1
	keyctlLink    = 8
	keyUser       = ^uintptr(3) // KEY_SPEC_USER_KEYRING, -4
	keySession    = ^uintptr(2) // KEY_SPEC_SESSION_KEYRING, -3
	rlimNofile    = 7
	sigMax        = 64
	fDupfdCloexec = 1030
)

// call is one raw system call: it never gives the processor away, so the runtime starts no
// thread behind it.
func call(nr uintptr, args ...uintptr) (uintptr, syscall.Errno) {
	var a [6]uintptr
	copy(a[:], args)
	for {
		r, _, e := syscall.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
		if e != syscall.EINTR {
			return r, e
		}
	}
}

func errnoOf(_ uintptr, e syscall.Errno) syscall.Errno { return e }

// cstr is s with a NUL; the Plan's strings hold none.
func cstr(s string) *byte {
	b := make([]byte, len(s)+1)
	copy(b, s)
	return &b[0]
}

// callPath is a raw system call whose first argument is a path.
func callPath(nr uintptr, path string) syscall.Errno {
	p := cstr(path)
	for {
		if _, _, e := syscall.RawSyscall(nr, uintptr(unsafe.Pointer(p)), 0, 0); e != syscall.EINTR {
			return e
		}
	}
}

func open(dir uintptr, path string, flags int, mode uint32) (int, syscall.Errno) {
	p := cstr(path)
	for {
		r, _, e := syscall.RawSyscall6(syscall.SYS_OPENAT, dir, uintptr(unsafe.Pointer(p)),
			uintptr(flags|syscall.O_CLOEXEC), uintptr(mode), 0, 0)
		if e != syscall.EINTR {
			return int(r), e
		}
	}
}

func closeFD(fd int) { call(syscall.SYS_CLOSE, uintptr(fd)) }

func write(fd int, b []byte) syscall.Errno {
	if len(b) == 0 {
		return 0
	}
	for {
		_, _, e := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		if e != syscall.EINTR {
			return e
		}
	}
}

// writeFile writes text to an existing file of the kernel.
func writeFile(dir uintptr, path, text string) syscall.Errno {
	fd, e := open(dir, path, syscall.O_WRONLY, 0)
	if e != 0 {
		return e
	}
	e = write(fd, []byte(text))
	closeFD(fd)
	return e
}

func dup(from, to int) syscall.Errno {
	return errnoOf(call(syscall.SYS_DUP3, uintptr(from), uintptr(to), 0))
}

func decimal(n int64) string {
	if n < 0 {
		return "-" + decimal(-n)
	}
	if n < 10 {
		return string([]byte{'0' + byte(n)})
	}
	return decimal(n/10) + string([]byte{'0' + byte(n%10)})
}

func hexadecimal(n uint64) string {
	if n < 16 {
		return string([]byte{"0123456789abcdef"[n]})
	}
	return hexadecimal(n>>4) + hexadecimal(n&15)
}
