package spawn

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// thread is one of our threads that is like a service, not like us: a directly spawned child
// inherits from the thread that clones it. It has umask 022 and blocks no signal, whatever
// the rest of the process has, and with private its session keyring is renewed before each
// spawn, so that the child has one that nobody else has (KeyringMode=private).
type thread struct {
	private bool
	jobs    chan func()
}

func newThread(private bool) (*thread, error) {
	t := &thread{private: private, jobs: make(chan func())}
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and what it changed with it.
		runtime.LockOSThread()
		err := settleThread()
		ready <- err
		if err != nil {
			return
		}
		for f := range t.jobs {
			f()
		}
	}()
	return t, <-ready
}

func settleThread() error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // the umask is else the whole process's
		return err
	}
	unix.Umask(0o022)
	return unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil)
}

func (t *thread) close() { close(t.jobs) }

// run calls spawn on the thread.
func (t *thread) run(id *identity, spawn func() (int, error)) (pid int, err error) {
	done := make(chan struct{})
	t.jobs <- func() {
		defer func() { // nobody else could: it is another goroutine
			if r := recover(); r != nil {
				err = fmt.Errorf("internal error: %v\n%s", r, debug.Stack())
			}
			close(done)
		}()
		if t.private {
			err = renewKeyring(id)
		}
		if err == nil {
			pid, err = spawn()
		}
	}
	<-done
	return pid, err
}

// renewKeyring joins an anonymous keyring. A kernel or container without keyrings is no
// error, nor is a full quota, as in systemd.
func renewKeyring(id *identity) error {
	_, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)
	if err == nil && id.set && id.setUser {
		_, err = unix.KeyctlInt(unix.KEYCTL_CHOWN, unix.KEY_SPEC_SESSION_KEYRING, int(id.uid), int(id.gid), 0)
	}
	switch err {
	case unix.ENOSYS, unix.EPERM, unix.EACCES, unix.EDQUOT:
		return nil
	}
	return err
}
