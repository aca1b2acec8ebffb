package service

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// Kind of start-up protocol (Type=).
type Protocol uint8

const (
	TypeUnset Protocol = iota
	TypeSimple
	TypeExec
	TypeForking
	TypeOneshot
	TypeDBus
	TypeNotify
	TypeIdle
)

var protocolWords = []string{"", "simple", "exec", "forking", "oneshot", "dbus", "notify", "idle"}

// String is the word of Type=.
func (p Protocol) String() string { return protocolWords[p] }

// Restart= by its words.
const (
	restartNo = iota
	restartOnSuccess
	restartOnFailure
	restartOnAbnormal
	restartOnWatchdog
	restartOnAbort
	restartAlways
)

var restartWords = []string{"no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"}

// NotifyAccess= by its words.
const (
	notifyNone = iota
	notifyMain
	notifyExec
	notifyAll
)

var notifyWords = []string{"none", "main", "exec", "all"}

// TimeoutStartFailureMode= and TimeoutStopFailureMode= by their words.
const (
	failTerminate = iota
	failAbort
	failKill
)

var failWords = []string{"terminate", "abort", "kill"}

// list names the command lists; the words are the beginnings of Spawn roles.
type list uint8

const (
	listCondition list = iota
	listStartPre
	listStart
	listStartPost
	listReload
	listStop
	listStopPost
	numLists
)

var lists = [numLists]struct{ role, key, doc string }{
	{"condition", "ExecCondition", "Commands that decide whether the service starts: 0 yes, 1 to 254 no."},
	{"start-pre", "ExecStartPre", "Commands before ExecStart=."},
	{"main", "ExecStart", "The service's command; several for Type=oneshot."},
	{"start-post", "ExecStartPost", "Commands after the start."},
	{"reload", "ExecReload", "Commands that make the service read its configuration again."},
	{"stop", "ExecStop", "Commands that stop the service, before signals do."},
	{"stop-post", "ExecStopPost", "Commands after the service is gone, however it went."},
}

// Config are the decoded settings of a service.
type Config struct {
	Common   unit.Common
	Settings execspec.Settings

	Type            Protocol
	ExitTypeCgroup  bool
	RemainAfterExit bool
	GuessMainPID    bool
	PIDFile         string
	BusName         string
	Exec            [numLists][]unit.Command

	Restart                                           int
	RestartSec                                        time.Duration
	TimeoutStart, TimeoutStop, TimeoutAbort           time.Duration
	timeoutStartSet, timeoutAbortSet, notifyAccessSet bool
	StartFailure, StopFailure                         int
	RuntimeMax                                        time.Duration
	Watchdog                                          time.Duration
	NotifyAccess                                      int
	FDStoreMax                                        int
	Sockets                                           []unit.Name
	SuccessStatus, PreventStatus, ForceStatus         execspec.ExitSet
	USB                                               []string
}

// NewConfig gives the defaults of systemd 252.
func NewConfig() Config {
	return Config{
		Common:       unit.NewCommon(),
		Settings:     execspec.NewSettings(),
		GuessMainPID: true,
		RestartSec:   100 * time.Millisecond,
		TimeoutStart: 90 * time.Second, TimeoutStop: 90 * time.Second,
		RuntimeMax: unit.Infinity,
	}
}

// Keys are all keys of service files: [Unit], [Service] and [Install], bound to *Config.
func Keys() []unit.Key {
	return slices.Concat(
		unit.Lift(unit.CommonKeys(), func(c *Config) *unit.Common { return &c.Common }),
		unit.Lift(unit.ServiceCompatKeys(), func(c *Config) *unit.Common { return &c.Common }),
		unit.Lift(execspec.SettingsKeys("Service"), func(c *Config) *execspec.Settings { return &c.Settings }),
		commandKeys(), lifeKeys(), timeKeys(), exitKeys(), channelKeys(), unit.InstallKeys())
}

const section = "Service"

func commandKeys() []unit.Key {
	var keys []unit.Key
	for l := list(0); l < numLists; l++ {
		keys = append(keys, unit.Bind(unit.Key{Section: section, Name: lists[l].key, Form: unit.FormWords, Doc: lists[l].doc, OnError: unit.Error,
			Syntax: "command line: an executable after any of - @ : + ! !!, and arguments"},
			func(c *Config, v string) error { return setCommands(&c.Exec[l], v) }))
	}
	return keys
}

func setCommands(field *[]unit.Command, v string) error {
	if v == "" {
		*field = nil
		return nil
	}
	cmds, err := execspec.ParseExecLine(v)
	switch {
	case err != nil:
		return err
	case *field == nil:
		*field = cmds
	default:
		*field = append(slices.Clone(*field), cmds...)
	}
	return nil
}

func lifeKeys() []unit.Key {
	return []unit.Key{
		word("Type", "", "How the service says that it is up.", protocolWords[1:], func(c *Config, n int) { c.Type = Protocol(n + 1) }),
		word("ExitType", "main", "Whether the service ends with its main process or with its last one.", []string{"main", "cgroup"}, func(c *Config, n int) { c.ExitTypeCgroup = n == 1 }),
		flag("RemainAfterExit", "no", "The service stays active when its processes are gone.", func(c *Config) *bool { return &c.RemainAfterExit }),
		flag("GuessMainPID", "yes", "Without PIDFile= the main process of Type=forking is guessed.", func(c *Config) *bool { return &c.GuessMainPID }),
		unit.Bind(unit.Key{Section: section, Name: "PIDFile", Form: unit.FormText, Syntax: "path, absolute or below /run", Doc: "Where the service writes its main process's number."}, setPIDFile),
		unit.Bind(unit.Key{Section: section, Name: "BusName", Form: unit.FormText, Syntax: "D-Bus name", Doc: "The name that the service takes on the bus. Not watched: a Type=dbus service counts as up once its command runs."}, setBusName),
		word("Restart", "no", "When the service is started again by itself.", restartWords, func(c *Config, n int) { c.Restart = n }),
	}
}

func setPIDFile(c *Config, v string) error {
	if v == "" {
		c.PIDFile = ""
		return nil
	}
	if v[0] != '/' {
		v = "/run/" + v
	}
	p, err := unit.ParsePath(v)
	if err != nil {
		return err
	}
	if len(p) > 9 && p[:9] == "/var/run/" {
		p = p[4:]
	}
	c.PIDFile = p
	return nil
}

func setBusName(c *Config, v string) error {
	if v != "" && !validBusName(v) {
		return fmt.Errorf("%q is not a name on the bus (valid: such as org.example.Service1)", v)
	}
	c.BusName = v
	return nil
}

// validBusName checks a well-known name (D-Bus specification, Message Protocol, Bus names).
func validBusName(s string) bool {
	if len(s) > 255 || s == "" || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	dot, begin := false, true
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c == '_' || c == '-' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		switch {
		case c == '.':
			if begin {
				return false
			}
			dot, begin = true, true
			continue
		case letter, c >= '0' && c <= '9' && !begin:
		default:
			return false
		}
		begin = false
	}
	return dot
}

func timeKeys() []unit.Key {
	return []unit.Key{
		span("RestartSec", "100ms", "How long to wait before a restart.", func(c *Config, d time.Duration) { c.RestartSec = d }),
		span("TimeoutSec", "", "TimeoutStartSec= and TimeoutStopSec= at once.", func(c *Config, d time.Duration) {
			c.TimeoutStart, c.TimeoutStop, c.timeoutStartSet = forever(d), forever(d), true
		}),
		span("TimeoutStartSec", "90s", "How long a step of the start or of a reload may take; Type=oneshot: for ever.", func(c *Config, d time.Duration) { c.TimeoutStart, c.timeoutStartSet = forever(d), true }),
		span("TimeoutStopSec", "90s", "How long a step of the stop may take.", func(c *Config, d time.Duration) { c.TimeoutStop = forever(d) }),
		unit.Bind(unit.Key{Section: section, Name: "TimeoutAbortSec", Syntax: "time span in seconds", Default: "TimeoutStopSec=", Doc: "How long to wait for a core dump after the watchdog fired."},
			func(c *Config, v string) error {
				if v == "" {
					c.timeoutAbortSet = false
					return nil
				}
				d, err := unit.ParseTimespan(v)
				if err == nil {
					c.TimeoutAbort, c.timeoutAbortSet = forever(d), true
				}
				return err
			}),
		word("TimeoutStartFailureMode", "terminate", "The first signal after a start took too long.", failWords, func(c *Config, n int) { c.StartFailure = n }),
		word("TimeoutStopFailureMode", "terminate", "The signal after a stop took too long.", failWords, func(c *Config, n int) { c.StopFailure = n }),
		span("RuntimeMaxSec", "infinity", "How long the service may run.", func(c *Config, d time.Duration) { c.RuntimeMax = d }),
		inert(span("RuntimeRandomizedExtraSec", "0", "Adds nothing: 0 is one of the valid random values.", func(*Config, time.Duration) {})),
		span("WatchdogSec", "0", "How often the service must say that it is alive.", func(c *Config, d time.Duration) { c.Watchdog = d }),
	}
}

func forever(d time.Duration) time.Duration {
	if d == 0 {
		return unit.Infinity
	}
	return d
}

func exitKeys() []unit.Key {
	set := func(name, doc string, field func(*Config) *execspec.ExitSet) unit.Key {
		return unit.Bind(unit.Key{Section: section, Name: name, Form: unit.FormWords, Syntax: "list of exit statuses, their names, and signals", Doc: doc},
			func(c *Config, v string) error { return field(c).Add(v) })
	}
	return []unit.Key{
		set("SuccessExitStatus", "What counts as success beside 0 and, for daemons, SIGHUP, SIGINT, SIGTERM and SIGPIPE.", func(c *Config) *execspec.ExitSet { return &c.SuccessStatus }),
		set("RestartPreventExitStatus", "What prevents a restart whatever Restart= says.", func(c *Config) *execspec.ExitSet { return &c.PreventStatus }),
		set("RestartForceExitStatus", "What forces a restart whatever Restart= says.", func(c *Config) *execspec.ExitSet { return &c.ForceStatus }),
	}
}

const maxStoredFDs = 4224 * 4

func channelKeys() []unit.Key {
	return []unit.Key{
		word("NotifyAccess", "", "Whose notifications are heard.", notifyWords, func(c *Config, n int) { c.NotifyAccess, c.notifyAccessSet = n, true }),
		unit.Bind(unit.Key{Section: section, Name: "FileDescriptorStoreMax", Syntax: "unsigned number", Default: "0", Doc: "How many descriptors are kept for the service."},
			func(c *Config, v string) error {
				n, err := strconv.ParseUint(v, 10, 31)
				if err != nil {
					return fmt.Errorf("%q is not an unsigned number", v)
				}
				c.FDStoreMax = int(min(n, maxStoredFDs))
				return nil
			}),
		unit.Bind(unit.Key{Section: section, Name: "Sockets", Form: unit.FormWords, Syntax: "list of socket units", Doc: "Sockets that are passed beside the one of the service's name."}, setSockets),
		usb("USBFunctionDescriptors"), usb("USBFunctionStrings"),
	}
}

func setSockets(c *Config, v string) error {
	if v == "" {
		c.Sockets = nil
		return nil
	}
	words, err := unit.SplitWords(v)
	if err != nil {
		return err
	}
	out := slices.Clone(c.Sockets)
	var bad []string
	for _, w := range words {
		n, err := unit.ParseName(w)
		if err != nil || n.Kind() != unit.KindSocket || n.IsTemplate() || len(out) >= 256 {
			bad = append(bad, w)
			continue
		}
		out = append(out, n)
	}
	c.Sockets = out
	if bad != nil {
		return &unit.Partial{Text: fmt.Sprintf("%q ignored (valid: names of socket units)", bad)}
	}
	return nil
}

// usb keys set up USB gadgets: the service cannot work without what they ask for.
func usb(name string) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Form: unit.FormText, Syntax: "absolute path", Support: unit.Protective, Doc: "USB gadget set-up."},
		func(c *Config, v string) error {
			c.USB = slices.DeleteFunc(slices.Clone(c.USB), func(s string) bool { return len(s) > len(name) && s[:len(name)+1] == name+"=" })
			if v != "" {
				c.USB = append(c.USB, name+"="+v)
			}
			return nil
		})
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

func word(name, def, doc string, words []string, set func(*Config, int)) unit.Key {
	k := unit.Key{Section: section, Name: name, Default: def, Doc: doc}
	for i, w := range words {
		if i > 0 {
			k.Syntax += "|"
		}
		k.Syntax += w
	}
	return unit.Bind(k, func(c *Config, v string) error {
		i := slices.Index(words, v)
		if i < 0 {
			return fmt.Errorf("%q is not valid (valid: %s)", v, k.Syntax)
		}
		set(c, i)
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

func inert(k unit.Key) unit.Key {
	k.Support = unit.Inert
	return k
}
