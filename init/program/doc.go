// Package program holds executable files open, so that what is executed is what was looked at, whatever
// happens to its path.
package program
