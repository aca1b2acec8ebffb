package control

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// signalRows are the Manager's signals.
var signalRows = [...]struct{ name, sig string }{
	{"UnitNew", "so"}, {"UnitRemoved", "so"}, {"JobNew", "uos"}, {"JobRemoved", "uoss"},
	{"StartupFinished", "tttttt"}, {"UnitFilesChanged", ""}, {"Reloading", "b"},
}

// introspect describes the object: its interfaces from the tables, its children from the view.
func (c *call) introspect() {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN" ` +
		`"https://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">` + "\n<node>\n")
	for _, iface := range c.ownInterfaces() {
		b.WriteString(" <interface name=\"" + iface + "\">\n")
		c.introspectMethods(&b, iface)
		for _, e := range c.s.entries(c.obj, iface, func(string) bool { return true }) {
			b.WriteString("  <property name=\"" + e.Name + "\" type=\"" + e.Value.Signature().String() + "\" access=\"read\"/>\n")
		}
		if iface == wire.ManagerIface {
			for _, s := range signalRows {
				b.WriteString("  <signal name=\"" + s.name + "\">\n")
				introspectArgs(&b, s.sig, "")
				b.WriteString("  </signal>\n")
			}
		}
		b.WriteString(" </interface>\n")
	}
	for _, child := range c.children() {
		b.WriteString(" <node name=\"" + child + "\"/>\n")
	}
	b.WriteString("</node>\n")
	c.reply("s", b.String())
}

func (c *call) ownInterfaces() []string {
	out := []string{"org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Introspectable", wire.PropsIface}
	return append(out, c.obj.interfaces()...)
}

func (c *call) introspectMethods(b *strings.Builder, iface string) {
	var rows []*method
	for _, byName := range c.s.methods {
		for _, m := range byName {
			if m.on&c.obj.is != 0 && (m.iface == iface || m.iface == kindIfaces && iface == c.obj.kindIface) {
				rows = append(rows, m)
			}
		}
	}
	slices.SortFunc(rows, func(a, b *method) int { return strings.Compare(a.name, b.name) })
	for _, m := range rows {
		b.WriteString("  <method name=\"" + m.name + "\">\n")
		introspectArgs(b, m.in, "in")
		introspectArgs(b, m.out, "out")
		b.WriteString("  </method>\n")
	}
}

func introspectArgs(b *strings.Builder, sig, direction string) {
	for sig != "" {
		one, rest, err := wire.NextType(sig)
		if err != nil {
			return // the tables hold valid signatures only; a test sees to it
		}
		b.WriteString("   <arg type=\"" + one + "\"")
		if direction != "" {
			b.WriteString(" direction=\"" + direction + "\"")
		}
		b.WriteString("/>\n")
		sig = rest
	}
}

// children are the next path elements below the object.
func (c *call) children() []string {
	switch path := c.msg.Path; path {
	case wire.ManagerPath:
		return []string{"job", "unit"}
	case strings.TrimSuffix(wire.UnitPrefix, "/"):
		var out []string
		for u := range c.s.cfg.Manager.View().Units {
			out = append(out, strings.TrimPrefix(string(unitPath(u.Name)), wire.UnitPrefix))
		}
		slices.Sort(out)
		return out
	case strings.TrimSuffix(wire.JobPrefix, "/"):
		var out []string
		for _, j := range c.s.cfg.Manager.View().Jobs() {
			out = append(out, strconv.FormatUint(uint64(j.ID), 10))
		}
		return out
	default:
		rest, ok := strings.CutPrefix(wire.ManagerPath, strings.TrimSuffix(path, "/")+"/")
		if !ok {
			return nil
		}
		first, _, _ := strings.Cut(rest, "/")
		return []string{first}
	}
}
