// Package statetest is the test kit for state: whoever keeps records in a state.Store can use it, in `go test` or in
// a simulation.
//
//   - [Mem] is a store in memory, with crashes (Reopen) and refused commits (Fail).
//   - [FS] is a directory in memory for a state.Log, that fails on demand: errors at the Nth operation, torn writes,
//     flipped bits, a full or read-only disk, a directory that vanishes, a crash before or after each operation, a
//     power cut.
//
// Nothing in it is safe for concurrent use, reads the clock or imports package testing.
package statetest
