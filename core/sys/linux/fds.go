package linux

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/unit"
)

const (
	notifyKey  = fdstore.DoorPrefix + "notify"
	tempPrefix = "tmp/" // descriptors of notifications, until StoreFD or DropFD

	watchPrefix    = "watch/" // inotify descriptors, for their end only: outlive
	watchGroupsKey = watchPrefix + "groups"
	watchPathsKey  = watchPrefix + "paths"
)

// held is the core's duplicate of a descriptor that init keeps.
type held struct {
	fd    int
	token uint64 // of the watch; 0: not watched
	inode inode
}

// restoreFD takes over a descriptor that init returned.
func (w *World) restoreFD(key string, fd int) {
	if fd < 0 {
		w.note("", "restore", fmt.Errorf("cannot take back descriptor %q: %w", key, unix.EMFILE))
		return
	}
	if strings.HasPrefix(key, watchPrefix) {
		closeFD(fd) // or this core would be held up as the one before was not
		w.leftovers = append(w.leftovers, key)
		return
	}
	w.replaceFD(key, fd)
	if strings.HasPrefix(key, tempPrefix) {
		w.leftovers = append(w.leftovers, key)
	}
}

func (w *World) replaceFD(key string, fd int) {
	w.closeKey(key)
	h := &held{fd: fd}
	w.fds[key] = h
	w.index(key, h)
}

func (w *World) closeKey(key string) {
	if h := w.fds[key]; h != nil {
		w.unwatch(h)
		closeFD(h.fd)
		delete(w.fds, key)
		w.unindex(key, h)
	}
}

// keepFD puts a descriptor into the store and takes it over. done runs when init has it.
func (w *World) keepFD(key string, fd int, done func(error)) {
	if w.cfg.Init == nil {
		w.replaceFD(key, fd)
		done(nil)
		return
	}
	seq, err := w.cfg.Init.Put(key, fd)
	if err != nil {
		closeFD(fd)
		done(fmt.Errorf("cannot keep descriptor %q: %w", key, err))
		return
	}
	w.channel.waiting[seq] = func(err error) {
		if err != nil {
			closeFD(fd)
			done(fmt.Errorf("cannot keep descriptor %q: %w", key, err))
			return
		}
		w.replaceFD(key, fd)
		done(nil)
	}
	w.failIfGone(seq)
}

// outlive has init hold an inotify descriptor that has its first watch. The kernel ends one that has any only after all
// readers of such lists have let go of them (5 to 20 ms, measured), and a process is not dead before its descriptors
// are: nobody could be told that the core is, and start the next. Init closes the one of the core before beside its loop.
func (w *World) outlive(key string, fd int) {
	if w.outlived[key] || w.cfg.Init == nil {
		return
	}
	w.outlived[key] = true
	seq, err := w.cfg.Init.Put(key, fd)
	if err != nil {
		w.note("", "keep watches", err)
		return
	}
	w.channel.waiting[seq] = func(err error) {
		if err != nil && err != ErrInitGone {
			w.note("", "keep watches", err)
		}
	}
	w.failIfGone(seq)
}

// dropFD closes a descriptor here and at init. One that is not there is no error.
func (w *World) dropFD(key string, done func(error)) {
	w.closeKey(key)
	if w.cfg.Init == nil {
		done(nil)
		return
	}
	seq, err := w.cfg.Init.Drop(key)
	if err != nil {
		done(fmt.Errorf("cannot drop descriptor %q: %w", key, err))
		return
	}
	w.channel.waiting[seq] = func(err error) {
		if err != nil && !errors.Is(err, unix.ENOENT) {
			done(fmt.Errorf("cannot drop descriptor %q: %w", key, err))
			return
		}
		done(nil)
	}
	w.failIfGone(seq)
}

// failIfGone answers at once what init will never answer.
func (w *World) failIfGone(seq uint32) {
	if f := w.channel.waiting[seq]; w.channel.gone && f != nil {
		delete(w.channel.waiting, seq)
		f(ErrInitGone)
	}
}

// storeFD moves a descriptor from one key to another. Done again after a crash it finds
// the work half or wholly done.
func (w *World) storeFD(from, to string, done func(error)) {
	h := w.fds[from]
	if h == nil {
		if w.fds[to] != nil {
			done(nil)
		} else {
			done(fmt.Errorf("cannot store descriptor %q: it is not held", from))
		}
		return
	}
	fd, err := unix.FcntlInt(uintptr(h.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		done(fmt.Errorf("cannot store descriptor %q: %w", from, err))
		return
	}
	w.keepFD(to, fd, func(err error) {
		if err != nil {
			done(err)
			return
		}
		w.dropFD(from, done)
	})
}

// dropFDs drops several; done gets the first error.
func (w *World) dropFDs(keys []string, done func(error)) {
	left := len(keys)
	if left == 0 {
		done(nil)
		return
	}
	var first error
	for _, k := range keys {
		w.dropFD(k, func(err error) {
			if first == nil {
				first = err
			}
			if left--; left == 0 {
				done(first)
			}
		})
	}
}

// dropLeftovers drops the watches of the core before and those of its temporary descriptors that recovery did not
// ask for: called when the engine has nothing more to do for now.
func (w *World) dropLeftovers() {
	if len(w.leftovers) == 0 || len(w.lanes) > 0 {
		return
	}
	keys := slices.DeleteFunc(w.leftovers, func(key string) bool { return w.outlived[key] }) // replaced already
	w.leftovers = nil
	w.dropFDs(keys, func(err error) {
		if err != nil {
			w.note("", "drop leftovers", err)
		}
	})
}

// watchFDs arms one-shot watches; the keys that cannot be watched are named.
func (w *World) watchFDs(u unit.Name, keys []string) error {
	var bad error
	for _, key := range keys {
		h := w.fds[key]
		if h == nil {
			bad = fmt.Errorf("cannot watch descriptor %q: it is not held", key)
			continue
		}
		w.unwatch(h)
		token, err := w.poll.add(h.fd, unix.EPOLLIN|unix.EPOLLONESHOT, func(uint32) {
			w.unwatch(h)
			w.inputs.push(sys.Input{Unit: u, Body: unit.FDReady{Key: key}}, nil)
		})
		if err != nil {
			bad = err
			continue
		}
		h.token = token
	}
	return bad
}

func (w *World) unwatchFDs(keys []string) {
	for _, key := range keys {
		if h := w.fds[key]; h != nil {
			w.unwatch(h)
		}
	}
}

func (w *World) unwatch(h *held) {
	if h.token != 0 {
		w.poll.remove(h.token, h.fd)
		h.token = 0
	}
}
