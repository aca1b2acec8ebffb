package unitfile

import (
	"io/fs"
	"runtime"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Facts are what specifiers say about the machine and the manager (man systemd.unit(5),
// SPECIFIERS). A fact that is empty is missing, and a setting that needs it is refused;
// only those of os-release and PrettyHostName may be empty.
type Facts struct {
	HostName       string // %H, and %l up to the first dot
	PrettyHostName string // %q; %l when empty
	MachineID      string // %m
	BootID         string // %b, without dashes
	KernelRelease  string // %v
	Architecture   string // %a, systemd's word: "x86-64"

	OSID           string // %o
	OSVersionID    string // %w
	OSVariantID    string // %W
	OSBuildID      string // %B
	OSImageID      string // %M
	OSImageVersion string // %A

	UserName, UserID   string // %u, %U: of the manager
	GroupName, GroupID string // %g, %G
	Home, Shell        string // %h, %s

	RuntimeDir string // %t
	StateDir   string // %S
	CacheDir   string // %C
	LogDir     string // %L
	ConfigDir  string // %E
	TmpDir     string // %T
	VarTmpDir  string // %V

	CgroupRoot string // %r, and the beginning of %c and %R; empty is the root, as in systemd
}

// SystemFacts are those of a system manager that are the same everywhere.
func SystemFacts() Facts {
	return Facts{
		Architecture: architecture(runtime.GOARCH),
		UserName:     "root", UserID: "0", GroupName: "root", GroupID: "0", Home: "/root", Shell: "/bin/sh",
		RuntimeDir: "/run", StateDir: "/var/lib", CacheDir: "/var/cache", LogDir: "/var/log",
		ConfigDir: "/etc", TmpDir: "/tmp", VarTmpDir: "/var/tmp",
	}
}

// ReadFacts adds to SystemFacts what the files of a running system say: host name, machine
// and boot id, kernel release, os-release, machine-info and root's shell. A file that is not
// there leaves its facts empty: the settings that need them tell.
func ReadFacts(fsys fs.FS) Facts {
	f := SystemFacts()
	f.HostName = readWord(fsys, "proc/sys/kernel/hostname")
	f.KernelRelease = readWord(fsys, "proc/sys/kernel/osrelease")
	f.BootID = strings.ReplaceAll(readWord(fsys, "proc/sys/kernel/random/boot_id"), "-", "")
	if id := readWord(fsys, "etc/machine-id"); isID(id) {
		f.MachineID = id
	}
	release := readSmall(fsys, "etc/os-release")
	if release == "" {
		release = readSmall(fsys, "usr/lib/os-release")
	}
	shellVars(release, map[string]*string{
		"ID": &f.OSID, "VERSION_ID": &f.OSVersionID, "VARIANT_ID": &f.OSVariantID,
		"BUILD_ID": &f.OSBuildID, "IMAGE_ID": &f.OSImageID, "IMAGE_VERSION": &f.OSImageVersion,
	})
	shellVars(readSmall(fsys, "etc/machine-info"), map[string]*string{"PRETTY_HOSTNAME": &f.PrettyHostName})
	for line := range strings.Lines(readSmall(fsys, "etc/passwd")) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) == 7 && fields[2] == "0" && fields[6] != "" {
			f.Shell = fields[6]
			break
		}
	}
	return f
}

// readSmall reads a file through symbolic links, up to 64 KiB; what cannot be read is empty.
func readSmall(fsys fs.FS, name string) string {
	t := tree{fs: fsys}
	p, err := t.resolve("/" + name)
	if err != nil {
		return ""
	}
	text, err := t.read(p, 64<<10)
	if err != nil {
		return ""
	}
	return text
}

func readWord(fsys fs.FS, name string) string { return strings.TrimSpace(readSmall(fsys, name)) }

// isID tells a machine id from "uninitialized" and rubbish.
func isID(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == "" && strings.Trim(s, "0") != ""
}

// shellVars reads NAME=value lines as os-release(5) has them.
func shellVars(text string, into map[string]*string) {
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		field := into[name]
		if !ok || field == nil {
			continue
		}
		if words, err := unit.SplitWords(value); err == nil && len(words) == 1 {
			*field = words[0]
		}
	}
}

// architecture is systemd's word for Go's.
func architecture(goarch string) string {
	switch goarch {
	case "amd64":
		return "x86-64"
	case "386":
		return "x86"
	case "ppc64le":
		return "ppc64-le"
	case "mipsle":
		return "mips-le"
	case "mips64le":
		return "mips64-le"
	case "loong64":
		return "loongarch64"
	case "s390x", "arm64", "arm", "riscv64", "ppc64", "mips", "mips64":
		return goarch
	}
	return ""
}
