// Command sandbox boots the reference sysMaster as PID 1 in throw-away namespaces, so that
// it can be looked at on any Linux machine. Nothing on the host is touched: the root is a
// tmpfs that ends with PID 1, the host's programs are mounted into it read-only, and the
// groups that it makes in the host's cgroup tree are removed at the end.
//
//	sandbox [--keep] [--console] [--timeout DURATION] [--option KEY=VALUE...] [--before SCRIPT] [--] [COMMAND [ARGUMENT...]]
//
// On a terminal the boot scrolls by, then there is a shell in which sctl works; leaving it
// powers off. Without a terminal it boots, shows sctl status, kills the core with SIGKILL,
// checks that every service kept its process, powers off, and exits 0 - or 1 and the console's
// log if any of that failed. With a COMMAND it runs that inside instead, powers off, and exits
// with the command's status.
//
// As root it makes pid, mount, net, uts, ipc and cgroup namespaces, with a cgroup v2 tree of
// its own. Otherwise a user namespace is added, in which there are no cgroups: processes are
// then found by their invocation id, which is weaker, since a process can shed it. Where that
// is forbidden, too, it says so and exits with 77.
//
// The binaries sysmaster-init, sysmaster-core, sysmaster-exec and sctl must be in the
// directory of sandbox itself; make puts them there.
//
// The same program plays four parts: outside, it makes the namespaces and waits (host.go); as
// PID 1 it builds the root and becomes init (stage.go); beside init it runs the check, the
// command or the shell (inside.go, check.go); and "sandbox demo NAME" is what the demo units
// run (demo.go).
package main
