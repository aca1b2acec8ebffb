package pid1

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// policyOf gives the scheduling policy of all threads of a process, or fails.
func (b *testbed) policyOf(pid int) int {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	threads, err := os.ReadDir(dir)
	b.must(err)
	all := -1
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		b.must(err)
		policy, _, e := unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, uintptr(tid), 0, 0)
		if e == unix.ESRCH {
			continue
		}
		if e != 0 || all >= 0 && all != int(policy) {
			b.fail("thread %d of process %d: policy %d, %v; others have %d", tid, pid, policy, e, all)
		}
		all = int(policy)
	}
	return all
}

// spin never ends.
func spin() {
	for n := uint64(1); n > 0; n |= 1 {
	}
}

// coreHurried dies having worked, and then takes all processors for itself while it recovers, in vain: only that one
// hurries.
func coreHurried(b *testbed) {
	want := unix.SCHED_NORMAL
	if b.welcome.Generation == 2 {
		want = unix.SCHED_RR
	}
	if got := b.policyOf(os.Getpid()); got != want {
		b.fail("policy %d; want %d", got, want)
	}
	if got := b.policyOf(os.Getppid()); got != unix.SCHED_NORMAL {
		b.fail("init has policy %d", got)
	}
	switch b.welcome.Generation {
	case 1:
		pid := b.children(1, "exec sleep 1000")[0]
		if err := unix.SchedSetAttr(pid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}, 0); err != nil {
			fmt.Println("unprepared: no real-time priority here:", err)
			b.exit(77)
		}
		b.must(b.Alive(1, false))
		b.die(unix.SIGKILL)
	case 2:
		b.save()
		for range runtime.NumCPU() - 1 {
			go spin()
		}
		spin()
	}
	b.exit(24)
}
