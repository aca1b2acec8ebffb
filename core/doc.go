// Package core is the service manager's engine: the graph of units, the planner, the
// jobs, and the turn that ties them to the world. It is pure: whatever it knows of
// the machine comes in through core/sys, whatever it wants done goes out through it,
// and it is driven by one goroutine.
package core
