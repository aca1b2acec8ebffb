package process

import "github.com/sysmaster-go/sysmaster/init/proc"

// Name gives the process the name that ps(1) shows and killall(1) takes (proc(5), /proc/PID/comm; at most 15 bytes count). A program
// that is executed by a descriptor has the descriptor's number for one. Without /proc nobody can see it either.
func Name(name string) { _ = proc.Write("/proc/self/comm", name) }
