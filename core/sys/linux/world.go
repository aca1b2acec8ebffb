package linux

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/cgroup"
	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// World implements the interfaces of sys.World on the machine. All methods but Post belong
// to one goroutine.
type World struct {
	cfg    Config
	poll   *poller
	mail   *mailbox
	pool   pool
	alarms alarms
	inputs inputs

	lanes   map[unit.Name]*lane
	loads   []func()
	loading bool

	channel   channel
	pulse     pulse
	fds       map[string]*held
	inodes    map[inode][]string // keys of fds
	leftovers []string           // temporary keys of the core before
	outlived  map[string]bool    // keys of outlive
	notify    notifier
	farewells []farewell
	parting   uint64 // the alarm of the first of them
	paths     paths

	followed  map[int]*follower
	records   []record // exits of processes that nobody follows
	watcher   *cgroup.Watcher
	groups    map[string]*group
	unwatched []string // groups whose watch was put off
	tracks    map[unit.Name]*track

	launch    launcher
	spawning  int                    // Spawns whose result is not here yet
	bornBy    time.Duration          // until when probes wait; 0: none has yet
	leaders   map[string][]unit.Proc // by control group, before the first Spawn was probed
	marks     map[unit.Name]uint64   // see newestMarks
	stray     int
	strayNext time.Duration
}

// New opens the World. With init it takes over all that init keeps, and what the core
// before had not committed comes again. It blocks at most Config.InitTimeout.
func New(cfg Config) (*World, error) {
	cfg.setDefaults()
	w := &World{
		cfg: cfg, lanes: make(map[unit.Name]*lane),
		inputs: inputs{peeked: make(map[uint64]func())},
		fds:    make(map[string]*held), inodes: make(map[inode][]string), outlived: make(map[string]bool), followed: make(map[int]*follower),
		groups: make(map[string]*group), tracks: make(map[unit.Name]*track),
		channel: channel{waiting: make(map[uint32]func(error))},
		notify:  notifier{fd: -1}, paths: paths{fd: -1},
	}
	if err := w.start(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *World) start() (err error) {
	if w.poll, err = newPoller(); err != nil {
		return err
	}
	if w.mail, err = newMailbox(); err != nil {
		return err
	}
	w.poll.woken = w.woken
	w.pool.mail = w.mail
	w.pool.note = func(err error) { w.note("", "beside the loop", err) }
	if _, err = w.poll.add(w.mail.fd, unix.EPOLLIN, func(uint32) { w.takeMail() }); err != nil {
		return err
	}
	if w.cfg.CGroup != nil {
		if w.watcher, err = cgroup.NewWatcher(w.cfg.CGroup); err != nil {
			return err
		}
	}
	if err = w.startGroups(); err != nil {
		return err
	}
	if err = w.startPaths(); err != nil {
		return err
	}
	launcher := make(chan error, 1)
	go func() { launcher <- w.startLauncher() }() // while init is waited for
	if w.cfg.Init != nil {
		err = w.greet()
	}
	if err = errors.Join(err, <-launcher); err != nil {
		return err
	}
	return w.startNotify()
}

// Sys gives the World in the engine's terms.
func (w *World) Sys() sys.World {
	return sys.World{Clock: w, Source: w, Actor: w, Prober: w, Pulse: w}
}

// keepNow puts a descriptor into the store and waits for it; only for New.
func (w *World) keepNow(key string, fd int) error {
	answered, failure := false, error(nil)
	w.keepFD(key, fd, func(err error) { answered, failure = true, err })
	deadline := monotonic() + w.cfg.InitTimeout
	for !answered {
		if monotonic() >= deadline {
			return fmt.Errorf("cannot keep descriptor %q: %w", key, unix.ETIMEDOUT)
		}
		w.flushInit()
		if err := w.poll.poll(deadline); err != nil {
			return err
		}
	}
	return failure
}

// Close lets go of every descriptor. Processes, and what init keeps, live on: this is
// what the end of the core's process does as well. Init's Client stays the caller's.
func (w *World) Close() error {
	var errs []error
	for _, p := range w.followed {
		w.forget(p)
	}
	for key := range w.fds {
		w.closeKey(key)
	}
	for _, d := range w.notify.queue {
		closeAll(d.close)
	}
	w.notify.queue = nil
	errs = append(errs, w.closeLauncher())
	if w.watcher != nil {
		errs = append(errs, w.watcher.Close())
	}
	if w.paths.fd >= 0 {
		errs = append(errs, unix.Close(w.paths.fd))
	}
	if w.mail != nil {
		errs = append(errs, w.mail.close())
	}
	if w.poll != nil {
		errs = append(errs, unix.Close(w.poll.fd))
	}
	return errors.Join(errs...)
}

// Held reports whether a descriptor is held under key.
func (w *World) Held(key string) bool { return w.fds[key] != nil }

// Keys lists the keys of held descriptors that begin with prefix, sorted.
func (w *World) Keys(prefix string) []string {
	var keys []string
	for key := range w.fds {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// File duplicates a held descriptor, close-on-exec, for the assembly's own use (its
// control socket). It is the caller's.
func (w *World) File(key string) (*os.File, error) {
	h := w.fds[key]
	if h == nil {
		return nil, fmt.Errorf("cannot use descriptor %q: it is not held", key)
	}
	fd, err := unix.FcntlInt(uintptr(h.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot use descriptor %q: %w", key, err)
	}
	return os.NewFile(uintptr(fd), key), nil
}

// Keep puts a duplicate of a descriptor into the store under key and waits until init has
// it: for the assembly's own sockets, before the engine's first turn.
func (w *World) Keep(key string, fd int) error {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot keep descriptor %q: %w", key, err)
	}
	return w.keepNow(key, dup)
}

func (w *World) note(u unit.Name, what string, err error) {
	w.cfg.Observe(Note{Unit: u, What: what, Err: err})
}
