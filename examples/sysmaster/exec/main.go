// Command sysmaster-exec is the exec shim: sysmaster's core starts it in between where a
// service needs set-up that only the child itself can do. It is never started by hand.
//
// It runs for a millisecond on one thread: the runtime need not look through mountinfo and
// control groups for how many processors there are.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import "github.com/sysmaster-go/sysmaster/core/sys/shim"

func main() { shim.Run() }
