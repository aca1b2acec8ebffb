package socket

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// port is one Listen...= line.
type port struct {
	kind    int // index of listens
	address string
}

// listens are the Listen...= keys: the type of unit.ListenSpec, empty for those that refuse
// the start, and D-Bus's word.
var listens = [...]struct{ key, kind, word, syntax string }{
	{"ListenStream", "stream", "Stream", "path, @name, port, address:port"},
	{"ListenDatagram", "dgram", "Datagram", "path, @name, port, address:port"},
	{"ListenSequentialPacket", "seqpacket", "SequentialPacket", "path, @name"},
	{"ListenFIFO", "fifo", "FIFO", "absolute path"},
	{"ListenNetlink", "", "Netlink", "family and group"},
	{"ListenSpecial", "", "Special", "absolute path"},
	{"ListenMessageQueue", "", "MessageQueue", "name of a message queue"},
	{"ListenUSBFunction", "", "USBFunction", "absolute path"},
}

const (
	listenStream = iota
	listenDatagram
	listenSeqPacket
	listenFIFO
)

// list names the command lists; the words are the beginnings of Spawn roles.
type list uint8

const (
	listStartPre list = iota
	listStartPost
	listStopPre
	listStopPost
	numLists
)

var lists = [numLists]struct{ role, key, doc string }{
	{"start-pre", "ExecStartPre", "Commands before the sockets are made."},
	{"start-post", "ExecStartPost", "Commands after the sockets are made."},
	{"stop-pre", "ExecStopPre", "Commands before the sockets are closed."},
	{"stop-post", "ExecStopPost", "Commands after the sockets are closed."},
}

// Config are the decoded settings of a socket.
type Config struct {
	Common   unit.Common
	Settings execspec.Settings

	Ports   []port
	Options unit.SocketOptions
	Accept  bool
	Service unit.Name
	FDName  string
	Exec    [numLists][]unit.Command
	Timeout time.Duration

	TriggerInterval time.Duration
	TriggerBurst    int // -1: not set

	Refused []setting // settings that are known but not implemented
	tuning  tuning
}

// setting is one that refuses the start.
type setting struct{ key, value string }

// tuning are settings that are accepted without effect; clients see them.
type tuning struct {
	keepAliveTime, keepAliveInterval, deferAccept time.Duration
	keepAliveProbes                               int
	maxConnections, maxPerSource                  int
	messages, messageSize                         int64
	timestamping, congestion                      string
	writable                                      bool
}

// NewConfig gives the defaults of systemd 252.
func NewConfig() Config {
	return Config{
		Common:          unit.NewCommon(),
		Settings:        execspec.NewSettings(),
		Options:         unit.SocketOptions{Mode: 0o666, DirMode: 0o755, BindIPv6Only: "default"},
		Timeout:         90 * time.Second,
		TriggerInterval: 2 * time.Second, TriggerBurst: -1,
		tuning: tuning{maxConnections: 64, timestamping: "off"},
	}
}

var (
	errNoListen    = errors.New("it has no ListenStream=, ListenDatagram=, ListenSequentialPacket=, ListenFIFO= or their kin")
	errAcceptKind  = errors.New("Accept=yes goes with ListenStream= and ListenSequentialPacket= only")
	errAcceptName  = errors.New("Service= does not go with Accept=yes")
	errConnections = errors.New("Accept=yes needs MaxConnections= above 0")
	errSymlinks    = errors.New("Symlinks= needs exactly one socket or FIFO in the file system")
)

// check refuses what systemd refuses to load (man systemd.socket(5)).
func (c *Config) check() error {
	if len(c.Ports) == 0 {
		return errNoListen
	}
	for _, p := range c.Ports {
		if c.Accept && p.kind != listenStream && p.kind != listenSeqPacket {
			return errAcceptKind
		}
	}
	switch {
	case c.Accept && c.Service != "":
		return errAcceptName
	case c.Accept && c.tuning.maxConnections <= 0:
		return errConnections
	case len(c.Options.Symlinks) > 0 && c.symlinkTarget() < 0:
		return errSymlinks
	}
	return nil
}

// symlinkTarget is the one port that has a path; -1 if there are none or several.
func (c *Config) symlinkTarget() int {
	target := -1
	for i, p := range c.Ports {
		if p.path() == "" {
			continue
		}
		if target >= 0 {
			return -1
		}
		target = i
	}
	return target
}

// service is the unit that traffic starts; empty with Accept=yes.
func (c *Config) service(n unit.Name) unit.Name {
	switch {
	case c.Accept:
		return ""
	case c.Service != "":
		return c.Service
	}
	return unit.Name(n.Stem() + ".service")
}

func (c *Config) burst() int {
	switch {
	case c.TriggerBurst >= 0:
		return c.TriggerBurst
	case c.Accept:
		return 200
	}
	return 20
}

// Refusals implements unit.Refuser: why the socket cannot start as it is written.
func (s *Socket) Refusals() []string { return s.cfg.refusals() }

func (c *Config) refusals() []string {
	var out []string
	if c.Accept {
		out = append(out, "Accept=yes")
	}
	for _, p := range c.Ports {
		if l := &listens[p.kind]; l.kind == "" {
			out = append(out, l.key+"="+p.address)
		}
	}
	for _, s := range c.Refused {
		out = append(out, s.key+"="+s.value)
	}
	if c.runs() {
		out = append(out, c.Settings.Refused()...)
	}
	return out
}

// runs reports whether the socket has commands.
func (c *Config) runs() bool {
	for l := range c.Exec {
		if len(c.Exec[l]) > 0 {
			return true
		}
	}
	return false
}

// refuse notes that key is set to something that is not implemented, or is not any more.
func (c *Config) refuse(key, value string, is bool) {
	c.Refused = slices.DeleteFunc(slices.Clone(c.Refused), func(s setting) bool { return s.key == key })
	if is {
		c.Refused = append(c.Refused, setting{key, value})
	}
}

// maxPorts bounds the sockets of one unit.
const maxPorts = 256

func addPort(kind int) func(*Config, string) error {
	return func(c *Config, v string) error {
		if v == "" {
			c.Ports = nil // of all kinds
			return nil
		}
		if len(c.Ports) >= maxPorts {
			return fmt.Errorf("more than %d sockets", maxPorts)
		}
		a, err := parseAddress(kind, v)
		if err == nil {
			c.Ports = append(slices.Clone(c.Ports), port{kind, a})
		}
		return err
	}
}
