package handover

import "github.com/sysmaster-go/sysmaster/state/record"

func (c *Core) fields(e *record.Encoder) {
	e.OptInt(1, c.PID)
	e.Message(2, c.Conn.fields)
	e.OptUint(3, uint64(c.Version))
	e.OptBool(4, c.Hello)
	e.OptBool(5, c.Turned)
	e.OptBool(6, c.Welcomed)
	e.OptBool(7, c.Complete)
	e.OptInt(8, c.KillAt)
	e.OptInt(9, c.Started)
	e.OptInt(10, c.Bad)
	for _, key := range c.Unsent {
		e.String(11, key)
	}
	e.OptUint(12, uint64(c.Stored))
	for _, p := range c.Results {
		e.Bytes(13, p)
	}
	e.OptBool(14, c.Deaf)
	e.OptBool(15, c.Healthy)
	e.Message(16, c.Words.fields)
	e.Raw(c.unknown)
}

func (c *Core) field(f record.Field) error {
	switch f.Tag {
	case 1:
		return record.Int(f, &c.PID)
	case 2:
		return f.Message(c.Conn.field)
	case 3:
		return record.Uint(f, &c.Version)
	case 4:
		return record.Bool(f, &c.Hello)
	case 5:
		return record.Bool(f, &c.Turned)
	case 6:
		return record.Bool(f, &c.Welcomed)
	case 7:
		return record.Bool(f, &c.Complete)
	case 8:
		return record.Int(f, &c.KillAt)
	case 9:
		return record.Int(f, &c.Started)
	case 10:
		return record.Int(f, &c.Bad)
	case 11:
		return add(&c.Unsent, func(key *string) error { return record.String(f, key) })
	case 12:
		return record.Uint(f, &c.Stored)
	case 13:
		return add(&c.Results, func(p *[]byte) error { return record.Bytes(f, p) })
	case 14:
		return record.Bool(f, &c.Deaf)
	case 15:
		return record.Bool(f, &c.Healthy)
	case 16:
		return f.Message(c.Words.field)
	}
	c.unknown.Keep(f)
	return nil
}

func (d *FD) fields(e *record.Encoder) {
	e.OptString(1, d.Key)
	e.OptInt(2, int64(d.FD))
	e.OptUint(3, d.Dev)
	e.OptUint(4, d.Ino)
	e.OptUint(5, uint64(d.Kind))
}

func (d *FD) field(f record.Field) error {
	switch f.Tag {
	case 1:
		return record.String(f, &d.Key)
	case 2:
		return record.Int(f, &d.FD)
	case 3:
		return record.Uint(f, &d.Dev)
	case 4:
		return record.Uint(f, &d.Ino)
	case 5:
		return record.Uint(f, &d.Kind)
	}
	return nil
}

func (b *Binary) fields(e *record.Encoder) {
	e.Message(1, b.File.fields)
	e.OptString(2, b.Path)
	e.OptString(3, b.Version)
	e.OptInt(4, b.Deadline)
}

func (b *Binary) field(f record.Field) error {
	switch f.Tag {
	case 1:
		return f.Message(b.File.field)
	case 2:
		return record.String(f, &b.Path)
	case 3:
		return record.String(f, &b.Version)
	case 4:
		return record.Int(f, &b.Deadline)
	}
	return nil
}

func (r *Rescue) fields(e *record.Encoder) {
	e.OptUint(1, uint64(r.Stage))
	e.OptInt(2, r.PID)
	e.OptInt(3, r.Next)
	e.OptInt(4, r.Started)
}

func (r *Rescue) field(f record.Field) error {
	switch f.Tag {
	case 1:
		return record.Uint(f, &r.Stage)
	case 2:
		return record.Int(f, &r.PID)
	case 3:
		return record.Int(f, &r.Next)
	case 4:
		return record.Int(f, &r.Started)
	}
	return nil
}

func (x *Exit) field(f record.Field) error {
	switch f.Tag {
	case 1:
		return readExit(f, &x.Exit)
	case 2:
		return record.Bool(f, &x.Wanted)
	case 3:
		return record.Bool(f, &x.Sent)
	}
	return nil
}

func (p *Process) field(f record.Field) error {
	switch f.Tag {
	case 1:
		return record.Int(f, &p.PID)
	case 2:
		return record.Uint(f, &p.Start)
	}
	return nil
}

func (p *Signal) fields(e *record.Encoder) {
	e.Int(1, p.Number)
	e.Uint(2, p.ID)
	e.OptBool(3, p.Sent)
	e.OptUint(4, uint64(p.Verb))
	e.OptInt(5, p.Due)
}

func (p *Signal) field(f record.Field) error {
	switch f.Tag {
	case 1:
		return record.Int(f, &p.Number)
	case 2:
		return record.Uint(f, &p.ID)
	case 3:
		return record.Bool(f, &p.Sent)
	case 4:
		return record.Uint(f, &p.Verb)
	case 5:
		return record.Int(f, &p.Due)
	}
	return nil
}
