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

	mu    sync.Mutex
	busy  bool
	last  fdstore.Upgrade
	about fdstore.About
}

// told takes what init says of upgrades.
func (u *upgrades) told(m fdstore.Message) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch m.Kind {
	case fdstore.KindOutcome:
		u.last, u.busy = m.Upgrade, false
	case fdstore.KindAbout:
		u.about = m.About
	}
}

// Last is what became of the last upgrade.
func (u *upgrades) Last() control.Upgrade {
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
func (u *upgrades) Begin(target, path string) (id uint64, finish func(), err error) {
	if u.world.Welcome().Version < 2 {
		return 0, nil, errors.New("this init is too old for it")
	}
	u.mu.Lock()
	taken := u.busy
	u.busy = true
	u.mu.Unlock()
	if taken {
		return 0, nil, errors.New("another upgrade is under way")
	}
	finish = func() {}
	if id, err = u.begin(target, path); err != nil {
		u.mu.Lock()
		u.busy = false
		u.mu.Unlock()
		return 0, nil, err
	}
	if target == "core" {
		finish = func() { _ = u.post(&core.Request{Op: core.OpReexec{}}) } // if that queue is full, init gives up for us
	}
	return id, finish, nil
}

func (u *upgrades) begin(target, path string) (uint64, error) {
	marker, t := coreMarker, fdstore.TargetCore
	switch target {
	case "core":
	case "init":
		marker, t = handover.Marker, fdstore.TargetInit
	default:
		return 0, fmt.Errorf("there is no program %q to upgrade, only core and init", target)
	}
	f, err := openProgram(path, marker)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	name := filepath.Base(path)
	if t == fdstore.TargetCore {
		if name, err = u.preflight(f); err != nil {
			return 0, err
		}
	}
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, err
	}
	id := binary.LittleEndian.Uint64(b[:]) | 1
	if err := u.init.Upgrade(id, t, name, int(f.Fd())); err != nil {
		return 0, err
	}
	for end := time.Now().Add(5 * time.Second); u.init.Pending() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return 0, errors.New("init does not take the request")
		}
	}
	return id, nil
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
