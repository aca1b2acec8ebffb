// Package setup does what systemd's PID 1 does at boot beside units: a list of Actions that
// can be printed before it is done. Each is idempotent, so a restarted core simply does
// the list again; what a container forbids is skipped with the reason.
//
//	name              makes                                                        man page
//	directories       /run/systemd, .../system, .../units, /run/lock               -
//	shm, pts          /dev/shm and /dev/pts, unless something is mounted there     file-hierarchy(7)
//	file-limits       fs.file-max and fs.nr_open as high as the kernel takes       systemd(1)
//	descriptor-limit  this process's own RLIMIT_NOFILE, hard 512 Ki at least       systemd-system.conf(5)
//	hostname          from systemd.hostname=, /etc/hostname, else "localhost"      hostname(5)
//	machine-id        /etc/machine-id, or /run/machine-id over a read-only one     machine-id(5)
//	loopback          the interface lo up                                          -
//
// Locale reads the environment that all services get (locale.conf(5)).
//
// Initialising nothing by itself, it may be used beside a systemd: every action leaves
// alone what is already as wanted.
package setup
