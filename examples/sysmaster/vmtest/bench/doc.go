// Command bench measures boots of one Debian image under systemd, trimmed, and under sysMaster, alternately, and prints what each took
// and their ratios. The machine is emulated and shared, so times hold only against each other in one run.
//
// Flags: -n boots of each, -inits and -workloads to choose, -json for a file with every single measurement. It needs root, qemu,
// debootstrap and a C compiler (for the workload, a hundred lines without a C library).
//
// Measured are: the time from the initramfs's hand-over to the workload's own stamp; once the machine is quiet, the processor time of the
// init's processes and of the whole machine; and their memory: PSS, what is private, and what of it is anonymous (proc(5),
// smaps_rollup).
package main
