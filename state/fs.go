package state

import "io"

// FS is the directory that a Log lives in. DirFS is the real one; statetest.FS is one in memory that fails on demand.
// Names have no slash. Errors wrap syscall.Errno values.
type FS interface {
	Prepare() error                               // makes the directory if it is not there
	List() ([]string, error)                      // all names, sorted
	Exists(name string) (bool, error)             //
	Open(name string) (File, error)               // for reading; Truncate works if the file system lets us write
	Create(name string) (File, error)             // empty, for writing and reading; replaces what is there
	Rename(from, to string) error                 // atomic, replaces what is there
	Remove(name string) error                     //
	SyncDir() error                               // makes names durable against power loss
	Lock(name string) (unlock io.Closer, e error) // ErrLocked if another process has it; ends with this process
}

// File is an open file of an FS. It stays readable when its name is removed.
type File interface {
	io.ReaderAt
	io.WriterAt // a partial write returns how much was written
	io.Closer

	Size() (int64, error)
	Linked() (bool, error)         // it still has a name; cheap, called for each commit
	Truncate(size int64) error     // also gives back what Allocate set aside beyond size
	Allocate(from, to int64) error // sets space aside for these bytes without changing the size; ENOTSUP if it cannot
	Sync() error                   // makes the content durable against power loss
}
