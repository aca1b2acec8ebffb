package socket

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

const section = "Socket"

// Keys are all keys of socket files: [Unit], [Socket] and [Install], bound to *Config.
func Keys() []unit.Key {
	return slices.Concat(
		unit.Lift(unit.CommonKeys(), func(c *Config) *unit.Common { return &c.Common }),
		unit.Lift(execspec.SettingsKeys(section), func(c *Config) *execspec.Settings { return &c.Settings }),
		listenKeys(), commandKeys(), lifeKeys(), optionKeys(), tuningKeys(), refusedKeys(), unit.InstallKeys())
}

func listenKeys() []unit.Key {
	keys := make([]unit.Key, 0, len(listens))
	for i, l := range listens {
		k := unit.Key{Section: section, Name: l.key, Form: unit.FormText, Syntax: l.syntax, Doc: "Where to listen; may be given several times."}
		if l.kind == "" {
			k.Support, k.Doc = unit.Protective, "Not implemented: a socket with this key does not start."
		}
		keys = append(keys, unit.Bind(k, addPort(i)))
	}
	return keys
}

func commandKeys() []unit.Key {
	var keys []unit.Key
	for l := list(0); l < numLists; l++ {
		keys = append(keys, unit.Bind(unit.Key{Section: section, Name: lists[l].key, Form: unit.FormWords, Doc: lists[l].doc, OnError: unit.Error,
			Syntax: "command line: an executable after any of - @ : + ! !!, and arguments"},
			func(c *Config, v string) error {
				if v == "" {
					c.Exec[l] = nil
					return nil
				}
				cmds, err := execspec.ParseExecLine(v)
				if err == nil {
					c.Exec[l] = append(slices.Clone(c.Exec[l]), cmds...)
				}
				return err
			}))
	}
	return keys
}

func lifeKeys() []unit.Key {
	return []unit.Key{
		flag("Accept", "no", "One service per connection. Not implemented: such a socket does not start.", func(c *Config) *bool { return &c.Accept }),
		text("Service", "name of a service", "The service that traffic starts; without it, the one of the same name.", func(c *Config, v string) error {
			n, err := unit.ParseName(v)
			if v != "" && (err != nil || n.Kind() != unit.KindService || n.IsTemplate()) {
				return fmt.Errorf("%q is not valid (valid: name of a service)", v)
			}
			c.Service = unit.Name(v)
			return nil
		}),
		text("FileDescriptorName", "name of at most 255 ASCII characters without control characters and \":\"", "What the service finds in LISTEN_FDNAMES; without it, the socket unit's name.", func(c *Config, v string) error {
			if !validFDName(v) {
				return fmt.Errorf("%q is not valid (valid: at most 255 ASCII characters without control characters and \":\")", v)
			}
			c.FDName = v
			return nil
		}),
		span("TimeoutSec", "90s", "How long a command may take.", func(c *Config, d time.Duration) {
			if d == 0 {
				d = unit.Infinity
			}
			c.Timeout = d
		}),
		span("TriggerLimitIntervalSec", "2s", "The interval of TriggerLimitBurst=; 0 for no limit.", func(c *Config, d time.Duration) { c.TriggerInterval = d }),
		number("TriggerLimitBurst", "20, with Accept=yes 200", "How often traffic may start the service within the interval; 0 for no limit.", 0, math.MaxInt32, func(c *Config, n int) { c.TriggerBurst = n }),
		flag("RemoveOnStop", "no", "Socket files, FIFOs and links are removed when the socket stops.", func(c *Config) *bool { return &c.Options.RemoveOnStop }),
		unit.Bind(unit.Key{Section: section, Name: "Symlinks", Form: unit.FormWords, Syntax: "list of absolute paths", Doc: "Links to the socket file or FIFO."}, addSymlinks),
	}
}

func validFDName(s string) bool {
	if len(s) > 255 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return true
}

func addSymlinks(c *Config, v string) error {
	if v == "" {
		c.Options.Symlinks = nil
		return nil
	}
	words, err := unit.SplitWords(v)
	if err != nil {
		return err
	}
	out := slices.Clone(c.Options.Symlinks)
	for _, w := range words {
		p, err := unit.ParsePath(w)
		if err != nil {
			return err
		}
		if len(out) >= maxPorts {
			return fmt.Errorf("more than %d links", maxPorts)
		}
		out = append(out, p)
	}
	c.Options.Symlinks = out
	return nil
}

func optionKeys() []unit.Key {
	o := func(field func(*unit.SocketOptions) *bool) func(*Config) *bool {
		return func(c *Config) *bool { return field(&c.Options) }
	}
	return []unit.Key{
		mode("SocketMode", "0666", "The mode of the socket file or FIFO.", func(c *Config, m uint32) { c.Options.Mode = m }),
		mode("DirectoryMode", "0755", "The mode of directories made on the way.", func(c *Config, m uint32) { c.Options.DirMode = m }),
		owner("SocketUser", "The owner of socket files and FIFOs.", func(c *Config) *string { return &c.Options.User }),
		owner("SocketGroup", "The group of socket files and FIFOs.", func(c *Config) *string { return &c.Options.Group }),
		number("Backlog", "4096", "How many connections may wait to be accepted.", 0, math.MaxInt32, func(c *Config, n int) { c.Options.Backlog = n }),
		word("BindIPv6Only", "default", "Whether an IPv6 socket takes IPv4 traffic, too.", []string{"default", "both", "ipv6-only"}, func(c *Config, v string) { c.Options.BindIPv6Only = v }),
		text("BindToDevice", "name of a network interface", "The interface to listen on.", func(c *Config, v string) error {
			if len(v) > 15 || strings.ContainsAny(v, "/: \t") || v == "." || v == ".." {
				return fmt.Errorf("%q is not valid (valid: name of a network interface)", v)
			}
			c.Options.BindToDevice = v
			return nil
		}),
		flag("ReusePort", "no", "Several sockets may have the address (SO_REUSEPORT).", o(func(o *unit.SocketOptions) *bool { return &o.ReusePort })),
		flag("FreeBind", "no", "Binds to addresses that the machine does not have yet (IP_FREEBIND).", o(func(o *unit.SocketOptions) *bool { return &o.FreeBind })),
		flag("Transparent", "no", "A transparent proxy (IP_TRANSPARENT).", o(func(o *unit.SocketOptions) *bool { return &o.Transparent })),
		flag("Broadcast", "no", "May send to broadcast addresses (SO_BROADCAST).", o(func(o *unit.SocketOptions) *bool { return &o.Broadcast })),
		flag("KeepAlive", "no", "Idle connections are probed (SO_KEEPALIVE).", o(func(o *unit.SocketOptions) *bool { return &o.KeepAlive })),
		flag("NoDelay", "no", "Small packets are not held back (TCP_NODELAY).", o(func(o *unit.SocketOptions) *bool { return &o.NoDelay })),
		flag("PassCredentials", "no", "The receiver learns the sender's process and user (SO_PASSCRED).", o(func(o *unit.SocketOptions) *bool { return &o.PassCredentials })),
		flag("PassSecurity", "no", "The receiver learns the sender's security context (SO_PASSSEC).", o(func(o *unit.SocketOptions) *bool { return &o.PassSecurity })),
		flag("PassPacketInfo", "no", "The receiver learns the packet's interface and address (IP_PKTINFO).", o(func(o *unit.SocketOptions) *bool { return &o.PassPacketInfo })),
		size("ReceiveBuffer", "The size of the receive buffer.", func(c *Config, n int64) { c.Options.ReceiveBuffer = n }),
		size("SendBuffer", "The size of the send buffer.", func(c *Config, n int64) { c.Options.SendBuffer = n }),
		size("PipeSize", "The size of the FIFO's buffer.", func(c *Config, n int64) { c.Options.PipeSize = n }),
		number("Mark", "0", "The packets' mark for the firewall (SO_MARK).", 0, math.MaxInt32, func(c *Config, n int) { c.Options.Mark = n }),
		number("Priority", "0", "The packets' priority (SO_PRIORITY).", math.MinInt32, math.MaxInt32, func(c *Config, n int) { c.Options.Priority = n }),
		number("IPTTL", "0", "The packets' time to live; 0 for the kernel's default.", 0, 255, func(c *Config, n int) { c.Options.IPTTL = n }),
		text("IPTOS", "0 to 255|low-delay|throughput|reliability|low-cost", "The packets' type of service.", func(c *Config, v string) error {
			n, err := parseTOS(v)
			if err == nil {
				c.Options.IPTOS = n
			}
			return err
		}),
	}
}

// tuningKeys make a socket better or worse, not different: without them the kernel's
// defaults hold.
func tuningKeys() []unit.Key {
	keys := []unit.Key{
		span("KeepAliveTimeSec", "", "When probing begins; the kernel's default holds.", func(c *Config, d time.Duration) { c.tuning.keepAliveTime = d }),
		span("KeepAliveIntervalSec", "", "How often is probed; the kernel's default holds.", func(c *Config, d time.Duration) { c.tuning.keepAliveInterval = d }),
		number("KeepAliveProbes", "", "How many probes; the kernel's default holds.", 0, math.MaxInt32, func(c *Config, n int) { c.tuning.keepAliveProbes = n }),
		span("DeferAcceptSec", "", "Waits for the first data; without it the service waits.", func(c *Config, d time.Duration) { c.tuning.deferAccept = d }),
		text("TCPCongestion", "name of an algorithm", "The congestion algorithm; the kernel's default holds.", func(c *Config, v string) error { c.tuning.congestion = v; return nil }),
		text("Timestamping", "off|us|ns", "Time stamps of packets; the receiver takes its own.", func(c *Config, v string) error {
			switch v {
			case "off", "us", "ns":
			case "usec", "µs", "μs":
				v = "us"
			case "nsec":
				v = "ns"
			default:
				return fmt.Errorf("%q is not valid (valid: off, us, ns)", v)
			}
			c.tuning.timestamping = v
			return nil
		}),
		number("MaxConnections", "64", "With Accept=yes only, which does not start.", 0, math.MaxInt32, func(c *Config, n int) { c.tuning.maxConnections = n }),
		number("MaxConnectionsPerSource", "0", "With Accept=yes only, which does not start.", 0, math.MaxInt32, func(c *Config, n int) { c.tuning.maxPerSource = n }),
		flag("Writable", "no", "With ListenSpecial= only, which does not start.", func(c *Config) *bool { return &c.tuning.writable }),
		number("MessageQueueMaxMessages", "0", "With ListenMessageQueue= only, which does not start.", 0, math.MaxInt32, func(c *Config, n int) { c.tuning.messages = int64(n) }),
		number("MessageQueueMessageSize", "0", "With ListenMessageQueue= only, which does not start.", 0, math.MaxInt32, func(c *Config, n int) { c.tuning.messageSize = int64(n) }),
	}
	for i := range keys {
		keys[i].Support = unit.Inert
	}
	return keys
}

// refusedKeys would make a different socket: a unit that sets one does not start.
func refusedKeys() []unit.Key {
	var keys []unit.Key
	for _, k := range [...]struct {
		name, doc string
		boolean   bool
	}{
		{"FlushPending", "Empties the sockets before listening.", true},
		{"SELinuxContextFromNet", "The service's SELinux context from the peer's.", true},
		{"SocketProtocol", "udplite or sctp.", false},
		{"SmackLabel", "The socket file's label.", false},
		{"SmackLabelIPIn", "The label of incoming packets.", false},
		{"SmackLabelIPOut", "The label of outgoing packets.", false},
	} {
		key := unit.Key{Section: section, Name: k.name, Form: unit.FormText, Syntax: "text", Support: unit.Protective, Doc: k.doc + " Not implemented: a socket that sets it does not start."}
		if k.boolean {
			key.Syntax = "boolean"
		}
		keys = append(keys, unit.Bind(key, func(c *Config, v string) error {
			set := v != ""
			if k.boolean {
				var err error
				if set, err = unit.ParseBool(v); err != nil {
					return err
				}
			}
			c.refuse(k.name, v, set)
			return nil
		}))
	}
	return keys
}

func flag(name, def, doc string, field func(*Config) *bool) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Syntax: "boolean", Default: def, Doc: doc}, func(c *Config, v string) error {
		b, err := unit.ParseBool(v)
		if err == nil {
			*field(c) = b
		}
		return err
	})
}

func text(name, syntax, doc string, set func(*Config, string) error) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Form: unit.FormText, Syntax: syntax, Doc: doc}, set)
}

func owner(name, doc string, field func(*Config) *string) unit.Key {
	return text(name, "name or number", doc, func(c *Config, v string) error {
		if len(v) > 256 || strings.ContainsAny(v, ":/ \t\n") {
			return fmt.Errorf("%q is not valid (valid: name or number)", v)
		}
		*field(c) = v
		return nil
	})
}

func word(name, def, doc string, words []string, set func(*Config, string)) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Syntax: strings.Join(words, "|"), Default: def, Doc: doc}, func(c *Config, v string) error {
		if !slices.Contains(words, v) {
			return fmt.Errorf("%q is not valid (valid: %s)", v, strings.Join(words, ", "))
		}
		set(c, v)
		return nil
	})
}

func span(name, def, doc string, set func(*Config, time.Duration)) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Syntax: "time span in seconds", Default: def, Doc: doc}, func(c *Config, v string) error {
		d, err := unit.ParseTimespan(v)
		if err == nil {
			set(c, d)
		}
		return err
	})
}

func number(name, def, doc string, low, high int, set func(*Config, int)) unit.Key {
	syntax := strconv.Itoa(low) + " to " + strconv.Itoa(high)
	return unit.Bind(unit.Key{Section: section, Name: name, Syntax: syntax, Default: def, Doc: doc}, func(c *Config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return fmt.Errorf("%q is not valid (valid: %s)", v, syntax)
		}
		set(c, n)
		return nil
	})
}

func mode(name, def, doc string, set func(*Config, uint32)) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Syntax: "octal mode", Default: def, Doc: doc}, func(c *Config, v string) error {
		m, err := unit.ParseMode(v)
		if err == nil {
			set(c, m)
		}
		return err
	})
}

func size(name, doc string, set func(*Config, int64)) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Syntax: "size in bytes", Doc: doc}, func(c *Config, v string) error {
		n, err := unit.ParseSize(v)
		if err == nil {
			set(c, int64(min(n, math.MaxInt64)))
		}
		return err
	})
}
