package process

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// settledEnv says that Settle has executed the program again. It stays in the environment for
// the core, which asks for the same limits.
const settledEnv = "SYSMASTER_SETTLED"

// Limits of descriptors that services start with, and so what the core must start with: Go
// gives children the limit that its own process found.
const (
	softDescriptors = 1024
	hardDescriptors = 512 << 10
)

// Settle executes this program once more, without transparent huge pages and with the limits
// that the core and its services need; both only count from the start of a program. With the
// kernel's default ("always") the first byte of Go's heap costs 2 MiB, more than all that
// PID 1 holds. The execution has every signal blocked, which closes the window of doc.go for the
// program that goes on. Call it after AcceptSignals. What cannot be set, or executed, is left as it is.
func Settle(signals *Signals) {
	if os.Getenv(settledEnv) != "" || len(os.Args) == 0 {
		return
	}
	env := Prepare(os.Environ())
	path, err := os.Readlink("/proc/self/exe")
	if err != nil { // no /proc yet: the kernel started us by the path that it gives as the name
		path = os.Args[0]
	}
	signals.Hold()
	signals.again()
	_ = syscall.Exec(path, os.Args, env)
	signals.Release()
}

// BlockSignals has every signal wait for the program that this thread executes next: for whoever
// starts an init. The goroutine must be locked to its thread, and no child be started from it.
func BlockSignals() {
	all := ^uint64(0)
	threadMask(unix.SIG_SETMASK, &all)
}

// Prepare gives this process what the program that it executes next needs, and the environment
// env with what tells that one so. For whoever starts an init as PID 1 of a container and wants
// to spare it Settle's execution - which loses the signal of prctl(PR_SET_PDEATHSIG), since that
// belongs to one thread and any other may execute.
func Prepare(env []string) []string {
	_ = unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0)
	limit := syscall.Rlimit{Cur: softDescriptors, Max: hardDescriptors}
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	debug := "disablethp=1" // for the heap's growth, in the core too
	out := make([]string, 0, len(env)+2)
	for _, v := range env {
		if d, ok := strings.CutPrefix(v, "GODEBUG="); ok && d != "" {
			debug = d + "," + debug
			continue
		}
		out = append(out, v)
	}
	return append(out, "GODEBUG="+debug, settledEnv+"=1")
}

// heapRoom is three times what init's heap takes in a storm of signals with dying cores.
const heapRoom = 12 << 20

// Provide has the runtime ask the kernel now for the addresses that it may come to need. It ends the program when it gets
// none (RLIMIT_AS, strict overcommit), and asks when the heap grows by the next 4 MiB and in a collection: for mark bits
// in the first ones, and for its queue of spans when that runs over or a collection is interrupted. For its books it asks
// at any time; the overlay (overlay.sh) has it take four times as much of that at once. Nothing of it is in memory afterwards. Call it when the number of processors is set.
func Provide() {
	runtime.KeepAlive(make([]byte, heapRoom)) // nobody writes into it
	type object [64]*byte                     // of the biggest size that is queued by its span, sixteen in one
	objects := make([]*object, 96*16)
	for i := range objects {
		objects[i] = new(object)
	}
	runtime.GC()
	runtime.KeepAlive(objects)
	for range 2 {
		runtime.GC()
	}
	debug.FreeOSMemory() // and collects once more
}
