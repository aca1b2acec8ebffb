//go:build !race

package core

// raced: the race detector makes everything slower and bigger.
const raced = false
