package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/control"
	"github.com/sysmaster-go/sysmaster/core/sys/linux"
	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

const (
	programMax    = 256 << 20        // bytes of a program
	preflightTime = 10 * time.Second // for the new core to look at a copy of the state
)

// upgrades exchanges programs, with init's help (control.Upgrades).
type upgrades struct {
	init  *fdstore.Client
	world *linux.World
	post  func(any) error

	once  sync.Once
	heard chan struct{} // closed when init has told of the last upgrade, if there was one

	release func() // nil: done, or there is no engine yet; the engine's goroutine calls it

	mu    sync.Mutex
	now   *attempt // under way
	last  fdstore.Upgrade
	about fdstore.About
}

// attempt is an upgrade that somebody asked for.
type attempt struct {
	id    uint64
	taken chan struct{} // closed when init has it, or err says why it has not
	err   error
}

// whenSettled has release called when init does not go back by itself any more: now, or when it says so. Of the
// engine's goroutine, as told is.
func (u *upgrades) whenSettled(release func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	select {
	case <-u.heard:
		if u.about.Probation == 0 {
			release()
			return
		}
	default:
		if u.world.Welcome().Version < 2 { // such an init never goes back
			release()
			return
		}
	}
	u.release = release
}

func newUpgrades(init *fdstore.Client) *upgrades {
	return &upgrades{init: init, heard: make(chan struct{})}
}

// hearTime is how long init may take to tell a new core of the last upgrade.
const hearTime = 5 * time.Second

// hear waits until it is known what became of the last upgrade. A core that has not heard of it could do
// one again that the core before it had begun.
func (u *upgrades) hear() bool {
	if u.world.Welcome().Version < 2 {
		return true // such an init knows of none
	}
	select {
	case <-u.heard:
		return true
	case <-time.After(hearTime):
		return false
	}
}

// told takes what init says of upgrades.
func (u *upgrades) told(m fdstore.Message) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch m.Kind {
	case fdstore.KindOutcome:
		u.last, u.now = m.Upgrade, nil
	case fdstore.KindAbout: // it comes after the outcome
		u.about = m.About
		if u.release != nil && m.About.Probation == 0 {
			u.release()
			u.release = nil
		}
		u.once.Do(func() { close(u.heard) })
	}
}

// Last is what became of the last upgrade.
func (u *upgrades) Last() control.Upgrade {
	u.hear()
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.last
	return control.Upgrade{ID: l.ID, Target: l.Target.String(), Result: l.Result.String(), From: l.From, To: l.To, Reason: l.Reason}
}

// Versions are those of the programs that run, and of the one to go back to.
func (u *upgrades) Versions() control.Versions {
	u.mu.Lock()
	defer u.mu.Unlock()
	return control.Versions{
		Core: version, Generation: u.world.Welcome().Generation, Init: u.about.Version, Sealed: u.about.Protected,
		Previous: u.about.Previous, Held: u.about.Held, Probation: u.about.Probation,
	}
}

// Begin looks at a program and has it take the place of core or init. The answer for the client
// comes before this core ends: then finish is called.
func (u *upgrades) Begin(x control.Exchange) (id uint64, finish func(), err error) {
	if u.world.Welcome().Version < 2 {
		return 0, nil, errors.New("this init is too old for it")
	}
	if !u.hear() {
		return 0, nil, errors.New("init does not say what became of the last upgrade")
	}
	a, known, err := u.admit(x)
	if err != nil {
		return 0, nil, err
	}
	finish = func() {}
	if known {
		<-a.taken
		return a.id, finish, a.err
	}
	a.err = u.begin(a.id, x.Target, x.Path)
	close(a.taken)
	if a.err != nil {
		u.mu.Lock()
		u.now = nil
		u.mu.Unlock()
		return 0, nil, a.err
	}
	if x.Target == "core" {
		finish = func() { _ = u.post(&core.Request{Op: core.OpReexec{}}) } // if that queue is full, init gives up for us
	}
	return a.id, finish, nil
}

// admit decides whether x is to be done, or was before: known.
func (u *upgrades) admit(x control.Exchange) (a *attempt, known bool, err error) {
	if x.ID == 0 {
		var b [8]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, false, err
		}
		x.ID = binary.LittleEndian.Uint64(b[:]) | 1
		u.mu.Lock()
		x.Before = u.last.ID
		u.mu.Unlock()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.last.ID == x.ID:
		a = &attempt{id: x.ID, taken: make(chan struct{})}
		close(a.taken)
		return a, true, nil
	case u.now != nil && u.now.id == x.ID:
		return u.now, true, nil
	case u.now != nil:
		return nil, false, errors.New("another upgrade is under way")
	case u.last.ID != x.Before:
		return nil, false, errors.New("another upgrade came in between; if this one was taken before it, that is not known any more")
	}
	u.now = &attempt{id: x.ID, taken: make(chan struct{})}
	return u.now, false, nil
}

func (u *upgrades) begin(id uint64, target, path string) error {
	marker, t := coreMarker, fdstore.TargetCore
	switch target {
	case "core":
	case "init":
		marker, t = handover.Marker, fdstore.TargetInit
	default:
		return fmt.Errorf("there is no program %q to upgrade, only core and init", target)
	}
	f, err := openProgram(path, marker)
	if err != nil {
		return err
	}
	defer f.Close()
	name := filepath.Base(path)
	if t == fdstore.TargetCore {
		if name, err = u.preflight(f); err != nil {
			return err
		}
	}
	if err := u.init.Upgrade(id, t, name, int(f.Fd())); err != nil {
		return err
	}
	for end := time.Now().Add(5 * time.Second); u.init.Pending() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("init does not take the request")
		}
	}
	return nil
}

// openProgram opens a file once and for all, and looks whether it can be what it should be.
func openProgram(path, marker string) (*os.File, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("the path %q is not absolute", path)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	if err := checkProgram(f, marker); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot use %s: %w", path, err), f.Close())
	}
	return f, nil
}

// remote are file systems whose server may be away when init needs the program (statfs(2)).
func remote(magic int64) bool {
	return slices.Contains([]int64{0x6969, 0x65735546, 0xff534d42, 0xfe534d42, 0x517b, 0x01021997, 0x00c36400, 0x5346414f}, magic)
}

func checkProgram(f *os.File, marker string) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return err
	}
	switch {
	case !st.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case st.Mode().Perm()&0o111 == 0:
		return errors.New("it is not executable")
	case st.Size() > programMax:
		return fmt.Errorf("it is bigger than %d bytes", programMax)
	case remote(int64(uint32(fs.Type))):
		return errors.New("it is not on a local file system")
	}
	b := make([]byte, st.Size())
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, st.Size()), b); err != nil {
		return err
	}
	own := make([]byte, 20)
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	if _, err := io.ReadFull(self, own); err != nil {
		return err
	}
	switch { // elf(5): magic and class, then e_machine
	case len(b) < len(own) || !bytes.Equal(b[:4], own[:4]):
		return errors.New("it is not a program in ELF")
	case !bytes.Equal(b[4:6], own[4:6]) || !bytes.Equal(b[18:20], own[18:20]):
		return errors.New("it is for another architecture than " + runtime.GOARCH)
	case !bytes.Contains(b, []byte(marker)):
		return errors.New("it is not a program that can take over")
	}
	return nil
}

// preflight has a child of the new program recover from a copy of the state.
func (u *upgrades) preflight(f *os.File) (version string, err error) {
	files, err := trialState(u.world)
	if err != nil {
		return "", err
	}
	dir, drop, err := copyState(files)
	if err != nil {
		return "", err
	}
	defer drop()
	ctx, stop := context.WithTimeout(context.Background(), preflightTime)
	defer stop()
	cmd := exec.CommandContext(ctx, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()))
	cmd.Args = slices.Concat([]string{"sysmaster-core"}, os.Args[1:])
	cmd.Env = append(os.Environ(), fdstore.EnvRole+"="+handover.RolePreflight)
	cmd.ExtraFiles = []*os.File{dir}
	var out bounded
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	text := fdstore.Shorten(strings.TrimSpace(out.String()), fdstore.MaxReason)
	if ctx.Err() != nil {
		return "", fmt.Errorf("its preflight did not end within %v", preflightTime)
	}
	if err != nil {
		return "", fmt.Errorf("its preflight failed: %w: %s", err, text)
	}
	_, version, ok := strings.Cut(text, coreMarker)
	if !ok {
		return "", fmt.Errorf("its preflight reported nothing: %s", text)
	}
	return version, nil
}

// bounded keeps the first bytes of an output.
type bounded struct{ bytes.Buffer }

// Write drops what is too much.
func (b *bounded) Write(p []byte) (int, error) {
	if room := 4096 - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
