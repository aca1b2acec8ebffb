package linux

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// paths waits for changes in the file system by inotify(7).
type paths struct {
	fd      int
	buf     []byte
	watches map[pathKey]*pathWatch
	byWD    map[int][]*pathWatch
	read    map[unit.Name]lastRead // what the unit's last ReadPIDFile saw
}

type pathKey struct {
	unit unit.Name
	id   string
}

type pathWatch struct {
	key   pathKey
	cg    string
	parts []watchedPart
}

// watchedPart is one inode on the way: with a name, only that entry of a directory counts.
type watchedPart struct {
	wd   int
	name string
}

type lastRead struct {
	path string
	seen print
}

// print is what changes when a file does. The zero print is "not there".
type print struct {
	ino, size    uint64
	mtime, ctime unix.Timespec
}

func printOf(path string) print {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return print{}
	}
	return print{st.Ino, uint64(st.Size), st.Mtim, st.Ctim}
}

func (w *World) startPaths() error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("cannot watch paths: %w", err)
	}
	w.paths = paths{
		fd: fd, buf: make([]byte, 16384),
		watches: make(map[pathKey]*pathWatch), byWD: make(map[int][]*pathWatch),
		read: make(map[unit.Name]lastRead),
	}
	_, err = w.poll.add(fd, unix.EPOLLIN, func(uint32) { w.readPaths() })
	return err
}

func (p *paths) remember(u unit.Name, path string, seen print) { p.read[u] = lastRead{path, seen} }

// opened is what the worker found on the way to a path: O_PATH descriptors, so that the
// loop can watch the inodes without walking the path, which may hang.
type opened struct {
	fd   int
	name string
}

const (
	fileEvents = unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB | unix.IN_MOVE_SELF | unix.IN_DELETE_SELF
	dirEvents  = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_CLOSE_WRITE | unix.IN_MOVE_SELF | unix.IN_DELETE_SELF
)

// watchPath begins a watch; a change between the unit's last look at the path
// (ReadPIDFile) and this moment counts as well.
func (w *World) watchPath(in sys.Intent, e unit.WatchPath, next func()) {
	w.unwatchPath(in.Unit, e.ID)
	w.pool.run(func() func() {
		found, err := openWay(e.Path)
		return func() {
			defer next()
			pw := &pathWatch{key: pathKey{in.Unit, e.ID}, cg: in.CGroup}
			for _, o := range found {
				if addErr := w.paths.add(pw, o); err == nil {
					err = addErr
				}
				closeFD(o.fd)
			}
			if len(pw.parts) == 0 {
				// No inotify (its limit is per user): look again a little later instead.
				w.note(in.Unit, "watch path", fmt.Errorf("cannot watch %s: %w", e.Path, err))
				w.paths.watches[pw.key] = pw
				w.alarms.set(monotonic()+watchPoll, func() {
					if w.paths.watches[pw.key] == pw {
						w.pathChanged(pw)
					}
				})
				return
			}
			w.outlive(watchPathsKey, w.paths.fd)
			w.paths.watches[pw.key] = pw
			w.recheck(in.Unit, e.Path, pw)
		}
	}, func(err error) { w.note(in.Unit, "watch path", err); next() })
}

const watchPoll = time.Second

// recheck, now that the watch stands, looks whether it came too late.
func (w *World) recheck(u unit.Name, path string, pw *pathWatch) {
	last, ok := w.paths.read[u]
	if !ok || last.path != path {
		return
	}
	w.pool.run(func() func() {
		now := printOf(path)
		return func() {
			if now != last.seen && w.paths.watches[pw.key] == pw {
				w.pathChanged(pw)
			}
		}
	}, func(error) { w.pathChanged(pw) })
}

// openWay opens the path itself, if it is there, and its nearest directory.
func openWay(path string) (found []opened, err error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("cannot watch %q: not an absolute path", path)
	}
	path = filepath.Clean(path)
	if fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0); err == nil {
		found = append(found, opened{fd, ""})
	}
	for path != "/" {
		dir, name := filepath.Dir(path), filepath.Base(path)
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err == nil {
			return append(found, opened{fd, name}), nil
		}
		path = dir
	}
	return found, nil
}

func (p *paths) add(pw *pathWatch, o opened) error {
	mask := uint32(fileEvents)
	if o.name != "" {
		mask = dirEvents
	}
	wd, err := unix.InotifyAddWatch(p.fd, "/proc/self/fd/"+strconv.Itoa(o.fd), mask|unix.IN_MASK_ADD)
	if err != nil {
		return err
	}
	pw.parts = append(pw.parts, watchedPart{wd, o.name})
	p.byWD[wd] = append(p.byWD[wd], pw)
	return nil
}

// remove ends a watch; the last one of an inode ends the kernel's.
func (p *paths) remove(pw *pathWatch) {
	for _, part := range pw.parts {
		list := p.byWD[part.wd]
		for i := range list {
			if list[i] == pw {
				list = append(list[:i], list[i+1:]...)
				break
			}
		}
		if len(list) > 0 {
			p.byWD[part.wd] = list
		} else if _, there := p.byWD[part.wd]; there {
			delete(p.byWD, part.wd)
			// EINVAL: the inode is gone and its watch with it.
			_, _ = unix.InotifyRmWatch(p.fd, uint32(part.wd))
		}
	}
	if p.watches[pw.key] == pw {
		delete(p.watches, pw.key)
	}
}

func (w *World) unwatchPath(u unit.Name, id string) {
	if pw := w.paths.watches[pathKey{u, id}]; pw != nil {
		w.paths.remove(pw)
	}
}

func (w *World) pathChanged(pw *pathWatch) {
	w.paths.remove(pw)
	w.inputs.push(sys.Input{Unit: pw.key.unit, CGroup: pw.cg, Body: unit.PathChanged{ID: pw.key.id}}, nil)
}

func (w *World) readPaths() {
	for {
		n, err := unix.Read(w.paths.fd, w.paths.buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			if err != nil && err != unix.EAGAIN {
				w.note("", "watch path", fmt.Errorf("cannot read inotify: %w", err))
			}
			return
		}
		w.pathEvents(w.paths.buf[:n])
	}
}

func (w *World) pathEvents(b []byte) {
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int(int32(binary.NativeEndian.Uint32(b[0:4])))
		mask := binary.NativeEndian.Uint32(b[4:8])
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:16]))
		if size > len(b) {
			return
		}
		name, _, _ := strings.Cut(string(b[unix.SizeofInotifyEvent:size]), "\x00")
		b = b[size:]
		if mask&unix.IN_Q_OVERFLOW != 0 {
			for _, pw := range w.paths.watches {
				w.pathChanged(pw)
			}
			continue
		}
		for _, pw := range append([]*pathWatch(nil), w.paths.byWD[wd]...) {
			if pw.wants(wd, name) {
				w.pathChanged(pw)
			}
		}
		if mask&unix.IN_IGNORED != 0 {
			delete(w.paths.byWD, wd)
		}
	}
}

// wants reports whether an event of the inode wd, about the entry name, is this watch's.
func (pw *pathWatch) wants(wd int, name string) bool {
	for _, part := range pw.parts {
		if part.wd == wd && (part.name == "" || name == "" || part.name == name) {
			return true
		}
	}
	return false
}
