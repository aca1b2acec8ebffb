package linux

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// realize creates the unit's control group and writes its limits. One that already exists is
// kept; what was set before and is set no longer goes back to the kernel's default.
func (w *World) realize(in sys.Intent) error {
	if w.cfg.CGroup == nil || in.CGroup == "" {
		return nil
	}
	set, err := w.settings(in.Spec)
	if err != nil {
		return err
	}
	old := w.cfg.CGroup.Exists(in.CGroup)
	missing, err := w.cfg.CGroup.Create(in.CGroup, set.CGroup.Controllers())
	if err != nil {
		return err
	}
	absent := make(map[string]error)
	for _, m := range missing {
		absent[m.Controller] = m
	}
	files := set.CGroup.Files(w.capacity())
	if old {
		w.resetGroup(in, files, absent)
	}
	for _, f := range files {
		err := absent[f.Controller]
		if err == nil {
			err = w.cfg.CGroup.Set(in.CGroup, f.Name, f.Value)
		}
		switch {
		case err == nil:
		case f.Protects && !w.cfg.AllowDegraded:
			return fmt.Errorf("cannot limit %s: %w", in.Unit, err)
		default:
			w.note(in.Unit, "limit", err)
		}
	}
	// Found empty it is not told: it was empty before anything was started.
	return w.watchGroup(in, false)
}

// resetGroup takes back what earlier settings wrote.
func (w *World) resetGroup(in sys.Intent, files []execspec.CGroupFile, absent map[string]error) {
	wanted := make(map[string]bool, len(files))
	for _, f := range files {
		wanted[f.Name] = true
	}
	for _, r := range execspec.Resets() {
		if wanted[r.Name] || absent[r.Controller] != nil {
			continue
		}
		err := w.cfg.CGroup.Set(in.CGroup, r.Name, r.Value)
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EACCES) {
			w.note(in.Unit, "reset limit", err)
		}
	}
}

// capacity is what percentages refer to.
func (w *World) capacity() execspec.Capacity {
	c := execspec.Capacity{Tasks: 4 << 20}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		c.Memory = uint64(info.Totalram) * uint64(info.Unit)
	}
	for _, path := range [...]string{"/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"} {
		b, err := readSmall(path, make([]byte, 32))
		if err != nil {
			continue // not mounted: the other bound stays
		}
		if n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 64); err == nil {
			c.Tasks = min(c.Tasks, n)
		}
	}
	return c
}
