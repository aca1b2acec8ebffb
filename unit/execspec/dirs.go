package execspec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// DirectoryKind is one of the five families of managed directories (man systemd.exec(5),
// RuntimeDirectory=).
type DirectoryKind uint8

const (
	RuntimeDirectory DirectoryKind = iota
	StateDirectory
	CacheDirectory
	LogsDirectory
	ConfigurationDirectory
	NumDirectoryKinds
)

var directoryKinds = [NumDirectoryKinds]struct{ key, base, env string }{
	{"RuntimeDirectory", "/run", "RUNTIME_DIRECTORY"},
	{"StateDirectory", "/var/lib", "STATE_DIRECTORY"},
	{"CacheDirectory", "/var/cache", "CACHE_DIRECTORY"},
	{"LogsDirectory", "/var/log", "LOGS_DIRECTORY"},
	{"ConfigurationDirectory", "/etc", "CONFIGURATION_DIRECTORY"},
}

// String is the setting's name.
func (k DirectoryKind) String() string { return directoryKinds[k].key }

// DirectorySet are the directories of one kind.
type DirectorySet struct {
	Names []DirectoryName
	Mode  uint32
}

// DirectoryName is one managed directory below its kind's base.
type DirectoryName struct {
	Name  string   // relative, normalised
	Links []string // further names that are symbolic links to it
}

// Paths are the absolute paths of kind k.
func (c *Context) Paths(k DirectoryKind) []string {
	var out []string
	for _, n := range c.Directories[k].Names {
		out = append(out, directoryKinds[k].base+"/"+n.Name)
	}
	return out
}

// ManagedDirs are all directories to make before a start, owned as systemd has it: all but
// ConfigurationDirectory belong to User= and Group=.
func (c *Context) ManagedDirs() []unit.Dir {
	var out []unit.Dir
	for k := DirectoryKind(0); k < NumDirectoryKinds; k++ {
		out = append(out, c.kindDirs(k)...)
	}
	return out
}

// RuntimeDirs are the directories to remove after a stop.
func (c *Context) RuntimeDirs() []unit.Dir { return c.kindDirs(RuntimeDirectory) }

func (c *Context) kindDirs(k DirectoryKind) []unit.Dir {
	var out []unit.Dir
	for _, p := range c.Paths(k) {
		d := unit.Dir{Path: p, Mode: c.Directories[k].Mode}
		if k != ConfigurationDirectory {
			d.User, d.Group = c.User, c.Group
		}
		out = append(out, d)
	}
	return out
}

// DirectoryEnv are the variables RUNTIME_DIRECTORY and so on; several paths are joined by ":".
func (c *Context) DirectoryEnv() []string {
	var out []string
	for k := DirectoryKind(0); k < NumDirectoryKinds; k++ {
		if p := c.Paths(k); len(p) > 0 {
			out = append(out, directoryKinds[k].env+"="+strings.Join(p, ":"))
		}
	}
	return out
}

func directoryKeys(section string) []unit.Key {
	var keys []unit.Key
	for k := DirectoryKind(0); k < NumDirectoryKinds; k++ {
		keys = append(keys,
			unit.Bind(unit.Key{Section: section, Name: directoryKinds[k].key, Form: unit.FormWords,
				Syntax: "list of relative paths", Doc: "Directories below " + directoryKinds[k].base + " made before the start."},
				func(c *Context, v string) error { return setDirectories(&c.Directories[k], k, v) }),
			unit.Bind(unit.Key{Section: section, Name: directoryKinds[k].key + "Mode", Syntax: "access mode in octal", Default: "0755",
				Doc: "Access mode of the directories of " + directoryKinds[k].key + "=."},
				func(c *Context, v string) error { return setMode(&c.Directories[k].Mode, v) }))
	}
	return append(keys, unit.Bind(unit.Key{Section: section, Name: "RuntimeDirectoryPreserve", Syntax: "yes|no|restart", Default: "no",
		Doc: "Whether runtime directories outlive the unit."}, func(c *Context, v string) error {
		if v == "restart" {
			c.RuntimeDirectoryPreserve = PreserveRestart
			return nil
		}
		b, err := unit.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%q is not valid (valid: yes, no, restart)", v)
		}
		c.RuntimeDirectoryPreserve = PreserveNo
		if b {
			c.RuntimeDirectoryPreserve = PreserveYes
		}
		return nil
	}))
}

// maxDirectories bounds what one kind may hold.
const maxDirectories = 256

func setDirectories(set *DirectorySet, k DirectoryKind, v string) error {
	if v == "" {
		set.Names = nil
		return nil
	}
	words, err := unit.SplitWords(v)
	if err != nil {
		return err
	}
	names := slices.Clone(set.Names)
	var bad []string
	for _, w := range words {
		src, link, hasLink := strings.Cut(w, ":")
		name, err := managedPath(src)
		if err == nil && hasLink && (k == ConfigurationDirectory) {
			err = errors.New("links are not possible here")
		}
		if err == nil && hasLink {
			link, err = managedPath(link)
		}
		if err != nil || len(names) >= maxDirectories {
			bad = append(bad, w)
			continue
		}
		names = addDirectory(names, name, link, hasLink)
	}
	set.Names = names
	if bad != nil {
		return &unit.Partial{Text: fmt.Sprintf("%q ignored (valid: relative paths without \"..\", not \"private\")", bad)}
	}
	return nil
}

func addDirectory(names []DirectoryName, name, link string, hasLink bool) []DirectoryName {
	i := slices.IndexFunc(names, func(n DirectoryName) bool { return n.Name == name })
	if i < 0 {
		names = append(names, DirectoryName{Name: name})
		i = len(names) - 1
	}
	if hasLink {
		names[i].Links = append(slices.Clone(names[i].Links), link)
	}
	return names
}

func managedPath(w string) (string, error) {
	if strings.HasPrefix(w, "/") {
		return "", errors.New("it is absolute")
	}
	p, err := unit.SimplifyPath(w)
	if err != nil {
		return "", err
	}
	if first, _, _ := strings.Cut(p, "/"); p == "." || first == "private" {
		return "", errors.New("it is reserved")
	}
	return p, nil
}
