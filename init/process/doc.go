// Package process makes a Go program fit to be PID 1: signals, console,
// descriptors and threads of the process itself.
//
// # The window in which a signal ends a Go program
//
// From the moment that Go's runtime has set its handlers until main has called
// os/signal's Notify, a SIGTERM (HUP, INT, QUIT, ABRT, STKFLT) ends the program, by exit(2)
// in a PID 1, and the kernel panics. A mask that is blocked across execve(2)
// does not help by itself: the runtime opens it again for just these signals (runtime,
// minitSignalMask). Of 300 programs, each with one SIGTERM in the first 10 ms, 190 to 200 died.
//
// So the window is closed in two halves. overlay.sh gives the go command a runtime in whose table
// of signals these six have no fatal default, and an allocator that takes more addresses at once (Provide); it changes no code, and such a program
// survives them at any time (go build -overlay; see the Makefile). Nor does it open the six kinds that are
// faults when the kernel raises them (SEGV, ILL ...): sent by somebody before AcceptSignals, one would end the
// program. The price: such a fault in another thread than AcceptSignals' ends it without the runtime's dump. And whoever
// executes init blocks all signals before (Settle, Signals.Hold, BlockSignals): they then wait in the kernel until
// AcceptSignals takes them over. With both, 0 of 300 died and none was lost.
// A program built without the overlay works, with the window; Signals.Sealed tells.
//
// Children inherit the mask of the thread that makes them, and Go's threads keep the blocked one:
// only the thread of AcceptSignals, which opens its own again, may start programs.
package process
