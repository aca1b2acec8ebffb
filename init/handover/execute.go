package handover

import (
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// FDPath is the path by which a descriptor of ours is executed.
func FDPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// Number is the descriptor that a variable of the environment names; -1: none.
func Number(name string) int {
	fd, err := strconv.Atoi(os.Getenv(name))
	if err != nil || fd <= 2 {
		return -1
	}
	return fd
}

// Inherited reads what the program before handed over.
func Inherited() (*State, error) { return Read(Number(EnvState)) }

// Execute executes a program with a state; s, which may be nil, says which descriptors it
// gets, and own is the program to come back to. It returns only if that failed.
func Execute(s *State, memory, program, own int, back string) error {
	env := slices.DeleteFunc(syscall.Environ(), Name)
	env = append(env, EnvState+"="+strconv.Itoa(memory), EnvOwn+"="+strconv.Itoa(own))
	if back != "" {
		env = append(env, EnvBack+"="+back)
	}
	s.Inherit(memory, true)
	err := syscall.Exec(FDPath(program), os.Args, env)
	s.Inherit(memory, false)
	return err
}

// Inherit says whether the next program gets the descriptors. s may be nil.
func (s *State) Inherit(memory int, yes bool) {
	flags := unix.FD_CLOEXEC
	if yes {
		flags = 0
	}
	set := func(fd int) { _, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags) } // F_SETFD fails for bad numbers only
	if s != nil {
		s.Descriptors(func(f *FD) { set(f.FD) })
	}
	set(memory)
}
