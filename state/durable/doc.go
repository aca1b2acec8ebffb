// Package durable keeps small values by key across power loss: what the machine must know at its next boot, such as how
// often it failed to boot. What only the next core must know belongs into package state.
//
//	store := durable.Open(state.NewDirFS("/var/lib/sysmaster"))
//	value, err := store.Get("boot")
//	err = store.Set("boot", []byte("1"))   // on disk when it returns nil, or else kept and written by Flush
//
// # Files
//
// Each key is a file. Its first line says "sysmaster 1" and the CRC-32C of key and value, the value follows as it
// is, so that it can be read with cat. A file is written under another name, fsync'ed, renamed, and the directory
// fsync'ed: a reader at any moment, and a machine after a power cut at any moment, finds the old value or the
// new one, whole. A file that is neither is reported as damaged and counts as absent.
//
// # When the disk is not there
//
// Early at boot /var/lib may be read-only, or not there at all; later it may be full or broken. A value that cannot be
// written is kept in memory, Get gives it, and Flush writes it when that is possible. If /var was mounted over what
// was written before, Flush writes it once more.
//
// A Store belongs to one writer; Get may be used by others, of the same directory, at any time. Calls block as long as the
// disk does: the engine's goroutine must not make them.
package durable
