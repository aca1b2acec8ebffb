package core

import (
	"errors"

	"github.com/sysmaster-go/sysmaster/unit"
)

// restore gives x its stored specification and state; d is what was decoded of them already. What cannot be read costs that unit
// only: it is orphaned, and its processes are found by its control group.
func (e *Engine) restore(x *entry, spec *unit.Spec, data []byte, d *decodedUnit, whole bool) {
	if !d.over {
		e.setSpecOnly(x, spec)
	}
	if e.confine(x) {
		e.decodeShare(x)
		e.restoreConfined(x, data)
		return
	}
	if data == nil && whole {
		e.fresh(x)
		return
	}
	if !d.over {
		d.load, d.reason = x.load, x.reason
		outer := e.doing(stageDecode, x.name)
		d.saved, d.err = decodeUnit(data, x, e.shared)
		e.rec.end(outer)
	}
	s, err := d.saved, d.err
	known := x.state
	x.state = deadState
	e.setState(x, known)
	if err == nil && data == nil {
		err = errLost
	}
	if err == nil && x.clearing() {
		x.saved = s
		e.decodeShare(x)
		return
	}
	if err == nil && x.keptAsStored(d.load, s) {
		x.load, x.reason, x.saved = d.load, d.reason, s
		e.decodeShare(x)
		if s.hasUnit {
			e.orphan(x)
		}
		return
	}
	if err == nil && s.hasUnit && d.u == nil && d.unitErr == nil {
		d.u, d.unitErr = restoreUnit(x.typ, x.spec, s.version, s.snapshot, e.rec)
	}
	if err == nil {
		err = d.unitErr
	}
	e.remade(x, d.u, s, err)
}

// remake makes x's machine of its snapshot.
func (e *Engine) remake(x *entry, s stored) {
	var u unit.Unit
	var err error
	if s.hasUnit && x.typ != nil {
		u, err = restoreUnit(x.typ, x.spec, s.version, s.snapshot, e.rec)
	}
	e.remade(x, u, s, err)
}

// remade takes x's machine, made of s; err is why there is none.
func (e *Engine) remade(x *entry, u unit.Unit, s stored, err error) {
	if err == nil && u != nil {
		x.u = u
		e.setState(x, u.State())
		x.saved = s // for the first view
	}
	if !e.shareCommon(x) {
		_ = e.decodeCommon(x) // its load state is stored, and says so
	}
	if err != nil {
		x.load, x.reason, x.saved = unit.LoadError, "cannot read its stored state: "+err.Error(), s
		e.say(unit.LevelErr, x.name, x.reason+"; stop or reset-failed kill what is left of it and begin anew")
		e.orphan(x)
	}
}

var errLost = errors.New("it is lost")

// orphan marks a unit whose machine is lost. Numbers of effects go on far from those that
// may have been used.
func (e *Engine) orphan(x *entry) {
	x.u, x.pending, x.timers, x.job = nil, nil, nil, nil
	x.seq += farAhead
	e.setState(x, orphanState)
	e.touch(x)
}

// fresh makes x's unit in its first state, if its files allow it.
func (e *Engine) fresh(x *entry) {
	x.u = nil
	e.setSpec(x, x.spec)
}

// setSpecOnly takes a specification without decoding anything.
func (e *Engine) setSpecOnly(x *entry, spec *unit.Spec) {
	x.spec, x.load, x.reason = spec, spec.Load, spec.LoadError
	x.typ = e.cfg.Types[x.name.Kind()]
	x.common = &noCommon
	if x.typ == nil {
		x.load, x.reason = unsupported(x.load, x.reason)
	}
}

// decodeShare decodes the engine's share of x's specification.
func (e *Engine) decodeShare(x *entry) {
	if err := e.decodeCommon(x); err != nil && x.load == unit.LoadLoaded {
		x.load, x.reason = unit.LoadBadSetting, err.Error()
	}
}

func unsupported(load unit.LoadState, reason string) (unit.LoadState, string) {
	if load == unit.LoadLoaded {
		return unit.LoadError, "unsupported type"
	}
	return load, reason
}
