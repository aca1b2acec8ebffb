// Command hungfs mounts a file system whose server no longer answers on a directory, and says so. It calls itself @hungfs,
// as a storage daemon of the root file system does, so that a shutdown spares it: what waits for it then waits
// to the very end.
package main

import (
	"fmt"
	"os"
	"syscall"

	"github.com/sysmaster-go/sysmaster/init/shutdown/testdata/hungfs"
)

func main() {
	if os.Args[0] != "@hungfs" {
		fmt.Println(syscall.Exec("/proc/self/exe", append([]string{"@hungfs"}, os.Args[1:]...), os.Environ()))
		os.Exit(1)
	}
	f, err := hungfs.Mount(os.Args[1])
	if err == nil {
		_, err = os.Stat(os.Args[1]) // until the kernel knows what the server can
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	f.Silence()
	fmt.Println("silent")
	select {}
}
