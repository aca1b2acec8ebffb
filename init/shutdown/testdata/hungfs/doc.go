// Package hungfs is a FUSE file system whose server falls silent, for tests of whoever must not wait for
// one: it has a directory "below" and an empty file "file", reads every request and, once it is
// silent, answers none. Who asked then waits where no signal, not even SIGKILL, reaches it
// (linux/fuse.h, Documentation/filesystems/fuse.rst).
package hungfs
