// Command other is a core, or an init, that is no good: how it fails is set by the linker.
package main

import (
	"fmt"
	"os"
	"syscall"
)

// how is "preflight-exits", "preflight-hangs", "preflight-cannot", "trial-exits" or "trial-hangs".
var how string

// marker is what makes it pass for one that can take over.
var marker = "sysmaster-core takes over, format 1: "

const initMarker = "sysmaster-init takes over, format 1: "

func main() {
	if len(os.Args) > 1000 { // never; it has to be in the file
		fmt.Println(initMarker)
	}
	stage := "trial"
	if os.Getenv("SYSMASTER_ROLE") == "preflight" {
		stage = "preflight"
	}
	switch {
	case how == stage+"-exits":
		os.Exit(7)
	case how == stage+"-hangs":
		for {
			_ = syscall.Pause()
		}
	case how == stage+"-cannot":
		fmt.Println("cannot read the state of 3 units")
		os.Exit(1)
	}
	fmt.Println(marker + how)
}
