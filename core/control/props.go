package control

import (
	"fmt"
	"math"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
	"github.com/sysmaster-go/sysmaster/unit"
)

// prop is one property of an object type T.
type prop[T any] struct {
	name, sig string
	get       func(s *Server, x T) any
}

// entry is one element of a dictionary of properties. A slice of entries is encoded like a
// dictionary, and keeps its order.
type entry struct {
	Name  string
	Value dbus.Variant
}

// interfaces lists the object's interfaces that have properties, in systemd's order.
func (o *object) interfaces() []string {
	switch o.is {
	case onManager:
		return []string{wire.ManagerIface, wire.OwnManagerIface}
	case onUnit:
		return []string{o.kindIface, wire.UnitIface}
	case onJob:
		return []string{wire.JobIface}
	}
	return nil
}

// entries computes an interface's properties that want wants; a property that cannot be encoded
// is left out and reported, so that it does not cost the others.
func (s *Server) entries(o object, iface string, want func(name string) bool) []entry {
	out := []entry{}
	add := func(name, sig string, v any) {
		if e, err := makeEntry(name, sig, v); err != nil {
			s.observe(nil, fmt.Errorf("cannot show property %s of %s: %w", name, o.name(), err))
		} else {
			out = append(out, e)
		}
	}
	switch {
	case o.is == onManager && iface == wire.ManagerIface:
		x := s.managerState()
		for _, p := range managerProps() {
			if want(p.name) {
				add(p.name, p.sig, p.get(s, x))
			}
		}
	case o.is == onManager && iface == wire.OwnManagerIface && want("NFailedBoots"):
		add("NFailedBoots", "u", uint32(s.cfg.Info().FailedBoots))
	case o.is == onUnit && iface == wire.UnitIface:
		for _, p := range unitProps() {
			if want(p.name) {
				add(p.name, p.sig, p.get(s, o.unit))
			}
		}
	case o.is == onUnit && iface == o.kindIface:
		for _, v := range s.kindProps(o.unit, want) {
			add(v.Name, v.Signature, v.V)
		}
	case o.is == onJob && iface == wire.JobIface:
		for _, p := range jobProps() {
			if want(p.name) {
				add(p.name, p.sig, p.get(s, o.job))
			}
		}
	}
	return out
}

func (o *object) name() string {
	switch o.is {
	case onUnit:
		return string(o.unit.Name)
	case onJob:
		return fmt.Sprintf("job %d", o.job.ID)
	}
	return "the manager"
}

// makeEntry makes a dictionary entry and makes sure that it can be sent as sig.
func makeEntry(name, sig string, v any) (e entry, err error) {
	defer func() {
		if p := recover(); p != nil { // godbus panics on types that it cannot carry
			err = fmt.Errorf("%T is not a D-Bus value: %v", v, p)
		}
	}()
	switch x := v.(type) {
	case string:
		v = clean(x)
	case []string:
		v = cleanAll(x)
	}
	want, err := dbus.ParseSignature(sig)
	if err != nil {
		return entry{}, err
	}
	if got := dbus.SignatureOf(v); got != want {
		return entry{}, fmt.Errorf("%T is of type %s, not %s", v, got, want)
	}
	return entry{name, dbus.MakeVariantWithSignature(v, want)}, nil
}

func cleanAll(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = clean(s)
	}
	return out
}

func (c *call) get() {
	iface, name := c.str(0), c.str(1)
	for _, i := range c.obj.interfaces() {
		if iface != "" && iface != i {
			continue
		}
		found := c.s.entries(c.obj, i, func(n string) bool { return n == name })
		if len(found) > 0 {
			c.reply("v", found[0].Value)
			return
		}
	}
	if iface != "" && !c.hasInterface(iface) {
		c.fail(unknownInterface(iface))
		return
	}
	c.fail(&busError{errUnknownProp, fmt.Sprintf("Unknown property or interface %s.%s.", iface, name)})
}

func unknownInterface(iface string) error {
	return &busError{errUnknownIface, fmt.Sprintf("Unknown interface %s.", iface)}
}

func (c *call) hasInterface(iface string) bool {
	for _, i := range c.obj.interfaces() {
		if i == iface {
			return true
		}
	}
	switch iface {
	case "", "org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Introspectable", wire.PropsIface:
		return true
	}
	return false
}

// getAll answers with the properties of one interface, or of all for an empty name.
func (c *call) getAll() {
	iface := c.str(0)
	if !c.hasInterface(iface) {
		c.fail(unknownInterface(iface))
		return
	}
	all := []entry{}
	for _, i := range c.obj.interfaces() {
		if iface == "" || iface == i {
			all = append(all, c.s.entries(c.obj, i, func(string) bool { return true })...)
		}
	}
	c.reply("a{sv}", c.s.encodable(c.obj, all))
}

// encodable gives what of all can be sent: a value of the right type may still hold a string that is
// not UTF-8.
func (s *Server) encodable(o object, all []entry) []entry {
	if canEncode(all) {
		return all
	}
	good := []entry{}
	for i := range all {
		if canEncode(all[i : i+1]) {
			good = append(good, all[i])
		} else {
			s.observe(nil, fmt.Errorf("cannot show property %s of %s: its value cannot be encoded", all[i].Name, o.name()))
		}
	}
	return good
}

func canEncode(es []entry) bool {
	m := wire.Message{Type: dbus.TypeMethodReply, Serial: 1, ReplySerial: 1, Signature: "a{sv}", Body: []any{es}}
	_, err := m.Encode()
	return err == nil
}

// usec gives a time stamp or span as D-Bus carries it: microseconds, 2^64-1 for infinity.
func usec(d time.Duration) uint64 {
	switch {
	case d == unit.Infinity:
		return math.MaxUint64
	case d < 0:
		return 0
	}
	return uint64(d / time.Microsecond)
}
