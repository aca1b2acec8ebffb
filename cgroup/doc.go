// Package cgroup works on a control group v2 tree through the kernel's files
// (Documentation/admin-guide/cgroup-v2.rst), with raw system calls relative to one
// directory descriptor, so that it also works on a directory made by a test.
//
//	Layout   where cgroup2 is mounted (pure: from the text of /proc/self/mountinfo)
//	Root     create, remove, set, list, signal, kill, freeze, mark below one directory
//	Watcher  one inotify descriptor that tells which groups changed state
//
// All paths are relative to the Root ("system.slice/ssh.service"; "" is the root itself),
// without "." or ".." components. A Root and the descriptors it gives may be used from
// several goroutines at once; a Watcher belongs to one.
//
// Nothing here waits: killing and freezing are asked for, and the kernel tells by
// cgroup.events when they are done.
package cgroup
