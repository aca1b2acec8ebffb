// Package spawn starts processes for units: the parent's side of an exec. A Request (the
// command, its decoded settings, descriptors, control group) becomes a process by one of
// three ways, chosen by execspec's table and by what the table cannot know:
//
//	direct  clone3 into the control group with what syscall.SysProcAttr expresses, from a
//	        thread that has a service's umask and signal mask, then execve; only if what else
//	        the child inherits is what a service is to find (Settle sees to that)
//	thread  the same from a second thread, whose session keyring is made new before
//	shim    through the exec shim (core/sys/shim), which does the rest in the child
//
// # Never blocking
//
// A direct spawn keeps the spawning thread, its processor and syscall.ForkLock until execve
// is done. If that blocks - in a frozen control group, or on a file of a dead network, FUSE or
// automount file system - every other spawn and the garbage collector wait with it. So:
//
//   - a frozen control group is thawed if the request says so, else refused;
//   - where the executable lies is decided from the text of /proc/self/mountinfo. The path is
//     followed component by component, and nothing beyond the first mount point of a file
//     system that is not known to be local is touched. Such programs go through the shim, whose
//     own file is local, and hang alone. The same goes for "#!" interpreters;
//   - whatever opens files or terminals of the unit's choice goes through the shim.
//
// Users and groups come from /etc/passwd and /etc/group only: a static Go program has no NSS.
//
// # Cost
//
// On an idle machine of 2 cores (go test -bench .): a whole life of /bin/true is 0.64 ms by
// syscall.ForkExec alone (C's posix_spawn: 0.6), 0.8 directly or by the thread, 2.15 through
// the shim (1.3 MB). Start holds its caller for 0.5 ms either way, since of the shim it awaits
// the exec only, not what the shim does.
//
// A Spawner may be used from several goroutines at once.
package spawn
