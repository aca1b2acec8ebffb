package execspec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Keys are all settings of systemd.exec(5), version 252, for one section ("Service",
// "Socket", "Mount", "Swap"), bound to *Context.
func Keys(section string) []unit.Key {
	groups := [][]unit.Key{
		identityKeys(section), pathKeys(section), environmentKeys(section), stdioKeys(section), directoryKeys(section),
		limitKeys(section), processKeys(section), capabilityKeys(section), schedulingKeys(section),
		protectiveKeys(section), inertKeys(section),
	}
	if section == "Service" {
		groups = append(groups, serviceOnlyKeys(section))
	}
	return slices.Concat(groups...)
}

func identityKeys(section string) []unit.Key {
	user := func(name, doc string, field func(*Context) *string) unit.Key {
		return unit.Bind(unit.Key{Section: section, Name: name, Form: unit.FormText, Syntax: "name or number", Doc: doc, OnError: unit.Error},
			func(c *Context, v string) error {
				if v != "" && !validUser(v) {
					return fmt.Errorf("%q is not a user or group name", v)
				}
				*field(c) = v
				return nil
			})
	}
	return []unit.Key{
		user("User", "Whom the processes run as.", func(c *Context) *string { return &c.User }),
		user("Group", "The processes' group; the user's own if not set.", func(c *Context) *string { return &c.Group }),
		unit.Bind(unit.Key{Section: section, Name: "SupplementaryGroups", Form: unit.FormWords, Syntax: "list of names or numbers",
			Doc: "Groups beside those of the user."}, func(c *Context, v string) error {
			return appendWords(&c.SupplementaryGroups, v, "names or numbers", validUser)
		}),
	}
}

// validUser is systemd's relaxed rule (valid_user_group_name with VALID_USER_RELAX): what no
// file format or path can be confused by.
func validUser(s string) bool {
	if s == "" || len(s) > 256 || s == "." || s == ".." || strings.ContainsAny(s, ":/\n\x00") {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s[0] != ' ' && s[len(s)-1] != ' '
}

func pathKeys(section string) []unit.Key {
	return []unit.Key{
		unit.Bind(unit.Key{Section: section, Name: "WorkingDirectory", Form: unit.FormText, Syntax: "absolute path or ~, perhaps after -",
			Doc: "Where the processes start.", OnError: unit.Error}, setWorkingDirectory),
		pathKey(section, "RootDirectory", "The processes' root.", func(c *Context) *string { return &c.RootDirectory }),
		unit.Bind(unit.Key{Section: section, Name: "ExecSearchPath", Form: unit.FormText, Syntax: "absolute paths joined by :",
			Doc: "Where executables without a slash are looked for, and $PATH."}, setSearchPath),
	}
}

func setWorkingDirectory(c *Context, v string) error {
	p, missingOK := strings.CutPrefix(v, "-")
	switch p {
	case "":
		c.WorkingDirectory, c.WorkingDirectoryHome, c.WorkingDirectoryMissingOK = "", false, false
		return nil
	case "~":
		c.WorkingDirectory, c.WorkingDirectoryHome, c.WorkingDirectoryMissingOK = "", true, missingOK
		return nil
	}
	p, err := unit.ParsePath(p)
	if err != nil {
		return err
	}
	c.WorkingDirectory, c.WorkingDirectoryHome, c.WorkingDirectoryMissingOK = p, false, missingOK
	return nil
}

func setSearchPath(c *Context, v string) error {
	if v == "" {
		c.ExecSearchPath = nil
		return nil
	}
	out := slices.Clone(c.ExecSearchPath)
	for p := range strings.SplitSeq(v, ":") {
		p, err := unit.ParsePath(p)
		if err != nil {
			return err
		}
		out = append(out, p)
	}
	if len(out) > maxList {
		return fmt.Errorf("more than %d entries", maxList)
	}
	c.ExecSearchPath = out
	return nil
}

func environmentKeys(section string) []unit.Key {
	return []unit.Key{
		unit.Bind(unit.Key{Section: section, Name: "Environment", Form: unit.FormWords, Syntax: "list of NAME=VALUE",
			Doc: "Variables for the processes."}, func(c *Context, v string) error {
			return appendWords(&c.Environment, v, "NAME=VALUE", validAssignment)
		}),
		unit.Bind(unit.Key{Section: section, Name: "EnvironmentFile", Form: unit.FormText, Syntax: "absolute path, perhaps after -",
			Doc: "Files with variables, read at each start."}, setEnvironmentFile),
		unit.Bind(unit.Key{Section: section, Name: "PassEnvironment", Form: unit.FormWords, Syntax: "list of variable names",
			Doc: "Variables taken over from the manager."}, func(c *Context, v string) error {
			return appendWords(&c.PassEnvironment, v, "variable names", ValidEnvName)
		}),
		unit.Bind(unit.Key{Section: section, Name: "UnsetEnvironment", Form: unit.FormWords, Syntax: "list of NAME or NAME=VALUE",
			Doc: "Variables removed at the very end."}, func(c *Context, v string) error {
			return appendWords(&c.UnsetEnvironment, v, "NAME or NAME=VALUE", func(w string) bool { return ValidEnvName(w) || validAssignment(w) })
		}),
	}
}

func setEnvironmentFile(c *Context, v string) error {
	if v == "" {
		c.EnvironmentFiles = nil
		return nil
	}
	p, optional := strings.CutPrefix(v, "-")
	p, err := unit.ParsePath(p)
	if err != nil {
		return err
	}
	if len(c.EnvironmentFiles) >= maxList {
		return fmt.Errorf("more than %d files", maxList)
	}
	c.EnvironmentFiles = append(slices.Clone(c.EnvironmentFiles), EnvironmentFile{p, optional})
	return nil
}

func processKeys(section string) []unit.Key {
	return []unit.Key{
		unit.Bind(unit.Key{Section: section, Name: "UMask", Syntax: "access mode in octal", Default: "0022", Doc: "The processes' umask(2)."},
			func(c *Context, v string) error {
				if v == "" {
					c.UMask = 0o022
					return nil
				}
				return setMode(&c.UMask, v)
			}),
		intKey(section, "OOMScoreAdjust", "-1000 to 1000", "Bias of the kernel's OOM killer.", -1000, 1000, func(c *Context, n int) { c.OOMScoreAdjust, c.OOMScoreAdjustSet = n, true }),
		intKey(section, "Nice", "-20 to 19", "Scheduling priority.", -20, 19, func(c *Context, n int) { c.Nice, c.NiceSet = n, true }),
		boolKey(section, "IgnoreSIGPIPE", "yes", "Start with SIGPIPE ignored.", func(c *Context) *bool { return &c.IgnoreSIGPIPE }),
		boolKey(section, "NoNewPrivileges", "no", "No execve may raise privileges.", func(c *Context) *bool { return &c.NoNewPrivileges }),
		wordKey(section, "KeyringMode", "private", "Which session keyring the processes get.", []string{"private", "inherit", "shared"}, func(c *Context, n int) { c.KeyringMode = KeyringMode(n) }),
		unit.Bind(unit.Key{Section: section, Name: "TimerSlackNSec", Syntax: "time span in nanoseconds", Doc: "How far timers may be late."}, setTimerSlack),
		unit.Bind(unit.Key{Section: section, Name: "CoredumpFilter", Syntax: "list of mapping types, or a hexadecimal mask", Doc: "What a core dump contains (man core(5))."}, setCoredumpFilter),
	}
}

func setTimerSlack(c *Context, v string) error {
	if n, err := strconv.ParseUint(v, 10, 62); err == nil { // a bare number counts nanoseconds here
		c.TimerSlack, c.TimerSlackSet = time.Duration(n), true
		return nil
	}
	ns, cut := strings.CutSuffix(v, "ns")
	if n, err := strconv.ParseUint(strings.TrimSpace(ns), 10, 62); cut && err == nil {
		c.TimerSlack, c.TimerSlackSet = time.Duration(n), true
		return nil
	}
	d, err := unit.ParseTimespan(v)
	if err == nil {
		c.TimerSlack, c.TimerSlackSet = d, true
	}
	return err
}

var coredumpTypes = [...]string{"private-anonymous", "shared-anonymous", "private-file-backed", "shared-file-backed",
	"elf-headers", "private-huge", "shared-huge", "private-dax", "shared-dax"}

func setCoredumpFilter(c *Context, v string) error {
	if v == "" {
		c.CoredumpFilter, c.CoredumpFilterSet = 0, false
		return nil
	}
	var mask uint64
	for _, w := range strings.Fields(v) {
		switch i := slices.Index(coredumpTypes[:], w); {
		case i >= 0:
			mask |= 1 << i
		case w == "default":
			mask |= 0x33
		case w == "all":
			mask |= ^uint64(0) >> 1
		default:
			n, err := strconv.ParseUint(strings.TrimPrefix(w, "0x"), 16, 63)
			if err != nil {
				return fmt.Errorf("%q is not a mapping type (valid: %s, default, all, a hexadecimal mask)", w, strings.Join(coredumpTypes[:], ", "))
			}
			mask |= n
		}
	}
	c.CoredumpFilter, c.CoredumpFilterSet = c.CoredumpFilter|mask, true
	return nil
}

// serviceOnlyKeys stand in [Service] only, but concern how its processes are made.
func serviceOnlyKeys(section string) []unit.Key {
	return []unit.Key{
		boolKey(section, "NonBlocking", "no", "Passed descriptors are non-blocking.", func(c *Context) *bool { return &c.NonBlocking }),
		boolKey(section, "RootDirectoryStartOnly", "no", "RootDirectory= is for ExecStart= only.", func(c *Context) *bool { return &c.RootDirectoryStartOnly }),
		boolKey(section, "PermissionsStartOnly", "no", "User= and its kin are for ExecStart= only; the prefix + is the newer way.", func(c *Context) *bool { return &c.PermissionsStartOnly }),
	}
}
