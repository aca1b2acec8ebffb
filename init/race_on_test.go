//go:build race

package pid1

// raced: the race detector makes everything slower and bigger.
const raced = true
