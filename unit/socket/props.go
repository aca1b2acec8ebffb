package socket

import (
	"math"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// listenRow is one element of D-Bus type a(ss).
type listenRow struct{ Type, Address string }

// execRow is one element of D-Bus type a(sasbttttuii): a command and what became of it.
type execRow struct {
	Path                 string
	Argv                 []string
	Ignore               bool
	StartReal, StartMono uint64
	ExitReal, ExitMono   uint64
	PID                  uint32
	Code, Status         int32
}

// Props implements unit.Unit: org.freedesktop.systemd1.Socket (man
// org.freedesktop.systemd1(5), SOCKET UNIT OBJECTS).
func (s *Socket) Props() []unit.Value {
	p := s.stateProps()
	p = append(p, s.optionProps()...)
	p = append(p, s.tuningProps()...)
	for l := list(0); l < numLists; l++ {
		p = append(p, unit.Value{Name: lists[l].key, Signature: "a(sasbttttuii)", V: s.rows(l)})
	}
	return append(p, s.cfg.Settings.Props(defaultSlice(s.name))...)
}

func (s *Socket) stateProps() []unit.Value {
	c := &s.cfg
	rows := []listenRow{}
	for _, p := range c.Ports {
		rows = append(rows, listenRow{listens[p.kind].word, p.address})
	}
	name := c.FDName
	if name == "" {
		name = string(s.name)
	}
	return []unit.Value{
		{Name: "Listen", Signature: "a(ss)", V: rows},
		{Name: "Accept", Signature: "b", V: c.Accept},
		{Name: "FileDescriptorName", Signature: "s", V: name},
		{Name: "TimeoutUSec", Signature: "t", V: micros(c.Timeout)},
		{Name: "TriggerLimitIntervalUSec", Signature: "t", V: micros(c.TriggerInterval)},
		{Name: "TriggerLimitBurst", Signature: "u", V: uint32(c.burst())},
		{Name: "ControlPID", Signature: "u", V: uint32(s.m.Control.Proc.PID)},
		{Name: "Result", Signature: "s", V: s.result.String()},
		// Connections are counted with Accept=yes only.
		{Name: "NConnections", Signature: "u", V: uint32(0)},
		{Name: "NAccepted", Signature: "u", V: uint32(0)},
		{Name: "NRefused", Signature: "u", V: uint32(0)},
		{Name: "UID", Signature: "u", V: uint32(math.MaxUint32)},
		{Name: "GID", Signature: "u", V: uint32(math.MaxUint32)},
	}
}

func (s *Socket) optionProps() []unit.Value {
	o := &s.cfg.Options
	backlog := uint32(o.Backlog)
	if o.Backlog == 0 {
		backlog = 4096
	}
	return []unit.Value{
		{Name: "BindIPv6Only", Signature: "s", V: o.BindIPv6Only},
		{Name: "Backlog", Signature: "u", V: backlog},
		{Name: "BindToDevice", Signature: "s", V: o.BindToDevice},
		{Name: "SocketUser", Signature: "s", V: o.User},
		{Name: "SocketGroup", Signature: "s", V: o.Group},
		{Name: "SocketMode", Signature: "u", V: o.Mode},
		{Name: "DirectoryMode", Signature: "u", V: o.DirMode},
		{Name: "RemoveOnStop", Signature: "b", V: o.RemoveOnStop},
		{Name: "Symlinks", Signature: "as", V: append([]string{}, o.Symlinks...)},
		{Name: "KeepAlive", Signature: "b", V: o.KeepAlive},
		{Name: "NoDelay", Signature: "b", V: o.NoDelay},
		{Name: "ReusePort", Signature: "b", V: o.ReusePort},
		{Name: "FreeBind", Signature: "b", V: o.FreeBind},
		{Name: "Transparent", Signature: "b", V: o.Transparent},
		{Name: "Broadcast", Signature: "b", V: o.Broadcast},
		{Name: "PassCredentials", Signature: "b", V: o.PassCredentials},
		{Name: "PassSecurity", Signature: "b", V: o.PassSecurity},
		{Name: "PassPacketInfo", Signature: "b", V: o.PassPacketInfo},
		{Name: "ReceiveBuffer", Signature: "t", V: uint64(o.ReceiveBuffer)},
		{Name: "SendBuffer", Signature: "t", V: uint64(o.SendBuffer)},
		{Name: "PipeSize", Signature: "t", V: uint64(o.PipeSize)},
		{Name: "Mark", Signature: "i", V: orUnset(o.Mark)},
		{Name: "Priority", Signature: "i", V: orUnset(o.Priority)},
		{Name: "IPTTL", Signature: "i", V: orUnset(o.IPTTL)},
		{Name: "IPTOS", Signature: "i", V: orUnset(o.IPTOS)},
	}
}

// orUnset is -1, systemd's "not set", for 0.
func orUnset(n int) int32 {
	if n == 0 {
		return -1
	}
	return int32(n)
}

func (s *Socket) tuningProps() []unit.Value {
	t := &s.cfg.tuning
	return []unit.Value{
		{Name: "KeepAliveTimeUSec", Signature: "t", V: micros(t.keepAliveTime)},
		{Name: "KeepAliveIntervalUSec", Signature: "t", V: micros(t.keepAliveInterval)},
		{Name: "KeepAliveProbes", Signature: "u", V: uint32(t.keepAliveProbes)},
		{Name: "DeferAcceptUSec", Signature: "t", V: micros(t.deferAccept)},
		{Name: "TCPCongestion", Signature: "s", V: t.congestion},
		{Name: "Timestamping", Signature: "s", V: t.timestamping},
		{Name: "MaxConnections", Signature: "u", V: uint32(t.maxConnections)},
		{Name: "MaxConnectionsPerSource", Signature: "u", V: uint32(t.maxPerSource)},
		{Name: "MessageQueueMaxMessages", Signature: "x", V: t.messages},
		{Name: "MessageQueueMessageSize", Signature: "x", V: t.messageSize},
		{Name: "Writable", Signature: "b", V: t.writable},
		{Name: "FlushPending", Signature: "b", V: s.cfg.has("FlushPending")},
	}
}

func (c *Config) has(key string) bool {
	for _, r := range c.Refused {
		if r.key == key {
			return true
		}
	}
	return false
}

func (s *Socket) rows(l list) []execRow {
	out := make([]execRow, 0, len(s.cfg.Exec[l]))
	for i, c := range s.cfg.Exec[l] {
		row := execRow{Path: c.Path, Argv: c.Argv, Ignore: c.IgnoreFail}
		if i < len(s.status[l]) {
			st := &s.status[l][i]
			row.StartReal, row.StartMono = micros(st.start.Real), micros(st.start.Mono)
			row.ExitReal, row.ExitMono = micros(st.exit.Real), micros(st.exit.Mono)
			row.PID, row.Code, row.Status = uint32(st.pid), int32(st.end.Code), int32(st.end.Status)
		}
		out = append(out, row)
	}
	return out
}

// micros is a time as clients see it; MaxUint64 stands for infinity.
func micros(d time.Duration) uint64 {
	if d == unit.Infinity {
		return math.MaxUint64
	}
	return uint64(max(d, 0) / time.Microsecond)
}
