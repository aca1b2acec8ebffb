//go:build race

package sim_test

// raced: the race detector makes everything ten times slower, and there is one goroutine a machine.
const raced = true
