// Package proc reads the few files of /proc that PID 1 needs, into a buffer
// that the caller owns: PID 1 does this for every process that ends, and
// should not feed its garbage collector with it. Parsers are pure, bounded,
// and take nothing for granted: a process chooses its own name.
package proc
