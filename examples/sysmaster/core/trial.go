package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/core/sys/linux"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/unit"
)

// A new core is looked at twice before it may write or act: as a child of the old one
// (preflight), and in its place (trial). Both recover from a copy of the state, in a
// world in which nothing can be done.
//
// That the old core can read the log again afterwards rests on the log's rules: unknown fields are kept, and
// while init's About says that the probation lasts, formats are written as they were found (state.Config.Hold,
// core.Config.Hold). A program that cannot do that fails here.

// coreMarker begins a preflight's report; no other program has it, so that none is run as one.
const coreMarker = "sysmaster-core takes over, format 1: "

// runPreflight is the whole life of a preflight: descriptor 3 is the directory of the copy.
func runPreflight() int {
	if err := examine(state.NewDirFDFS(os.NewFile(3, "state")), readOptions()); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(coreMarker + version)
	return 0
}

// examine recovers from a copy of the state, and says what cannot be read.
func examine(copied state.FS, opt options) error {
	store, report, err := state.Open(state.Config{FS: copied, Hold: true})
	if err != nil {
		return err
	}
	defer store.Close()
	for _, p := range report.Problems {
		if p.Damage == state.BadHeader {
			return fmt.Errorf("cannot read the state: %s", p.String())
		}
	}
	var unread []string
	idle := idleWorld{}
	engine, err := core.New(core.Config{
		World: sys.World{Clock: idle, Source: idle, Actor: idle, Prober: idle, Pulse: idle}, Store: store, Hold: true,
		Types: unitTypes(opt.allowDegraded),
		Observe: func(ev core.Event) {
			if m, ok := ev.(core.Message); ok && strings.Contains(m.Text, "cannot read") && !strings.HasPrefix(m.Text, "state store:") {
				unread = append(unread, string(m.Unit)+": "+m.Text)
			}
		},
	})
	if err != nil {
		return err
	}
	if _, err := engine.Step(); err != nil {
		return err
	}
	if len(unread) > 0 {
		return fmt.Errorf("cannot read the state of %d units: %s", len(unread), unread[0])
	}
	return nil
}

// trialState is the state's directory as it is, without any preparation.
func trialState(w *linux.World) (state.FS, error) {
	if !w.Held(stateKey) {
		return state.NewDirFS(stateDir), nil
	}
	dir, err := w.File(stateKey)
	if err != nil {
		return nil, err
	}
	return state.NewDirFDFS(dir), nil
}

// copyState copies the state while its owner may write: a file that a compaction takes away
// meanwhile begins it anew, a frame that is only half there is one that was not committed yet.
func copyState(from state.FS) (dir *os.File, drop func(), err error) {
	for range 5 {
		if dir, drop, err = scratch(); err != nil {
			return nil, nil, err
		}
		if err = state.Copy(state.NewDirFDFS(dir), from); err == nil {
			return dir, drop, nil
		}
		drop()
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return nil, nil, err
}

// scratch makes a directory that is gone with its descriptor or, where that is not possible, by drop.
func scratch() (*os.File, func(), error) {
	if dir, err := state.NewPrivateDir("20%"); err == nil {
		return dir, func() { _ = dir.Close() }, nil
	}
	path, err := os.MkdirTemp("/run", "sysmaster-copy-")
	if err != nil {
		return nil, nil, err
	}
	drop := func() { _ = os.RemoveAll(path) } // what stays is a copy in /run
	dir, err := os.Open(path)
	if err != nil {
		drop()
		return nil, nil, err
	}
	return dir, func() { _ = dir.Close(); drop() }, nil
}

// stand is the trial: it returns when this core may write and act.
func stand(w *linux.World, client *fdstore.Client, opt options) error {
	files, err := trialState(w)
	if err != nil {
		return err
	}
	dir, drop, err := copyState(files)
	if err != nil {
		return err
	}
	defer drop()
	if err := examine(state.NewDirFDFS(dir), opt); err != nil {
		return err
	}
	if err := client.Healthy(version); err != nil {
		return err
	}
	return w.AwaitAdoption(time.Minute) // init's patience is less
}

// idleWorld is a world in which nothing happens and nothing can be done.
type idleWorld struct{}

// Now reads the clocks.
func (idleWorld) Now() unit.Stamp {
	read := func(id int32) time.Duration {
		var ts unix.Timespec
		_ = unix.ClockGettime(id, &ts) // cannot fail
		return time.Duration(ts.Nano())
	}
	var s unit.Stamp
	s.Real, s.Mono, s.Boot = read(unix.CLOCK_REALTIME), read(unix.CLOCK_MONOTONIC), read(unix.CLOCK_BOOTTIME)
	return s
}

// Peek gives nothing.
func (idleWorld) Peek(buf []sys.Input, _ int) []sys.Input { return buf }

// Ack does nothing.
func (idleWorld) Ack([]uint64) {}

// Wait does nothing.
func (idleWorld) Wait(time.Duration) {}

// Act does nothing.
func (idleWorld) Act(sys.Intent) {}

// Probe says that all was done.
func (idleWorld) Probe(sys.Intent) sys.Outcome { return sys.Outcome{State: sys.Done} }

// Remains finds nothing: there is nothing to start here.
func (idleWorld) Remains(sys.Intent) sys.Remains { return sys.Remains{} }

// Turned does nothing.
func (idleWorld) Turned(uint64, bool) {}

// Further does nothing.
func (idleWorld) Further() {}
