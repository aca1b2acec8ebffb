package pid1

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// policiesOf gives the scheduling policies of a process's threads.
func (b *testbed) policiesOf(pid int) []int {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	threads, err := os.ReadDir(dir)
	b.must(err)
	var all []int
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		b.must(err)
		policy, _, e := unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, uintptr(tid), 0, 0)
		if e != 0 && e != unix.ESRCH {
			b.fail("thread %d of process %d: %v", tid, pid, e)
		}
		if e == 0 && !slices.Contains(all, int(policy)) {
			all = append(all, int(policy))
		}
	}
	return all
}

func (b *testbed) wantPolicy(pid, want int) {
	if got := b.policiesOf(pid); !slices.Equal(got, []int{want}) {
		b.fail("process %d has policies %d; want %d", pid, got, want)
	}
}

// mayHurry ends the scenario where nobody may.
func (b *testbed) mayHurry() {
	pid := b.children(1, "exec sleep 1000")[0]
	if err := unix.SchedSetAttr(pid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}, 0); err != nil {
		fmt.Println("unprepared: no real-time priority here:", err)
		b.exit(77)
	}
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
	b.wantPolicy(os.Getpid(), want)
	b.wantPolicy(os.Getppid(), unix.SCHED_NORMAL)
	switch b.welcome.Generation {
	case 1:
		b.mayHurry()
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

// coreCalmed does not know that it hurries: init ends that when it works, and has none hurry any more.
func coreCalmed(b *testbed) {
	if b.welcome.Generation == 2 {
		b.wantPolicy(os.Getpid(), unix.SCHED_RR)
		b.must(b.Alive(1, false))
		b.empty()
		for !slices.Equal(b.policiesOf(os.Getpid()), []int{unix.SCHED_NORMAL}) {
			runtime.Gosched()
		}
		b.die(unix.SIGKILL)
	}
	b.wantPolicy(os.Getpid(), unix.SCHED_NORMAL)
	if b.welcome.Generation == 1 {
		b.mayHurry()
		b.must(b.Alive(1, false))
		b.die(unix.SIGKILL)
	}
	b.exit(25)
}
