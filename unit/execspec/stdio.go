package execspec

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

const (
	stdinSyntax  = "null|tty|tty-force|tty-fail|data|file:PATH|socket|fd:NAME"
	stdoutSyntax = "inherit|null|tty|journal|kmsg|journal+console|kmsg+console|file:PATH|append:PATH|truncate:PATH|socket|fd:NAME"
)

// ParseStdin reads StandardInput= (man systemd.exec(5)).
func ParseStdin(v string) (Stdio, error) {
	switch v {
	case "null":
		return Stdio{Kind: StdioNull}, nil
	case "tty":
		return Stdio{Kind: StdioTTY}, nil
	case "tty-force":
		return Stdio{Kind: StdioTTYForce}, nil
	case "tty-fail":
		return Stdio{Kind: StdioTTYFail}, nil
	case "data":
		return Stdio{Kind: StdioData}, nil
	case "socket":
		return Stdio{Kind: StdioSocket}, nil
	}
	if s, ok, err := prefixedStdio(v, "stdin"); ok && s.Kind != StdioAppend && s.Kind != StdioTruncate {
		return s, err
	}
	return Stdio{}, fmt.Errorf("%q is not an input (valid: %s)", v, stdinSyntax)
}

// ParseStdout reads StandardOutput= and StandardError= (man systemd.exec(5)). The old
// "syslog" means journal; name is the descriptor name that a bare "fd" stands for.
func ParseStdout(v, name string) (Stdio, error) {
	base, console := strings.CutSuffix(v, "+console")
	switch base {
	case "journal", "syslog":
		return Stdio{Kind: StdioJournal, Console: console}, nil
	case "kmsg":
		return Stdio{Kind: StdioKmsg, Console: console}, nil
	}
	switch v {
	case "inherit":
		return Stdio{Kind: StdioInherit}, nil
	case "null":
		return Stdio{Kind: StdioNull}, nil
	case "tty":
		return Stdio{Kind: StdioTTY}, nil
	case "socket":
		return Stdio{Kind: StdioSocket}, nil
	}
	if s, ok, err := prefixedStdio(v, name); ok {
		return s, err
	}
	return Stdio{}, fmt.Errorf("%q is not an output (valid: %s)", v, stdoutSyntax)
}

func prefixedStdio(v, name string) (Stdio, bool, error) {
	kind, arg, _ := strings.Cut(v, ":")
	switch kind {
	case "fd":
		if arg == "" {
			arg = name
		}
		if !ValidFDName(arg) {
			return Stdio{}, true, fmt.Errorf("%q is not a descriptor name", arg)
		}
		return Stdio{Kind: StdioFD, Name: arg}, true, nil
	case "file", "append", "truncate":
		p, err := unit.ParsePath(arg)
		return Stdio{Kind: map[string]StdioKind{"file": StdioFile, "append": StdioAppend, "truncate": StdioTruncate}[kind], Path: p}, true, err
	}
	return Stdio{}, false, nil
}

// ValidFDName reports whether s may be a FileDescriptorName= or FDNAME= (man
// sd_pid_notify_with_fds(3)): printable ASCII without ":", 1 to 255 characters.
func ValidFDName(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return true
}

var errNoInput = errors.New("an empty value is not valid")

func stdioKeys(section string) []unit.Key {
	std := func(name, syntax, def, doc string, set func(*Context, string) error) unit.Key {
		return unit.Bind(unit.Key{Section: section, Name: name, Form: unit.FormText, Syntax: syntax, Default: def, Doc: doc},
			func(c *Context, v string) error {
				if v == "" {
					return errNoInput
				}
				return set(c, v)
			})
	}
	return []unit.Key{
		std("StandardInput", stdinSyntax, "null", "What the process reads from standard input.", func(c *Context, v string) error {
			s, err := ParseStdin(v)
			if err == nil {
				c.Stdin = s
			}
			return err
		}),
		std("StandardOutput", stdoutSyntax, "inherit", "Where standard output goes; without a journal \"journal\" is the kernel's log.", func(c *Context, v string) error {
			s, err := ParseStdout(v, "stdout")
			if err == nil {
				c.Stdout = s
			}
			return err
		}),
		std("StandardError", stdoutSyntax, "inherit", "Where standard error goes.", func(c *Context, v string) error {
			s, err := ParseStdout(v, "stderr")
			if err == nil {
				c.Stderr = s
			}
			return err
		}),
		pathKey(section, "TTYPath", "The terminal for StandardInput=tty and its kin.", func(c *Context) *string { return &c.TTYPath }),
		boolKey(section, "TTYReset", "no", "Reset the terminal before and after use.", func(c *Context) *bool { return &c.TTYReset }),
		boolKey(section, "TTYVHangup", "no", "Disconnect all who have the terminal open, before and after.", func(c *Context) *bool { return &c.TTYVHangup }),
		boolKey(section, "TTYVTDisallocate", "no", "Clear the virtual terminal before and after.", func(c *Context) *bool { return &c.TTYVTDisallocate }),
		intKey(section, "TTYRows", "number", "Height of the terminal.", 0, 65535, func(c *Context, n int) { c.TTYRows = n }),
		intKey(section, "TTYColumns", "number", "Width of the terminal.", 0, 65535, func(c *Context, n int) { c.TTYColumns = n }),
		textKey(section, "SyslogIdentifier", "text", "What log lines begin with.", func(c *Context) *string { return &c.SyslogIdentifier }),
		syslogKey(section, "SyslogFacility", "daemon", facilityNames[:], func(c *Context, n int) { c.SyslogFacility = n << 3 }),
		syslogKey(section, "SyslogLevel", "info", levelNames[:], func(c *Context, n int) { c.SyslogLevel = n }),
		boolKey(section, "SyslogLevelPrefix", "yes", "Lines may begin with <N>, their level.", func(c *Context) *bool { return &c.SyslogLevelPrefix }),
	}
}

var facilityNames = [...]string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"12", "13", "14", "15", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}

var levelNames = [...]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}

func syslogKey(section, name, def string, words []string, set func(*Context, int)) unit.Key {
	return wordKey(section, name, def, "What log lines are tagged with.", words, set)
}
