// Package core is the service manager's engine: the graph of units, the planner, the
// jobs, and the turn that ties them to the world. It is pure: whatever it knows of
// the machine comes in through core/sys, whatever it wants done goes out through it,
// and it is driven by one goroutine.
//
// It may die between any two instructions. Where to look:
//
//	engine.go      the turn, and why it ends
//	commit.go      what is written before anything is done, and what if that fails
//	recover.go     the steps from a store to a running engine
//	doubt.go       units whose records may be too old, after damage to the store
//	recorder.go    what the engine notes in memory that outlives it
//	quarantine.go  what is left alone because the core dies of it
//	adopt.go       a core that has to begin without its state
package core
