// Package bootenv finds out what kind of world PID 1 woke up in: the kernel's
// command line, whether this is a container, whether this is the machine's
// own pid namespace. The parsing is pure.
package bootenv
