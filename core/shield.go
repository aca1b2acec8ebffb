package core

import (
	"fmt"

	"github.com/sysmaster-go/sysmaster/unit"
)

// The code of a unit type may be anybody's. What it does when it is called outside of Handle is
// caught here: a panic becomes an error, and costs the unit.

func shielded(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			passOn(p)
			err = fmt.Errorf("unit type failed in %s: %s", what, panicText(p))
		}
	}()
	return f()
}

// Fatal is a panic that the engine lets pass, as it cannot catch a fatal error of Go's runtime: with it a
// unit type in a test kills the core.
type Fatal struct{ What string }

func passOn(p any) {
	if f, fatal := p.(Fatal); fatal {
		panic(f)
	}
}

func newUnit(t *unit.Type, spec *unit.Spec) (u unit.Unit, err error) {
	err = shielded("New", func() (err error) {
		if u, err = t.New(spec); err == nil {
			u.State()
		}
		return err
	})
	return unitOrNil(u, err)
}

func restoreUnit(t *unit.Type, spec *unit.Spec, version uint32, snapshot []byte, rec *recorder) (u unit.Unit, err error) {
	outer := rec.begin(note{stage: stageRestore, name: string(spec.Name)})
	err = shielded("Restore", func() (err error) {
		if u, err = t.Restore(spec, version, snapshot); err == nil {
			u.State()
		}
		return err
	})
	rec.end(outer)
	return unitOrNil(u, err)
}

func unitOrNil(u unit.Unit, err error) (unit.Unit, error) {
	if err != nil {
		return nil, err
	}
	return u, nil
}

// implied lists the dependencies of x's kind.
func (e *Engine) implied(x *entry) (deps []unit.Dep) {
	if x.quar != nil && x.quar.stage == stageSettings {
		return nil
	}
	outer := e.doing(stageSettings, x.name)
	err := shielded("Implied", func() error {
		if u, ok := x.u.(unit.Decoded); ok {
			deps = u.Implied()
		} else {
			deps = x.typ.Implied(x.spec)
		}
		return nil
	})
	e.rec.end(outer)
	if err != nil {
		e.say(unit.LevelErr, x.name, err.Error())
		return nil
	}
	return deps
}

// shareCommon takes the settings of [Unit] from x's machine, if that has decoded them.
func (e *Engine) shareCommon(x *entry) bool {
	u, ok := x.u.(unit.Decoded)
	if !ok {
		return false
	}
	outer := e.doing(stageSettings, x.name)
	var c *unit.Common
	err := shielded("Common", func() error { c = u.Common(); return nil })
	e.rec.end(outer)
	if err != nil || c == nil {
		return false
	}
	x.common = c
	return true
}

// takeSnapshot leaves x's snapshot in e.snapshot. A unit that cannot even do that is orphaned.
func (e *Engine) takeSnapshot(x *entry) {
	if x.u == nil {
		return
	}
	outer := e.doing(stageSnapshot, x.name)
	err := shielded("Snapshot", func() error { e.snapshot = x.u.Snapshot(e.snapshot[:0]); return nil })
	e.rec.end(outer)
	if err == nil && len(e.snapshot) > maxSnapshot {
		err = fmt.Errorf("unit type failed in Snapshot: %d bytes, at most %d", len(e.snapshot), maxSnapshot)
	}
	if err != nil {
		e.panicked(x, err.Error())
	}
}

// maxSnapshot and maxSpec keep a record of one unit below what the store takes, so that one unit
// never makes a commit fail that is everybody's. Beside its snapshot a record has the unanswered effects, which
// repeat what is in the specification: the store's bound is many times these.
const (
	maxSnapshot = 512 << 10
	maxSpec     = 960 << 10
)
