package statetest

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"github.com/sysmaster-go/sysmaster/state"
)

// OpKind is a kind of operation on an FS.
type OpKind string

// The operations. Those that only look are counted too: any of them can fail.
const (
	OpPrepare  OpKind = "prepare"
	OpList     OpKind = "list"
	OpExists   OpKind = "exists"
	OpOpen     OpKind = "open"
	OpCreate   OpKind = "create"
	OpRename   OpKind = "rename"
	OpRemove   OpKind = "remove"
	OpSyncDir  OpKind = "syncdir"
	OpLock     OpKind = "lock"
	OpRead     OpKind = "read"
	OpWrite    OpKind = "write"
	OpSize     OpKind = "size"
	OpLinked   OpKind = "linked"
	OpTruncate OpKind = "truncate"
	OpAllocate OpKind = "allocate"
	OpSync     OpKind = "sync"
)

// Changes reports whether the operation changes what is stored: these are the crash points.
func (k OpKind) Changes() bool {
	switch k {
	case OpCreate, OpRename, OpRemove, OpWrite, OpTruncate, OpAllocate, OpSync, OpSyncDir:
		return true
	}
	return false
}

// Op is one operation, as a Fault sees it before it is done.
type Op struct {
	N    int // counts all operations of the FS, from 1
	Kind OpKind
	Name string
	To   string // OpRename
	Off  int64  // OpRead, OpWrite, OpAllocate
	Len  int    // OpRead, OpWrite: bytes; OpTruncate: the new size
}

// Outcome is what happens to an operation. The zero value lets it be done.
type Outcome struct {
	Err   error // it fails with this, normally a syscall.Errno
	Write int   // OpWrite with Err or Crash: so many bytes are written all the same (a torn write)
	Crash bool  // the process dies here: this and every later operation fails with ErrCrashed
	After bool  // with Crash: only after the operation was done
}

// ErrCrashed is what every operation says once the process that uses the FS is dead.
var ErrCrashed = errors.New("the process crashed")

// inode is a file's content.
type inode struct {
	data   []byte
	synced []byte // what a power cut leaves
	alloc  int64  // space set aside
	links  int
}

func (n *inode) space() int64 { return max(int64(len(n.data)), n.alloc) }

// FS is a directory in memory that fails on demand: a state.FS for the tests of whoever keeps state, ours included.
// The zero value is an empty directory without a bound.
//
// A crash of the process (Crash in an Outcome, or simply ceasing to use the Log) loses nothing that was written, and
// Restart gives the directory as the next process finds it. PowerCut gives what a power failure leaves: content as
// of the last Sync of each file and names as of the last SyncDir, but that a removal may come true before a rename that
// was done earlier.
type FS struct {
	// Fault decides the outcome of each operation; nil lets all be done.
	Fault func(Op) Outcome
	// Capacity bounds the bytes of all files, space set aside included; 0 is no bound.
	Capacity int64
	// ReadOnly makes every change fail with EROFS.
	ReadOnly bool
	// NoAllocate makes Allocate fail with ENOTSUP.
	NoAllocate bool

	ops     int
	crashed bool
	gone    bool
	locked  bool
	names   map[string]*inode
	durable map[string]*inode
	orphans []*inode // without a name, still open
}

// Interface guards.
var (
	_ state.FS   = (*FS)(nil)
	_ state.File = (*file)(nil)
)

// do counts an operation and says whether it may be done; n is how much of a write is.
func (s *FS) do(op Op) (n int, err error) {
	s.ops++
	op.N = s.ops
	if s.crashed {
		return 0, ErrCrashed
	}
	var out Outcome
	if s.Fault != nil {
		out = s.Fault(op)
	}
	switch {
	case out.Crash && out.After:
		s.crashed = true
		return op.Len, nil
	case out.Crash:
		s.crashed = true
		return min(out.Write, op.Len), ErrCrashed
	case out.Err != nil:
		return min(out.Write, op.Len), out.Err
	case s.ReadOnly && op.Kind.Changes():
		return 0, syscall.EROFS
	}
	return op.Len, nil
}

// Ops is the number of operations so far.
func (s *FS) Ops() int { return s.ops }

// Used is the space that all files take, those included that have no name any more but are open.
func (s *FS) Used() (n int64) {
	for _, ino := range s.names {
		n += ino.space()
	}
	for _, ino := range s.orphans {
		n += ino.space()
	}
	return n
}

// Restart returns the directory as the next process finds it: a copy, without faults, with the same capacity.
func (s *FS) Restart() *FS {
	next := &FS{Capacity: s.Capacity, ReadOnly: s.ReadOnly, NoAllocate: s.NoAllocate}
	next.names = copyNames(s.names, func(n *inode) []byte { return n.data })
	next.durable = copyNames(s.durable, func(n *inode) []byte { return n.synced })
	return next
}

// PowerCut returns the directory as it is after a power failure.
func (s *FS) PowerCut() *FS {
	next := &FS{Capacity: s.Capacity, ReadOnly: s.ReadOnly, NoAllocate: s.NoAllocate}
	next.names = copyNames(s.durable, func(n *inode) []byte { return n.synced })
	next.durable = copyNames(s.durable, func(n *inode) []byte { return n.synced })
	return next
}

func copyNames(names map[string]*inode, content func(*inode) []byte) map[string]*inode {
	out := make(map[string]*inode, len(names))
	for name, ino := range names {
		out[name] = &inode{data: slices.Clone(content(ino)), synced: slices.Clone(ino.synced), links: 1,
			alloc: min(ino.alloc, 1<<40)}
	}
	return out
}

// Names returns the names of all files, sorted.
func (s *FS) Names() []string {
	names := make([]string, 0, len(s.names))
	for name := range s.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Content returns a copy of a file, nil if there is none.
func (s *FS) Content(name string) []byte {
	if ino := s.names[name]; ino != nil {
		return slices.Clone(ino.data)
	}
	return nil
}

// Put makes a file with this content, durable.
func (s *FS) Put(name string, data []byte) {
	s.init()
	ino := &inode{data: slices.Clone(data), synced: slices.Clone(data), links: 1}
	s.names[name], s.durable[name] = ino, ino
}

// Flip inverts one bit of a file.
func (s *FS) Flip(name string, off int64, bit uint) { s.names[name].data[off] ^= 1 << (bit % 8) }

// Cut shortens a file.
func (s *FS) Cut(name string, size int64) { s.names[name].data = s.names[name].data[:size] }

// Vanish removes the directory and all files in it. Open files go on working, as they do on Linux.
func (s *FS) Vanish() {
	for _, name := range s.Names() {
		s.unlink(name)
	}
	s.gone = true
}

func (s *FS) init() {
	if s.names == nil {
		s.names, s.durable = make(map[string]*inode), make(map[string]*inode)
	}
}

func (s *FS) unlink(name string) {
	if ino := s.names[name]; ino != nil {
		ino.links = 0
		s.orphans = append(s.orphans, ino)
		delete(s.names, name)
	}
}

// Prepare makes the directory.
func (s *FS) Prepare() error {
	s.init()
	if _, err := s.do(Op{Kind: OpPrepare}); err != nil {
		return err
	}
	if s.gone && s.ReadOnly {
		return syscall.EROFS
	}
	s.gone = false
	return nil
}

// List returns all names, sorted.
func (s *FS) List() ([]string, error) {
	if _, err := s.do(Op{Kind: OpList}); err != nil {
		return nil, err
	}
	return s.Names(), nil
}

// Exists reports whether there is such a file.
func (s *FS) Exists(name string) (bool, error) {
	_, err := s.do(Op{Kind: OpExists, Name: name})
	return s.names[name] != nil && err == nil, err
}

// Open opens a file.
func (s *FS) Open(name string) (state.File, error) {
	if _, err := s.do(Op{Kind: OpOpen, Name: name}); err != nil {
		return nil, err
	}
	ino := s.names[name]
	if ino == nil {
		return nil, syscall.ENOENT
	}
	return &file{fs: s, ino: ino, name: name}, nil
}

// Create makes an empty file in place of what is there.
func (s *FS) Create(name string) (state.File, error) {
	if _, err := s.do(Op{Kind: OpCreate, Name: name}); err != nil {
		return nil, err
	}
	if s.gone {
		return nil, syscall.ENOENT
	}
	s.init()
	s.unlink(name)
	ino := &inode{links: 1}
	s.names[name] = ino
	return &file{fs: s, ino: ino, name: name}, nil
}

// Rename moves a file over another.
func (s *FS) Rename(from, to string) error {
	if _, err := s.do(Op{Kind: OpRename, Name: from, To: to}); err != nil {
		return err
	}
	ino := s.names[from]
	if ino == nil {
		return syscall.ENOENT
	}
	s.unlink(to)
	delete(s.names, from)
	s.names[to] = ino
	return nil
}

// Remove removes a file.
func (s *FS) Remove(name string) error {
	if _, err := s.do(Op{Kind: OpRemove, Name: name}); err != nil {
		return err
	}
	if s.names[name] == nil {
		return syscall.ENOENT
	}
	s.unlink(name)
	delete(s.durable, name)
	return nil
}

// SyncDir makes the names durable.
func (s *FS) SyncDir() error {
	if _, err := s.do(Op{Kind: OpSyncDir}); err != nil {
		return err
	}
	s.durable = make(map[string]*inode, len(s.names))
	for name, ino := range s.names {
		s.durable[name] = ino
	}
	return nil
}

// Lock takes the directory's lock, whatever its name.
func (s *FS) Lock(name string) (io.Closer, error) {
	if _, err := s.do(Op{Kind: OpLock, Name: name}); err != nil {
		return nil, err
	}
	if s.locked {
		return nil, state.ErrLocked
	}
	s.locked = true
	return unlocker{s}, nil
}

type unlocker struct{ fs *FS }

func (u unlocker) Close() error {
	u.fs.locked = false
	return nil
}

// String lists the files with their sizes.
func (s *FS) String() string {
	var b strings.Builder
	for _, name := range s.Names() {
		fmt.Fprintf(&b, "%s:%d ", name, len(s.names[name].data))
	}
	return strings.TrimSpace(b.String())
}
