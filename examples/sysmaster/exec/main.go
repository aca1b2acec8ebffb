// Command sysmaster-exec is the exec shim: sysmaster's core starts it in between where a
// service needs set-up that only the child itself can do. It is never started by hand.
package main

import "github.com/sysmaster-go/sysmaster/core/sys/shim"

func main() { shim.Run() }
