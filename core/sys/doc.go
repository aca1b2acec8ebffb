// Package sys is the seam between the engine and the machine: World, a struct of
// small interfaces. core/sys/linux is the real one, core/sim the simulated one.
//
// The engine calls a World from one goroutine only. No method blocks, except Wait.
package sys
