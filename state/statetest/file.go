package statetest

import (
	"io"
	"slices"
	"syscall"
)

// file is an open file of an FS.
type file struct {
	fs     *FS
	ino    *inode
	name   string
	closed bool
}

func (f *file) do(kind OpKind, off int64, n int) (int, error) {
	if f.closed {
		return 0, syscall.EBADF
	}
	return f.fs.do(Op{Kind: kind, Name: f.name, Off: off, Len: n})
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if _, err := f.do(OpRead, off, len(p)); err != nil {
		return 0, err
	}
	if off >= int64(len(f.ino.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.ino.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.do(OpWrite, off, len(p))
	end := off + int64(n)
	if room := f.fs.grow(f.ino, end); room < end {
		n, end, err = int(max(0, room-off)), max(off, room), syscall.ENOSPC
	}
	if n == 0 {
		return 0, err
	}
	if grow := end - int64(len(f.ino.data)); grow > 0 {
		f.ino.data = append(f.ino.data, make([]byte, grow)...)
	}
	copy(f.ino.data[off:end], p[:n])
	return n, err
}

// grow says up to which size the file may become if it is to become end.
func (s *FS) grow(ino *inode, end int64) int64 {
	if s.Capacity == 0 || end <= ino.space() {
		return end
	}
	return min(end, ino.space()+max(0, s.Capacity-s.Used()))
}

func (f *file) Size() (int64, error) {
	_, err := f.do(OpSize, 0, 0)
	return int64(len(f.ino.data)), err
}

func (f *file) Linked() (bool, error) {
	_, err := f.do(OpLinked, 0, 0)
	return f.ino.links > 0, err
}

func (f *file) Truncate(size int64) error {
	if _, err := f.do(OpTruncate, 0, int(size)); err != nil {
		return err
	}
	if size > int64(len(f.ino.data)) {
		f.ino.data = append(f.ino.data, make([]byte, size-int64(len(f.ino.data)))...)
	}
	f.ino.data = f.ino.data[:size]
	f.ino.alloc = min(f.ino.alloc, size)
	return nil
}

func (f *file) Allocate(from, to int64) error {
	if _, err := f.do(OpAllocate, from, int(to-from)); err != nil {
		return err
	}
	if f.fs.NoAllocate {
		return syscall.ENOTSUP
	}
	if f.fs.grow(f.ino, to) < to {
		return syscall.ENOSPC
	}
	f.ino.alloc = max(f.ino.alloc, to)
	return nil
}

func (f *file) Sync() error {
	if _, err := f.do(OpSync, 0, 0); err != nil {
		return err
	}
	f.ino.synced = slices.Clone(f.ino.data)
	return nil
}

func (f *file) Close() error {
	if f.closed {
		return syscall.EBADF
	}
	f.closed = true
	f.fs.orphans = slices.DeleteFunc(f.fs.orphans, func(n *inode) bool { return n == f.ino })
	return nil
}
