package core

import (
	"fmt"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

// The numbers of effects in the store. A number is never used again for something else.
const (
	effSpawn = iota + 1
	effKill
	effAttach
	effReadPIDFile
	effFindMain
	effRealize
	effRemoveCgroup
	effDirs
	effListen
	effStoreFD
	effDropFD
	effCheck
)

// encodeEffect writes one unanswered effect: field 1 its number, 2 its kind, the rest its own.
func encodeEffect(e *record.Encoder, em unit.Emitted) {
	e.Uint(1, em.Seq)
	kind := func(k uint64) { e.Uint(2, k) }
	switch f := em.Effect.(type) {
	case unit.Spawn:
		kind(effSpawn)
		encodeSpawn(e, &f)
	case unit.Kill:
		kind(effKill)
		e.Message(3, func(e *record.Encoder) { encodeProc(e, f.Proc) })
		e.Int(4, int64(f.Signal))
		for _, p := range f.Except {
			e.Message(5, func(e *record.Encoder) { encodeProc(e, p) })
		}
		e.OptBool(6, f.Cont)
	case unit.Attach:
		kind(effAttach)
		e.Message(3, func(e *record.Encoder) { encodeProc(e, f.Proc) })
	case unit.ReadPIDFile:
		kind(effReadPIDFile)
		e.String(3, f.Path)
	case unit.FindMain:
		kind(effFindMain)
		e.Int(3, int64(f.PID))
	case unit.Realize:
		kind(effRealize)
	case unit.RemoveCgroup:
		kind(effRemoveCgroup)
	case unit.Dirs:
		kind(effDirs)
		e.OptBool(3, f.Remove)
		for _, d := range f.Dirs {
			e.Message(4, func(e *record.Encoder) {
				e.String(1, d.Path)
				e.Uint(2, uint64(d.Mode))
				e.OptString(3, d.User)
				e.OptString(4, d.Group)
			})
		}
	case unit.Listen:
		kind(effListen)
		for i := range f.Sockets {
			e.Message(3, func(e *record.Encoder) { encodeListen(e, &f.Sockets[i]) })
		}
	case unit.StoreFD:
		kind(effStoreFD)
		e.String(3, f.From)
		e.String(4, f.To)
	case unit.DropFD:
		kind(effDropFD)
		e.Strings(3, f.Keys)
		e.Strings(4, f.Unlink)
	case sys.Check:
		kind(effCheck)
		for _, c := range f.Conditions {
			e.Message(3, func(e *record.Encoder) {
				e.String(1, c.Type)
				e.OptString(2, c.Param)
				e.OptBool(3, c.Trigger)
				e.OptBool(4, c.Negate)
				e.OptBool(5, c.Assert)
			})
		}
	default:
		panic(fmt.Sprintf("core: effect %T has no stored form", f))
	}
}

func encodeProc(e *record.Encoder, p unit.Proc) {
	e.OptInt(1, int64(p.PID))
	e.OptUint(2, p.Start)
}

func decodeProc(f record.Field) (p unit.Proc, err error) {
	err = f.Message(func(f record.Field) error {
		switch f.Tag {
		case 1:
			return record.Int(f, &p.PID)
		case 2:
			return record.Uint(f, &p.Start)
		}
		return nil
	})
	return p, err
}

func encodeSpawn(e *record.Encoder, s *unit.Spawn) {
	e.String(3, s.Role)
	e.String(4, s.Command.Path)
	e.Strings(5, s.Command.Argv)
	e.OptBool(6, s.Command.IgnoreFail)
	e.OptBool(7, s.Command.NoEnvExpand)
	e.OptUint(8, uint64(s.Command.Privileges))
	e.Strings(9, s.Env)
	for _, r := range s.FDs {
		e.Message(10, func(e *record.Encoder) {
			e.String(1, r.Key)
			e.OptString(2, r.Name)
		})
	}
	e.OptBool(11, s.Notify)
	e.OptInt(12, int64(s.Watchdog))
	e.OptString(13, s.Stdin)
	e.OptBool(14, s.Control)
}

func decodeSpawn(f record.Field, s *unit.Spawn) error {
	switch f.Tag {
	case 3:
		return record.String(f, &s.Role)
	case 4:
		return record.String(f, &s.Command.Path)
	case 5:
		return record.Append(f, &s.Command.Argv)
	case 6:
		return record.Bool(f, &s.Command.IgnoreFail)
	case 7:
		return record.Bool(f, &s.Command.NoEnvExpand)
	case 8:
		return record.Uint(f, &s.Command.Privileges)
	case 9:
		return record.Append(f, &s.Env)
	case 10:
		var r unit.FDRef
		err := f.Message(func(f record.Field) error {
			switch f.Tag {
			case 1:
				return record.String(f, &r.Key)
			case 2:
				return record.String(f, &r.Name)
			}
			return nil
		})
		s.FDs = append(s.FDs, r)
		return err
	case 11:
		return record.Bool(f, &s.Notify)
	case 12:
		return record.Int(f, (*int64)(&s.Watchdog))
	case 13:
		return record.String(f, &s.Stdin)
	case 14:
		return record.Bool(f, &s.Control)
	}
	return nil
}

func encodeListen(e *record.Encoder, l *unit.ListenSpec) {
	e.String(1, l.Key)
	e.String(2, l.Type)
	e.String(3, l.Address)
	o := &l.Options
	e.OptInt(4, int64(o.Backlog))
	e.OptUint(5, uint64(o.Mode))
	e.OptUint(6, uint64(o.DirMode))
	e.OptString(7, o.User)
	e.OptString(8, o.Group)
	e.OptString(9, o.BindIPv6Only)
	e.OptString(10, o.BindToDevice)
	for i, b := range socketFlags(o) {
		e.OptBool(uint32(11+i), *b)
	}
	for i, n := range socketNumbers(o) {
		e.OptInt(uint32(31+i), *n)
	}
	for i, n := range socketInts(o) {
		e.OptInt(uint32(41+i), int64(*n))
	}
	e.Strings(51, o.Symlinks)
}

func decodeListen(f record.Field, l *unit.ListenSpec) error {
	o := &l.Options
	switch {
	case f.Tag == 1:
		return record.String(f, &l.Key)
	case f.Tag == 2:
		return record.String(f, &l.Type)
	case f.Tag == 3:
		return record.String(f, &l.Address)
	case f.Tag == 4:
		return record.Int(f, &o.Backlog)
	case f.Tag == 5:
		return record.Uint(f, &o.Mode)
	case f.Tag == 6:
		return record.Uint(f, &o.DirMode)
	case f.Tag == 7:
		return record.String(f, &o.User)
	case f.Tag == 8:
		return record.String(f, &o.Group)
	case f.Tag == 9:
		return record.String(f, &o.BindIPv6Only)
	case f.Tag == 10:
		return record.String(f, &o.BindToDevice)
	case f.Tag == 51:
		return record.Append(f, &o.Symlinks)
	}
	if fs := socketFlags(o); f.Tag >= 11 && int(f.Tag-11) < len(fs) {
		return record.Bool(f, fs[f.Tag-11])
	}
	if ns := socketNumbers(o); f.Tag >= 31 && int(f.Tag-31) < len(ns) {
		return record.Int(f, ns[f.Tag-31])
	}
	if is := socketInts(o); f.Tag >= 41 && int(f.Tag-41) < len(is) {
		return record.Int(f, is[f.Tag-41])
	}
	return nil
}

// The places of these lists are the tags in the store: append only.
func socketFlags(o *unit.SocketOptions) []*bool {
	return []*bool{&o.ReusePort, &o.FreeBind, &o.Transparent, &o.Broadcast, &o.KeepAlive, &o.NoDelay,
		&o.PassCredentials, &o.PassSecurity, &o.PassPacketInfo, &o.RemoveOnStop}
}

func socketNumbers(o *unit.SocketOptions) []*int64 {
	return []*int64{&o.ReceiveBuffer, &o.SendBuffer, &o.PipeSize}
}

func socketInts(o *unit.SocketOptions) []*int {
	return []*int{&o.Mark, &o.Priority, &o.IPTTL, &o.IPTOS}
}

// decodeEffect reads what encodeEffect wrote. An effect of a newer version is an error: to
// forget it would be to forget a process.
func decodeEffect(f record.Field) (em unit.Emitted, err error) {
	var kind uint64
	var fields []record.Field
	err = f.Message(func(f record.Field) error {
		switch f.Tag {
		case 1:
			return record.Uint(f, &em.Seq)
		case 2:
			return record.Uint(f, &kind)
		}
		fields = append(fields, f)
		return nil
	})
	if err != nil {
		return em, err
	}
	em.Effect, err = effectFromFields(kind, fields)
	return em, err
}

// lastTag is the greatest tag of each kind's fields: what is beyond it is a newer version's, and is skipped.
var lastTag = [...]uint32{
	effSpawn: 14, effKill: 6, effAttach: 3, effReadPIDFile: 3, effFindMain: 3, effRealize: 2, effRemoveCgroup: 2,
	effDirs: 4, effListen: 3, effStoreFD: 4, effDropFD: 4, effCheck: 3,
}

func effectFromFields(kind uint64, fields []record.Field) (unit.Effect, error) {
	each := func(fn func(record.Field) error) error {
		for _, f := range fields {
			if kind < uint64(len(lastTag)) && f.Tag > lastTag[kind] {
				continue
			}
			if err := fn(f); err != nil {
				return err
			}
		}
		return nil
	}
	switch kind {
	case effSpawn:
		var s unit.Spawn
		err := each(func(f record.Field) error { return decodeSpawn(f, &s) })
		return s, err
	case effKill:
		var k unit.Kill
		err := each(func(f record.Field) (err error) {
			var p unit.Proc
			switch f.Tag {
			case 3:
				k.Proc, err = decodeProc(f)
			case 4:
				err = record.Int(f, &k.Signal)
			case 5:
				p, err = decodeProc(f)
				k.Except = append(k.Except, p)
			case 6:
				err = record.Bool(f, &k.Cont)
			}
			return err
		})
		return k, err
	case effAttach:
		var a unit.Attach
		err := each(func(f record.Field) (err error) { a.Proc, err = decodeProc(f); return err })
		return a, err
	case effReadPIDFile:
		var r unit.ReadPIDFile
		err := each(func(f record.Field) error { return record.String(f, &r.Path) })
		return r, err
	case effFindMain:
		var m unit.FindMain
		err := each(func(f record.Field) error { return record.Int(f, &m.PID) })
		return m, err
	case effRealize:
		return unit.Realize{}, nil
	case effRemoveCgroup:
		return unit.RemoveCgroup{}, nil
	case effDirs:
		return decodeDirs(each)
	case effListen:
		var l unit.Listen
		err := each(func(f record.Field) error {
			var s unit.ListenSpec
			err := f.Message(func(f record.Field) error { return decodeListen(f, &s) })
			l.Sockets = append(l.Sockets, s)
			return err
		})
		return l, err
	case effStoreFD:
		var s unit.StoreFD
		err := each(func(f record.Field) error {
			if f.Tag == 3 {
				return record.String(f, &s.From)
			}
			return record.String(f, &s.To)
		})
		return s, err
	case effDropFD:
		var d unit.DropFD
		err := each(func(f record.Field) error {
			if f.Tag == 3 {
				return record.Append(f, &d.Keys)
			}
			return record.Append(f, &d.Unlink)
		})
		return d, err
	case effCheck:
		return decodeCheck(each)
	}
	return nil, fmt.Errorf("cannot read effect of kind %d: it is not known to this version", kind)
}

func decodeDirs(each func(func(record.Field) error) error) (unit.Effect, error) {
	var d unit.Dirs
	err := each(func(f record.Field) error {
		if f.Tag == 3 {
			return record.Bool(f, &d.Remove)
		}
		var dir unit.Dir
		err := f.Message(func(f record.Field) error {
			switch f.Tag {
			case 1:
				return record.String(f, &dir.Path)
			case 2:
				return record.Uint(f, &dir.Mode)
			case 3:
				return record.String(f, &dir.User)
			case 4:
				return record.String(f, &dir.Group)
			}
			return nil
		})
		d.Dirs = append(d.Dirs, dir)
		return err
	})
	return d, err
}

func decodeCheck(each func(func(record.Field) error) error) (unit.Effect, error) {
	var c sys.Check
	err := each(func(f record.Field) error {
		var cond unit.Condition
		err := f.Message(func(f record.Field) error {
			switch f.Tag {
			case 1:
				return record.String(f, &cond.Type)
			case 2:
				return record.String(f, &cond.Param)
			case 3:
				return record.Bool(f, &cond.Trigger)
			case 4:
				return record.Bool(f, &cond.Negate)
			case 5:
				return record.Bool(f, &cond.Assert)
			}
			return nil
		})
		c.Conditions = append(c.Conditions, cond)
		return err
	})
	return c, err
}
