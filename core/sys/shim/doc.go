// Package shim is the child's side of starting a program: it reads a Plan that its parent
// wrote, puts it into effect in the process that it runs in, and executes the program.
//
// Go cannot run code between fork and exec, and syscall.SysProcAttr knows only some of what a
// service asks for. So a small program (examples/sysmaster/exec: a main that calls Run) is
// executed in between, and becomes the service by a second execve. What it finds:
//
//	0 1 2   standard streams as far as the parent opened them
//	3       the Plan, in a memfd
//	4       the status pipe, written end: see Report
//	5       the directory of the control group to join, if Plan.Join says so
//	5 or 6  and following: the descriptors to pass on as 3, 4, 5 ...
//
// The order of the steps is that of systemd 252, since it can be seen: files are opened as
// root, the working directory is entered as the user.
//
//	control group, standard streams, OOM score, nice, scheduling, I/O priority, timer
//	slack, descriptors, groups, limits, umask, bounding set, root directory, user,
//	capabilities, secure bits, working directory, no_new_privs, signals, exec
//
// The shim's start-up is paid at each spawn, so the package links nothing but syscall: raw
// system calls on one locked thread, no goroutine, no fmt, no os, no x/sys (which costs
// another 0.2 ms of 1.7). For the same reason nothing is unwound: a step that fails
// writes a Report and ends the process with systemd's exit status.
//
// 64-bit Linux only. Nothing here is safe for concurrent use.
package shim
