// Package pid1 is PID 1: it keeps the core alive, keeps its descriptors, reaps
// what nobody else reaps, and takes the machine down. (The folder is called
// init, which Go does not accept as a package name.)
//
//	func main() {
//		signals := pid1.AcceptSignals() // first
//		os.Exit(pid1.Run(pid1.Config{Signals: signals, Core: pid1.Command{Path: "/usr/lib/vendor/core"}}))
//	}
//
// One goroutine owns everything; each turn looks at the whole state. The channel
// to the core is documented in state/fdstore.
//
//	core           on its death               on silence          on SIGRTMIN+5, e.g.
//	starting       drain, retry with delay    HelloTimeout: hang  kept for it until TakeTimeout
//	recovering     drain, retry with delay    policy.Watch: hang  kept for it until TakeTimeout
//	turning        drain, start at once       policy.Watch: hang  sent; TakeTimeout, then EndTimeout
//	aborting       counts as a hang           AbortGrace: KILL    kept for the next
//	budget spent   policy.Stage.Next          -                   init does it at once
//
// Beyond the budget the core is started in the rescue role; then the console gets a shell; then,
// if Config.CrashReboot says so and nobody is there, the machine reboots, else the core is tried
// again. Each step is said on the console.
//
// A core's last words go to memory of fixed size that init gives it; the last few are kept in
// the store under fdstore.CrashPrefix. Who is killed, also for memory, leaves none.
//
// Init executes itself on SIGTERM, or another version when the core hands it one (reexec.go), and
// exchanges the core's program, on trial and with a way back (succession.go).
//
// What it goes through unharmed, within which bounds, and how that is tested: docs/pid1.md.
// What remains fatal is Go's own: exhausted memory, a thread that cannot be
// created when all that are parked hang, a start with standard descriptors closed and
// no /dev/null; and on other machines than amd64 and arm64 a synchronous signal queued by
// root. The last net is the kernel's panic= and a hardware watchdog.
package pid1
