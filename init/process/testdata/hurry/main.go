// Command hurry starts itself hurried, and says how its threads and children are scheduled before and after Calm.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/process"
)

func main() {
	switch {
	case len(os.Args) == 1:
		runtime.LockOSThread()
		fmt.Println("parent", policies())
		pid, refused, err := process.Hurried(func() (int, error) {
			return syscall.ForkExec("/proc/self/exe", []string{os.Args[0], "child"}, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
		})
		if refused != nil || err != nil {
			fmt.Println("refused:", refused, err)
		}
		if err != nil {
			os.Exit(1)
		}
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || status != 0 {
			fmt.Println("child", status, err)
			os.Exit(1)
		}
		fmt.Println("parent", policies())
	case os.Args[1] == "child":
		stop := threads(8)
		fmt.Println("hurried", policies())
		if err := process.Calm(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		more := threads(8)
		fmt.Println("calm", policies())
		cmd := exec.Command("/proc/self/exe", "grandchild")
		cmd.Stdout = os.Stdout
		if err := cmd.Run(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		stop()
		more()
	default:
		fmt.Println("grandchild", policies())
	}
}

// threads has n threads more until the function is called that it gives.
func threads(n int) (stop func()) {
	begun, end := sync.WaitGroup{}, make(chan struct{})
	for range n {
		begun.Add(1)
		go func() {
			runtime.LockOSThread()
			begun.Done()
			<-end
		}()
	}
	begun.Wait()
	return func() { close(end) }
}

// policies gives the policy of the process's threads, once if it is the same.
func policies() []int {
	dir, err := os.ReadDir("/proc/self/task")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var all []int
	for _, t := range dir {
		tid, _ := strconv.Atoi(t.Name()) // the kernel's
		policy, _, e := unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, uintptr(tid), 0, 0)
		if e == 0 && (len(all) == 0 || all[len(all)-1] != int(policy)) {
			all = append(all, int(policy))
		}
	}
	return all
}
