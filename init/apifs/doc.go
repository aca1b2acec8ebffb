// Package apifs gives PID 1 the kernel's file systems and the few kernel
// settings that must be right before the first process: a list of actions as
// values, which can be printed before anything is done.
//
// Nothing is ever mounted over what is already there, and nothing is mounted
// anew: what an initramfs, a container manager or a previous init left stays.
// In a container some actions are forbidden; those errors are Forbidden, and expected.
package apifs
