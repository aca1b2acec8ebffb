package main

import (
	"crypto/rand"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/cgroup"
	"github.com/sysmaster-go/sysmaster/core/control"
	"github.com/sysmaster-go/sysmaster/core/sys/linux"
)

// ownGroup is where init and the core live: a group with controllers for its children may
// hold no processes of its own.
const ownGroup = "init.scope"

// openCgroups finds the managed root; nil where there is none that can be written to.
func openCgroups(con *console) (*cgroup.Root, string) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		con.fail("cgroup", err)
		return nil, ""
	}
	layout, err := cgroup.ParseLayout(text)
	if err != nil {
		con.fail("cgroup: processes are tracked by their environment, which is weaker", err)
		return nil, ""
	}
	root, err := cgroup.OpenRoot(layout.Unified)
	for _, pid := range []int{1, os.Getpid()} {
		// A core that follows another one finds both where they belong. Moving a process makes
		// the kernel wait for a grace period, and that is most of a short start.
		if err != nil || inOwnGroup(pid) {
			continue
		}
		if _, err = root.Create(ownGroup, nil); err == nil {
			err = root.Attach(ownGroup, pid)
		}
	}
	if err != nil {
		con.fail("cgroup: processes are tracked by their environment, which is weaker", err)
		return nil, ""
	}
	return root, "/"
}

func inOwnGroup(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	return err == nil && strings.Contains("\n"+string(text), "\n0::/"+ownGroup+"\n")
}

// groupReader reads control groups for clients.
type groupReader struct {
	root *cgroup.Root
	path string
}

func newGroupReader(root *cgroup.Root, path string) control.CGroups {
	if root == nil {
		return nil
	}
	return &groupReader{root, path}
}

// Value reads one number of a file.
func (g *groupReader) Value(path, file, key string) (uint64, bool) {
	text, err := g.root.Get(path, file)
	if err != nil {
		return 0, false
	}
	if key != "" {
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(line, key+" "); ok {
				n, err := strconv.ParseUint(strings.TrimSpace(rest), 10, 64)
				return n, err == nil
			}
		}
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	return n, err == nil
}

// Processes lists the group's processes and those below it.
func (g *groupReader) Processes(path string) ([]control.Process, error) {
	var out []control.Process
	err := g.root.Walk(path, false, func(p string) error {
		return g.root.Procs(p, func(pid int) bool {
			out = append(out, control.Process{CGroup: p, PID: pid, Command: commandLine(pid)})
			return true
		})
	})
	return out, err
}

// Of finds a process's group.
func (g *groupReader) Of(pid int) (string, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(text)) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "0::/"); ok {
			return p, true
		}
	}
	return "", false
}

func commandLine(pid int) string {
	dir := "/proc/" + strconv.Itoa(pid)
	if text, err := os.ReadFile(dir + "/cmdline"); err == nil && len(text) > 0 {
		return strings.ReplaceAll(strings.TrimRight(string(text), "\x00"), "\x00", " ")
	}
	name, err := os.ReadFile(dir + "/comm")
	if err != nil {
		return "[gone]"
	}
	return "[" + strings.TrimSpace(string(name)) + "]"
}

// controlSocket takes the private socket over from init, or makes it and has init keep it,
// so that clients that connect while the core is away are served by the next one.
func controlSocket(w *linux.World) (*net.UnixListener, error) {
	if !w.Held(controlKey) {
		l, err := control.Listen(privatePath)
		if err != nil {
			return nil, err
		}
		f, err := l.File()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := w.Keep(controlKey, int(f.Fd())); err != nil {
			return nil, err
		}
		return l, nil
	}
	f, err := w.File(controlKey)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	u := l.(*net.UnixListener)
	u.SetUnlinkOnClose(false)
	return u, nil
}

func randomSeed() (seed [16]byte, err error) {
	_, err = rand.Read(seed[:])
	return seed, err
}
