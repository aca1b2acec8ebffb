// Package conditions answers the questions of unit/condition on the running machine.
//
// Sources are the kernel's files (/proc, /sys), what the container manager left behind
// (/proc/1/environ, /run/host, /run/systemd/container), the DMI strings and, on x86, the
// cpuid instruction. What cannot change while the machine runs is asked once. Users and
// groups are those of /etc/passwd and /etc/group alone: a static program has no NSS.
package conditions
