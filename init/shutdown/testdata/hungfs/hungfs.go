package hungfs

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// FS is a mounted one.
type FS struct {
	dev    int
	point  string
	silent atomic.Bool
	asked  atomic.Int32
}

// Requests that it knows.
const (
	fuseLookup  = 1
	fuseForget  = 2
	fuseGetattr = 3
	fuseInit    = 26
	fuseForgets = 42
)

const (
	nodeRoot  = 1
	nodeBelow = 2
	nodeFile  = 3
)

// Mount mounts one on a directory; the server is this process. An error means that it is not possible here.
func Mount(point string) (*FS, error) {
	dev, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open /dev/fuse: %w", err)
	}
	if err := unix.Mount("hung", point, "fuse", 0, "fd="+strconv.Itoa(dev)+",rootmode=40000,user_id=0,group_id=0"); err != nil {
		_ = unix.Close(dev)
		return nil, fmt.Errorf("cannot mount %s: %w", point, err)
	}
	f := &FS{dev: dev, point: point}
	go f.serve()
	return f, nil
}

func (f *FS) serve() {
	b := make([]byte, 64<<10)
	for {
		n, err := unix.Read(f.dev, b)
		if err == unix.EINTR || err == unix.ENOENT { // ENOENT: the request was interrupted
			continue
		}
		if err != nil { // ENODEV: unmounted or aborted
			return
		}
		f.answer(b[:n])
	}
}

func (f *FS) answer(request []byte) {
	le := binary.LittleEndian
	op, unique, node := le.Uint32(request[4:]), le.Uint64(request[8:]), le.Uint64(request[16:])
	if f.silent.Load() {
		f.asked.Add(1)
		return
	}
	var out []byte
	switch op {
	case fuseForget, fuseForgets:
		return
	case fuseInit:
		out = make([]byte, 64)
		le.PutUint32(out, 7)
		le.PutUint32(out[4:], 31)
		le.PutUint32(out[20:], 4096) // max_write
	case fuseLookup:
		var id uint64
		switch string(request[40 : len(request)-1]) {
		case "below":
			id = nodeBelow
		case "file":
			id = nodeFile
		}
		if id != 0 {
			out = make([]byte, 40, 128) // how long it may be remembered: 0
			le.PutUint64(out, id)
			out = append(out, attributes(id)...)
		}
	case fuseGetattr:
		out = append(make([]byte, 16), attributes(node)...)
	}
	head := make([]byte, 16)
	le.PutUint32(head, uint32(16+len(out)))
	if out == nil {
		no := -int32(unix.ENOSYS)
		if op == fuseLookup {
			no = -int32(unix.ENOENT)
		}
		le.PutUint32(head[4:], uint32(no))
	}
	le.PutUint64(head[8:], unique)
	_, _ = unix.Write(f.dev, append(head, out...)) // ENOENT: who asked has gone
}

// attributes is struct fuse_attr.
func attributes(id uint64) []byte {
	a := make([]byte, 88)
	le := binary.LittleEndian
	le.PutUint64(a, id)
	mode := uint32(unix.S_IFDIR | 0o755)
	if id == nodeFile {
		mode = unix.S_IFREG | 0o644
	}
	le.PutUint32(a[60:], mode)
	le.PutUint32(a[64:], 1) // links
	return a
}

// Silence begins the silence.
func (f *FS) Silence() { f.silent.Store(true) }

// Asked is how many requests have not been answered.
func (f *FS) Asked() int { return int(f.asked.Load()) }

// Abort has the kernel answer every request itself: without it a process whose thread waits for an
// answer never ends.
func (f *FS) Abort() {
	_ = unix.Unmount(f.point, unix.MNT_FORCE) // busy, or unmounted already: it is aborted in any case ...
	_ = unix.Close(f.dev)                     // ... at the latest when nobody has this any more
}
