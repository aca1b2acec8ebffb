package execspec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// protectiveKeys ask for something that is not there. What the table gives beside the name
// are the values that ask for nothing; "boolean" keys are off when they are false. An empty
// assignment always takes earlier ones back.
func protectiveKeys(section string) []unit.Key {
	var keys []unit.Key
	for _, p := range protectiveTable {
		keys = append(keys, unit.Bind(unit.Key{Section: section, Name: p.name, Form: p.form, Syntax: p.syntax, Default: p.off,
			Doc: p.doc, Support: unit.Protective},
			func(c *Context, v string) error {
				on, err := p.judge(v)
				if err != nil {
					return err
				}
				if on {
					c.Refused = addRefusal(c.Refused, p.name, v)
				} else if !p.adds || v == "" {
					c.Refused = dropRefusal(c.Refused, p.name)
				}
				return nil
			}))
	}
	return keys
}

// protection is one row: valid are all words that the key takes (nil: anything), off those
// that ask for nothing.
type protection struct {
	name, syntax, off, doc string
	form                   unit.Form
	boolean                bool
	adds                   bool // a list: only an empty assignment takes it back
	valid, offWords        []string
	offFunc                func(string) bool
}

func (p *protection) judge(v string) (on bool, err error) {
	if v == "" {
		return false, nil
	}
	if p.boolean {
		if b, err := unit.ParseBool(v); err == nil {
			return b, nil
		}
	}
	switch {
	case slices.Contains(p.offWords, v):
		return false, nil
	case p.offFunc != nil && p.offFunc(v):
		return false, nil
	case p.valid != nil && !slices.Contains(p.valid, v), p.valid == nil && p.boolean:
		return false, fmt.Errorf("%q is not valid (valid: %s)", v, p.syntax)
	}
	return true, nil
}

const (
	boolSyntax = "boolean"
	listPaths  = "list of absolute paths"
)

// optional is the "-" of settings whose failure is to be ignored: what we cannot do fails, and is ignored.
func optional(v string) bool { return strings.HasPrefix(v, "-") }

// inherited says that a credential is taken from the manager's own, which are none: systemd
// skips those, too.
func inherited(v string) bool {
	_, from, has := strings.Cut(v, ":")
	return !has || !strings.HasPrefix(from, "/")
}

var protectiveTable = [...]protection{
	// file system
	{name: "ProtectSystem", syntax: "boolean|full|strict", off: "no", boolean: true, valid: []string{"full", "strict"}, doc: "Read-only system directories."},
	{name: "ProtectHome", syntax: "boolean|read-only|tmpfs", off: "no", boolean: true, valid: []string{"read-only", "tmpfs"}, doc: "No access to home directories."},
	{name: "PrivateTmp", syntax: boolSyntax, off: "no", boolean: true, doc: "A /tmp and /var/tmp of its own."},
	{name: "PrivateDevices", syntax: boolSyntax, off: "no", boolean: true, doc: "A /dev without devices."},
	{name: "PrivateMounts", syntax: boolSyntax, off: "no", boolean: true, doc: "Mounts that nobody else sees."},
	{name: "MountFlags", syntax: "shared|slave|private", off: "", offWords: []string{"shared"}, doc: "Mount propagation."},
	{name: "MountAPIVFS", syntax: boolSyntax, off: "no", boolean: true, doc: "/proc, /sys and /dev in RootDirectory=."},
	{name: "ReadWritePaths", syntax: listPaths, form: unit.FormWords, adds: true, offFunc: func(string) bool { return true }, doc: "Exceptions from ProtectSystem= and its kin, which refuse by themselves."},
	{name: "ReadWriteDirectories", syntax: listPaths, form: unit.FormWords, adds: true, offFunc: func(string) bool { return true }, doc: "Old name of ReadWritePaths=."},
	{name: "ReadOnlyPaths", syntax: listPaths, form: unit.FormWords, adds: true, doc: "Paths that are read-only."},
	{name: "ReadOnlyDirectories", syntax: listPaths, form: unit.FormWords, adds: true, doc: "Old name of ReadOnlyPaths=."},
	{name: "InaccessiblePaths", syntax: listPaths, form: unit.FormWords, adds: true, doc: "Paths that are out of reach."},
	{name: "InaccessibleDirectories", syntax: listPaths, form: unit.FormWords, adds: true, doc: "Old name of InaccessiblePaths=."},
	{name: "ExecPaths", syntax: listPaths, form: unit.FormWords, adds: true, offFunc: func(string) bool { return true }, doc: "Exceptions from NoExecPaths=, which refuses by itself."},
	{name: "NoExecPaths", syntax: listPaths, form: unit.FormWords, adds: true, doc: "Paths from which nothing can be executed."},
	{name: "BindPaths", syntax: "list of SOURCE:TARGET:OPTIONS", form: unit.FormWords, adds: true, doc: "Bind mounts."},
	{name: "BindReadOnlyPaths", syntax: "list of SOURCE:TARGET:OPTIONS", form: unit.FormWords, adds: true, doc: "Read-only bind mounts."},
	{name: "TemporaryFileSystem", syntax: "list of PATH:OPTIONS", form: unit.FormWords, adds: true, doc: "Empty file systems that hide what is below."},
	{name: "RootImage", syntax: "absolute path", form: unit.FormText, doc: "A disk image as root."},
	{name: "RootImageOptions", syntax: "text", form: unit.FormWords, adds: true, doc: "Mount options for RootImage=."},
	{name: "RootHash", syntax: "hash or path", form: unit.FormText, doc: "Verity hash of RootImage=."},
	{name: "RootHashSignature", syntax: "path or base64:", form: unit.FormText, doc: "Signature of RootHash=."},
	{name: "RootVerity", syntax: "absolute path", form: unit.FormText, doc: "Verity data of RootImage=."},
	{name: "ExtensionDirectories", syntax: listPaths, form: unit.FormWords, adds: true, doc: "Overlays from directories."},
	{name: "ExtensionImages", syntax: "list of images", form: unit.FormWords, adds: true, doc: "Overlays from images."},
	{name: "MountImages", syntax: "list of images", form: unit.FormWords, adds: true, doc: "Images to mount."},
	{name: "ProtectProc", syntax: "default|noaccess|invisible|ptraceable", off: "default", offWords: []string{"default"}, valid: []string{"noaccess", "invisible", "ptraceable"}, doc: "Which processes /proc shows."},
	{name: "ProcSubset", syntax: "all|pid", off: "all", offWords: []string{"all"}, valid: []string{"pid"}, doc: "Which files /proc shows."},
	// kernel
	{name: "ProtectKernelTunables", syntax: boolSyntax, off: "no", boolean: true, doc: "Read-only kernel variables."},
	{name: "ProtectKernelModules", syntax: boolSyntax, off: "no", boolean: true, doc: "No loading of modules."},
	{name: "ProtectKernelLogs", syntax: boolSyntax, off: "no", boolean: true, doc: "No access to the kernel's log."},
	{name: "ProtectClock", syntax: boolSyntax, off: "no", boolean: true, doc: "No setting of clocks."},
	{name: "ProtectControlGroups", syntax: boolSyntax, off: "no", boolean: true, doc: "Read-only control groups."},
	{name: "ProtectHostname", syntax: boolSyntax, off: "no", boolean: true, doc: "No setting of the host name."},
	// name spaces
	{name: "PrivateNetwork", syntax: boolSyntax, off: "no", boolean: true, doc: "A network with a loopback device only."},
	{name: "NetworkNamespacePath", syntax: "absolute path", form: unit.FormText, doc: "An existing network name space."},
	{name: "PrivateIPC", syntax: boolSyntax, off: "no", boolean: true, doc: "System V IPC of its own."},
	{name: "IPCNamespacePath", syntax: "absolute path", form: unit.FormText, doc: "An existing IPC name space."},
	{name: "PrivateUsers", syntax: boolSyntax, off: "no", boolean: true, doc: "A user name space."},
	{name: "DynamicUser", syntax: boolSyntax, off: "no", boolean: true, doc: "A user made for the unit's run."},
	{name: "LogNamespace", syntax: "text", form: unit.FormText, doc: "A log of its own."},
	// system calls
	{name: "SystemCallFilter", syntax: "list of system calls and @groups, perhaps after ~", form: unit.FormWords, adds: true, doc: "Which system calls are allowed."},
	{name: "SystemCallArchitectures", syntax: "list of architectures", form: unit.FormWords, adds: true, doc: "Which architectures' system calls are allowed."},
	{name: "SystemCallLog", syntax: "list of system calls and @groups", form: unit.FormWords, adds: true, doc: "Which system calls are logged."},
	{name: "MemoryDenyWriteExecute", syntax: boolSyntax, off: "no", boolean: true, doc: "No memory that is writable and executable."},
	{name: "RestrictNamespaces", syntax: "boolean, or list of cgroup ipc net mnt pid user uts, perhaps after ~", form: unit.FormWords, off: "no", offFunc: func(v string) bool {
		b, err := unit.ParseBool(v)
		return err == nil && !b
	}, doc: "Which name spaces can be made."},
	{name: "RestrictRealtime", syntax: boolSyntax, off: "no", boolean: true, doc: "No real-time scheduling."},
	{name: "RestrictSUIDSGID", syntax: boolSyntax, off: "no", boolean: true, doc: "No set-user-ID files."},
	{name: "RestrictAddressFamilies", syntax: "none, or list of AF_..., perhaps after ~", form: unit.FormWords, adds: true, doc: "Which sockets can be made."},
	{name: "RestrictFileSystems", syntax: "list of file systems and @groups, perhaps after ~", form: unit.FormWords, adds: true, doc: "Which file systems can be used."},
	{name: "LockPersonality", syntax: boolSyntax, off: "no", boolean: true, doc: "No change of personality(2)."},
	{name: "Personality", syntax: "x86|x86-64|arm64|...", doc: "The architecture that uname(2) shows."},
	// labels and sessions
	{name: "SELinuxContext", syntax: "label, perhaps after -", form: unit.FormText, offFunc: optional, doc: "SELinux label."},
	{name: "AppArmorProfile", syntax: "profile, perhaps after -", form: unit.FormText, offFunc: optional, doc: "AppArmor profile."},
	{name: "SmackProcessLabel", syntax: "label, perhaps after -", form: unit.FormText, offFunc: optional, doc: "Smack label."},
	{name: "PAMName", syntax: "text", form: unit.FormText, doc: "A PAM session."},
	// data that the process would miss
	{name: "SetCredential", syntax: "ID:VALUE", form: unit.FormText, adds: true, doc: "Credentials in the unit file."},
	{name: "SetCredentialEncrypted", syntax: "ID:VALUE", form: unit.FormText, adds: true, doc: "Encrypted credentials in the unit file."},
	{name: "LoadCredential", syntax: "ID or ID:PATH", form: unit.FormText, adds: true, offFunc: inherited, doc: "Credentials from files; those of the system are none and skipped."},
	{name: "LoadCredentialEncrypted", syntax: "ID or ID:PATH", form: unit.FormText, adds: true, offFunc: inherited, doc: "Encrypted credentials from files; those of the system are none and skipped."},
	{name: "StandardInputText", syntax: "text", form: unit.FormText, adds: true, doc: "Text for StandardInput=data."},
	{name: "StandardInputData", syntax: "base64", adds: true, doc: "Bytes for StandardInput=data."},
}

// inertKeys are accepted and do nothing; Doc says why that does no harm.
func inertKeys(section string) []unit.Key {
	var keys []unit.Key
	for _, k := range inertTable {
		keys = append(keys, unit.Bind(unit.Key{Section: section, Name: k.name, Form: unit.FormText, Syntax: k.syntax, Doc: k.doc, Support: unit.Inert},
			func(c *Context, v string) error { return checkSyntax(k.syntax, v) }))
	}
	return append(keys, textKey(section, "UtmpIdentifier", "text", "Kept; no utmp record is written: who(1) does not list the terminal, the login works.",
		func(c *Context) *string { return &c.UtmpIdentifier }))
}

// checkSyntax checks what the inert keys take; empty resets.
func checkSyntax(syntax, v string) error {
	if v == "" {
		return nil
	}
	switch syntax {
	case boolSyntax:
		_, err := unit.ParseBool(v)
		return err
	case "time span in seconds":
		_, err := unit.ParseTimespan(v)
		return err
	}
	return nil
}

var inertTable = [...]struct{ name, syntax, doc string }{
	{"SystemCallErrorNumber", "errno name or number", "Only says how SystemCallFilter= answers, which refuses by itself."},
	{"LogLevelMax", "syslog level", "Not applied: more is logged than asked for."},
	{"LogExtraFields", "list of NAME=VALUE", "Not applied: log lines carry no further fields."},
	{"LogRateLimitIntervalSec", "time span in seconds", "Not applied: nothing is dropped."},
	{"LogRateLimitBurst", "unsigned number", "Not applied: nothing is dropped."},
	{"RemoveIPC", boolSyntax, "Not applied: System V IPC objects stay behind when the unit stops."},
	{"TimeoutCleanSec", "time span in seconds", "Not applied: directories are removed without a process that could hang."},
	{"UtmpMode", "init|login|user", "Not applied, as no utmp record is written."},
}
