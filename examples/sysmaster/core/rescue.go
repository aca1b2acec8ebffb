package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/sysmaster-go/sysmaster/cgroup"
	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sys/linux"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/unit"
)

const (
	recorderKey = "recorder"
	// rescueMark says that the state is that of a rescue core: the next one goes on with it.
	rescueMark = runDir + "/rescue"
	// evidence is how many states that were set aside are kept.
	evidence = 2
)

// recorder maps the flight recorder, which init keeps. Without it nothing is quarantined, and init's
// retry budget is all there is.
func recorder(w *linux.World, con *console) core.Recorder {
	page, err := w.Page(recorderKey, core.RecorderSize)
	if err != nil {
		con.fail("flight recorder", err)
		return core.Recorder{}
	}
	before := w.Welcome()
	return core.Recorder{Page: page, Generation: before.Generation, Blame: before.Cause.SelfInflicted()}
}

// newEngine opens the state and recovers from it. It begins with an empty one, and keeps the old as evidence, if
// the state is of another boot, or if this is the core that is to save a machine whose cores die.
//
// As long as this core may have to make room for the one before (probation), it writes what that one can read.
func newEngine(con *console, ups *upgrades, files state.FS, cfg core.Config) (*core.Engine, error) {
	rescue := os.Getenv(fdstore.EnvRole) == fdstore.RoleRescue
	if rescue {
		con.say(unit.LevelErr, "The manager could not be kept alive. This is its rescue: what it knew is set aside, services run on.", true)
		cfg.Boot = core.Boot{Unit: "rescue.target", Fallbacks: []unit.Name{"emergency.target"}}
		cfg.Found, cfg.Follows = cfg.Search(), false
		cfg.Trouble = "this is the rescue of a manager that could not be kept alive: what it knew is set aside, services run on"
		if err := beginRescue(con, files); err != nil {
			return nil, err
		}
	} else {
		_ = os.Remove(rescueMark) // normally not there
	}
	for again := false; ; again = true {
		store, _, err := state.Open(state.Config{FS: files, Hold: true})
		if err != nil {
			return nil, err
		}
		cfg.Store, cfg.Hold = store, true
		engine, err := core.New(cfg)
		if err == nil {
			ups.whenSettled(func() { store.Release(); engine.Release() })
		}
		if !errors.Is(err, core.ErrOtherBoot) || again {
			return engine, err
		}
		con.say(unit.LevelWarning, "The state is of another boot: it is set aside.", true)
		if err := errors.Join(store.Close(), state.SetAside(files, evidence)); err != nil {
			return nil, err
		}
	}
}

// beginRescue sets the state aside, once: a rescue core that is killed has a state of its own.
func beginRescue(con *console, files state.FS) error {
	if _, err := os.Lstat(rescueMark); err == nil {
		return nil
	}
	if err := state.SetAside(files, evidence); err != nil {
		return err
	}
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		con.fail("rescue", err)
	}
	if err := os.WriteFile(rescueMark, nil, 0o600); err != nil {
		con.fail("rescue", err)
	}
	return nil
}

// found lists what runs of units: control groups with processes and, without control groups, units by the marks in
// their processes' environments.
func found(root *cgroup.Root, w *linux.World, con *console) (list []core.Found) {
	if root == nil {
		marked, err := w.Marked()
		if err != nil {
			con.fail("look for processes of units", err)
		}
		for _, m := range marked {
			list = append(list, core.Found{Unit: m.Unit, CGroup: "system.slice/" + string(m.Unit), Invocation: m.Invocation})
		}
		return list
	}
	seen := map[string]bool{ownGroup: true}
	err := root.Walk("", false, func(path string) error {
		name, group := unitOf(path)
		if name == "" || seen[group] {
			return nil
		}
		busy, err := root.Populated(group)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			con.fail("look into "+group, err)
		}
		if busy {
			seen[group] = true
			list = append(list, core.Found{Unit: name, CGroup: group})
		}
		return nil
	})
	if err != nil {
		con.fail("look for processes of units", err)
	}
	return list
}

// unitOf finds the unit whose group, or part of whose group, a path is: the first that is no slice.
func unitOf(path string) (n unit.Name, group string) {
	at := 0
	for part := range strings.SplitSeq(path, "/") {
		at += len(part)
		name, err := unit.ParseName(part)
		if err != nil {
			return "", ""
		}
		if name.Kind() != unit.KindSlice {
			return name, path[:at]
		}
		at++
	}
	return "", ""
}
