// Package process makes a Go program fit to be PID 1: signals, console,
// descriptors and threads of the process itself.
package process
