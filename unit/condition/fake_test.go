package condition

import (
	"errors"
	"io/fs"
	"path"
	"sort"
	"strings"
	"testing/fstest"
)

var errFake = errors.New("broken")

// machine is a Machine made of values. Paths below /broken cannot be read.
type machine struct {
	files   fstest.MapFS // without the leading "/"
	systems map[string]FileSystem
	virt    Virtualization
	who     Identity
	env     []string
	cmdline string
	release string
	arch    string
	memory  uint64
	cpus    int
	err     error // of every question that is not about files
}

func rel(p string) string {
	p = strings.Trim(path.Clean(p), "/")
	if p == "" {
		return "."
	}
	return p
}

func (m *machine) Stat(p string) (File, error) {
	if strings.HasPrefix(p, "/broken") {
		return File{}, errFake
	}
	info, err := fs.Stat(m.files, rel(p))
	if err != nil {
		return File{}, err
	}
	return File{Mode: info.Mode(), Size: info.Size(), MTime: info.ModTime().UnixNano()}, nil
}

func (m *machine) Lstat(p string) (File, error) {
	if f := m.files[rel(p)]; f != nil {
		return File{Mode: f.Mode, Size: int64(len(f.Data)), MTime: f.ModTime.UnixNano()}, nil
	}
	return m.Stat(p)
}

func (m *machine) ReadDir(p string, max int) ([]string, error) {
	if strings.HasPrefix(p, "/broken") {
		return nil, errFake
	}
	entries, err := fs.ReadDir(m.files, rel(p))
	var names []string
	for _, e := range entries {
		if len(names) < max {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	return names, err
}

func (m *machine) ReadFile(p string) ([]byte, error) {
	if strings.HasPrefix(p, "/broken") {
		return nil, errFake
	}
	return fs.ReadFile(m.files, rel(p))
}

func (m *machine) FileSystem(p string) (FileSystem, error) {
	if s, ok := m.systems[p]; ok {
		return s, nil
	}
	_, err := m.Stat(p)
	return FileSystem{}, err
}

func (m *machine) CommandLine() (string, error)            { return m.cmdline, m.err }
func (m *machine) Release() (string, error)                { return m.release, m.err }
func (m *machine) Architecture() (string, error)           { return m.arch, m.err }
func (m *machine) Memory() (uint64, error)                 { return m.memory, m.err }
func (m *machine) CPUs() (int, error)                      { return m.cpus, m.err }
func (m *machine) Virtualization() (Virtualization, error) { return m.virt, m.err }
func (m *machine) HostName() (string, error)               { return "Web1.example.org", m.err }
func (m *machine) MachineID() (string, error)              { return "0123456789abcdef0123456789abcdef", m.err }
func (m *machine) Identity() (Identity, error)             { return m.who, m.err }
func (m *machine) Environ() []string                       { return m.env }
