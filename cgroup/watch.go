package cgroup

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"

	"golang.org/x/sys/unix"
)

// Watcher tells which groups changed: it became empty or populated, frozen or thawed
// (cgroup.events), or something happened to its memory (memory.events). One inotify
// descriptor serves all groups, for an epoll loop; what changed is then read from the Root.
type Watcher struct {
	root    *Root
	fd      int
	byWatch map[int32]string
	byPath  map[string][]int32
	buf     []byte
}

// NewWatcher makes a Watcher for groups below root.
func NewWatcher(root *Root) (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot watch control groups: %w", err)
	}
	return &Watcher{
		root: root, fd: fd,
		byWatch: make(map[int32]string), byPath: make(map[string][]int32),
		buf: make([]byte, 4096),
	}, nil
}

// FD becomes readable when Read has something to tell.
func (w *Watcher) FD() int { return w.fd }

// Close ends all watches.
func (w *Watcher) Close() error { return unix.Close(w.fd) }

// Add watches a group; twice is the same as once. The caller looks at the state of the group
// after Add: what happened before is not told.
func (w *Watcher) Add(path string) error {
	if _, ok := w.byPath[path]; ok {
		return nil
	}
	if err := check(path); err != nil {
		return fmt.Errorf("cannot watch control group: %w", err)
	}
	for i, file := range [...]string{"cgroup.events", "memory.events"} {
		wd, err := unix.InotifyAddWatch(w.fd, w.root.Path(path)+"/"+file, unix.IN_MODIFY)
		if err == unix.ENOENT && i > 0 {
			continue // no memory controller here
		}
		if err != nil {
			w.Remove(path)
			return fmt.Errorf("cannot watch %s of control group %q: %w", file, path, err)
		}
		w.byWatch[int32(wd)] = path
		w.byPath[path] = append(w.byPath[path], int32(wd))
	}
	return nil
}

// HasMemory reports whether memory.events of a watched group is watched as well: without the
// memory controller there is none.
func (w *Watcher) HasMemory(path string) bool { return len(w.byPath[path]) > 1 }

// Remove ends the watch of a group, which may be gone already.
func (w *Watcher) Remove(path string) {
	for _, wd := range w.byPath[path] {
		if w.byWatch[wd] == path {
			delete(w.byWatch, wd)
			// The kernel has dropped the watch itself if the group is gone: nothing to do then.
			_, _ = unix.InotifyRmWatch(w.fd, uint32(wd))
		}
	}
	delete(w.byPath, path)
}

// Read calls f once for each watched group that changed since the last Read, sorted by path,
// and returns when there is nothing more. When the kernel lost events, f gets every group.
func (w *Watcher) Read(f func(path string)) error {
	changed := make(map[string]bool)
	for {
		n, err := unix.Read(w.fd, w.buf)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN || (err == nil && n == 0) {
			break
		}
		if err != nil {
			return fmt.Errorf("cannot read control group events: %w", err)
		}
		w.collect(w.buf[:n], changed)
	}
	paths := make([]string, 0, len(changed))
	for p := range changed {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	for _, p := range paths {
		f(p)
	}
	return nil
}

func (w *Watcher) collect(events []byte, changed map[string]bool) {
	for len(events) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(events[0:4]))
		mask := binary.NativeEndian.Uint32(events[4:8])
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:16]))
		if size > len(events) {
			return
		}
		events = events[size:]
		if mask&unix.IN_Q_OVERFLOW != 0 {
			for p := range w.byPath {
				changed[p] = true
			}
			continue
		}
		path, ok := w.byWatch[wd]
		if !ok {
			continue // removed meanwhile
		}
		changed[path] = true
		if mask&unix.IN_IGNORED != 0 {
			delete(w.byWatch, wd) // the number may be given out again
		}
	}
}

func nativeUint16(b []byte) uint16 { return binary.NativeEndian.Uint16(b) }

func cstring(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
