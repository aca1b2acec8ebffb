// Package shutdown takes a machine, a container or a keeper's processes down.
//
//	step      machine  container  keeper
//	kill      all      all        descendants   SIGTERM, SIGHUP, SIGCONT; after a while SIGKILL
//	sync      yes      yes        yes
//	swapoff   yes      -          -
//	unmount   yes      -          -             the last mounted first, until nothing moves
//	detach    yes      -          -             loop devices; then unmount once more
//	read-only yes      -          -             what stayed, and the root
//	hooks     yes      yes        -             executables of system-shutdown(8), with the verb
//	end       reboot(2) exit code exit code
//
// Each step has a deadline, since each may meet a device or server that no
// longer answers: the blocking call then stays behind in its thread, which
// ends with the machine. An error is told and the next step follows.
//
// Nothing here depends on the core. The caller, PID 1, is never killed.
package shutdown
