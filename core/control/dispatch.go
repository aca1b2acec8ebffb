package control

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/client/wire"
	"github.com/sysmaster-go/sysmaster/unit"
)

// objects says on which kinds of object a method exists.
type objects uint8

const (
	onNode objects = 1 << iota // a path above or beside the real objects
	onManager
	onUnit
	onJob
	onAll = onNode | onManager | onUnit | onJob
)

// kindIfaces stands for the interface of a unit's kind (org.freedesktop.systemd1.Service ...).
const kindIfaces = "*"

// method is one row of the table that drives dispatch and introspection.
type method struct {
	on          objects
	iface, name string
	in, out     string // signatures
	handle      func(*call)
}

// object is what a path leads to.
type object struct {
	is        objects
	unit      *core.UnitView
	kindIface string // of the unit
	job       *core.JobView
}

// call is one method call under way.
type call struct {
	s    *Server
	c    *conn
	msg  *wire.Message
	obj  object
	args []any
	id   core.RequestID // of a request that may come again; zero: none
}

// str is the i-th argument; the table's signature says that it is a string.
func (c *call) str(i int) string { return c.args[i].(string) }

func (s *Server) dispatch(c *conn, m *wire.Message) {
	k := &call{s: s, c: c, msg: m}
	obj, err := s.resolve(c, m.Path)
	if err != nil {
		k.fail(err)
		return
	}
	k.obj = obj
	meth := s.lookup(m, &obj)
	if meth == nil {
		k.fail(&busError{errUnknownMethod, fmt.Sprintf("Unknown method %s or interface %s.", m.Member, m.Interface)})
		return
	}
	if m.Signature != meth.in {
		k.fail(&busError{errInvalidArgs, fmt.Sprintf(
			"Invalid arguments '%s' to call %s(), expecting '%s'.", m.Signature, m.Member, meth.in)})
		return
	}
	if err := m.DecodeBody(); err != nil {
		k.fail(&busError{errInvalidArgs, err.Error()})
		return
	}
	k.args = m.Body
	meth.handle(k)
}

// lookup finds the method; without an interface the first of that name counts.
func (s *Server) lookup(m *wire.Message, obj *object) *method {
	for _, meth := range s.methods[m.Member] {
		iface := meth.iface
		if iface == kindIfaces {
			iface = obj.kindIface
		}
		if meth.on&obj.is != 0 && iface != "" && (m.Interface == "" || m.Interface == iface) {
			return meth
		}
	}
	return nil
}

// resolve finds the object at path. A unit that is not loaded is loaded, as systemd does
// when its object is touched: that is how "systemctl status" works for any unit.
func (s *Server) resolve(c *conn, path string) (object, error) {
	switch {
	case path == wire.ManagerPath:
		return object{is: onManager}, nil
	case strings.HasPrefix(path, wire.UnitPrefix):
		name, ok := wire.UnitOfPath(path)
		n, err := unit.ParseName(name)
		if !ok || err != nil {
			return object{}, noObject(path)
		}
		u, err := s.load(c, n)
		if err != nil {
			return object{}, err
		}
		return s.object(u), nil
	case strings.HasPrefix(path, wire.JobPrefix):
		id, err := strconv.ParseUint(path[len(wire.JobPrefix):], 10, 32)
		if err != nil {
			return object{}, noObject(path)
		}
		j := findJob(s.cfg.Manager.View(), core.JobID(id))
		if j == nil {
			return object{}, noObject(path)
		}
		return object{is: onJob, job: j}, nil
	}
	if path == "/" || path == "/org/freedesktop/DBus" || strings.HasPrefix(wire.JobPrefix, path+"/") ||
		strings.HasPrefix(wire.UnitPrefix, path+"/") {
		return object{is: onNode}, nil
	}
	return object{}, noObject(path)
}

func noObject(path string) error {
	return &busError{errUnknownObject, fmt.Sprintf("Unknown object '%s'.", path)}
}

func (s *Server) object(u *core.UnitView) object {
	return object{is: onUnit, unit: u, kindIface: kindInterface(u.Name.Kind())}
}

// kindInterface is the D-Bus interface of a kind: "service" gives "org.freedesktop.systemd1.Service".
func kindInterface(k unit.Kind) string {
	if k == "" {
		return ""
	}
	return wire.Service + "." + strings.ToUpper(string(k[:1])) + string(k[1:])
}

// load gives the unit's view, asking the engine to load it if need be. A unit that has no file is
// shown as systemd shows it: not found, inactive.
func (s *Server) load(c *conn, n unit.Name) (*core.UnitView, error) {
	if u := s.cfg.Manager.View().Unit(n); u != nil {
		return u, nil
	}
	answer := make(chan core.Response, 1)
	err := s.cfg.Manager.Submit(&core.Request{
		Caller: c.caller(), Op: core.OpLoad{Unit: n}, Reply: func(r core.Response) { answer <- r },
	})
	if err != nil {
		return nil, err
	}
	var r core.Response
	select {
	case r = <-answer:
	case <-c.gone:
		return nil, ErrClosed
	}
	if u := s.cfg.Manager.View().Unit(n); u != nil {
		return u, nil
	}
	if r.Unit != "" {
		if u := s.cfg.Manager.View().Unit(r.Unit); u != nil {
			return u, nil
		}
	}
	u := &core.UnitView{Name: n, Load: unit.LoadNotFound, State: unit.State{Active: unit.Inactive, Sub: "dead"}}
	switch {
	case r.Err == nil || errors.Is(r.Err, core.ErrNoSuchUnit):
	case errors.Is(r.Err, core.ErrMasked):
		u.Load = unit.LoadMasked
	case errors.Is(r.Err, core.ErrBadUnit):
		u.Load = unit.LoadBadSetting
	case errors.Is(r.Err, core.ErrLoad):
		u.Load = unit.LoadError
	default:
		return nil, r.Err
	}
	if r.Err != nil {
		u.LoadError = r.Err.Error()
	}
	return u, nil
}

func (c *conn) caller() core.Caller {
	return core.Caller{UID: c.uid, PID: c.pid, Comm: c.comm}
}

// submit hands a command to the engine; done runs in the publisher with a good answer.
func (c *call) submit(op any, done func(core.Response)) {
	select {
	case c.c.commands <- struct{}{}:
	case <-c.c.gone:
		return
	}
	err := c.s.cfg.Manager.Submit(&core.Request{ID: c.id, Caller: c.c.caller(), Words: c.words(), Op: op, Reply: func(r core.Response) {
		c.s.pub.answer(func() {
			<-c.c.commands
			if r.Err != nil {
				c.fail(r.Err)
				return
			}
			done(r)
		})
	}})
	if err != nil {
		<-c.c.commands
		c.fail(err)
	}
}

// command is submit for calls whose answer is empty.
func (c *call) command(op any) {
	c.submit(op, func(core.Response) { c.reply("") })
}

func (c *call) reply(sig string, body ...any) {
	c.answer(&wire.Message{Type: dbus.TypeMethodReply, Signature: sig, Body: body})
}

func (c *call) fail(err error) {
	name, text := errorOf(err)
	c.answer(&wire.Message{Type: dbus.TypeError, ErrorName: name, Signature: "s", Body: []any{clean(text)}})
}

func (c *call) answer(m *wire.Message) {
	if c.msg.Flags&wire.NoReply != 0 {
		return
	}
	m.Flags, m.Serial, m.ReplySerial = wire.NoReply, c.s.nextSerial(), c.msg.Serial
	m.Sender, m.Destination = wire.Service, c.msg.Sender
	frame, err := m.Encode()
	if err != nil {
		c.s.observe(c.c, err)
		if m.Type == dbus.TypeError {
			return
		}
		c.fail(&busError{errFailed, err.Error()})
		return
	}
	c.c.send(frame, false)
}

func unitPath(n unit.Name) dbus.ObjectPath { return dbus.ObjectPath(wire.UnitPath(string(n))) }

func jobPath(id core.JobID) dbus.ObjectPath {
	return dbus.ObjectPath(wire.JobPrefix + strconv.FormatUint(uint64(id), 10))
}

func findJob(v *core.View, id core.JobID) *core.JobView {
	jobs := v.Jobs()
	lo, hi := 0, len(jobs)
	for lo < hi {
		if mid := (lo + hi) / 2; jobs[mid].ID < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(jobs) && jobs[lo].ID == id {
		return jobs[lo]
	}
	return nil
}

// clean makes a string that D-Bus carries: valid UTF-8 without NUL.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return s
}
