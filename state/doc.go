// Package state keeps what the core must not forget: records by key, committed atomically, found again after the
// process died at any instant.
//
// A [Log] keeps them in a directory, normally on a tmpfs:
//
//	log, report, err := state.Open(state.Config{Dir: "/run/sysmaster/state"})
//	report, err = log.Load(func(r state.Record) error { ... })        // the newest value of each key
//	err = log.Commit([]state.Record{{Key: "unit/a.service", Data: b}}) // all or nothing
//	more, err := log.Maintain(64 << 10)                                // when there is nothing else to do
//
// # Files
//
// "log.N" are appended to; "units.N", "specs.N" and "meta.N" are snapshots: what the segment was when log.N was
// begun. A segment is read from its newest snapshot and the logs from that number on. Each Open begins a new log and leaves the older
// ones alone; compaction (compact.go) replaces them. format.go has the bytes: checksummed frames, numbered without gaps.
// Records are encoded by package state/record.
//
// # What can go wrong, and what then
//
//	crash in the middle of a write       TornTail: the commit was never acknowledged, nothing else is touched
//	crash during compaction              the unfinished snapshot is removed, or the finished one used
//	flipped bits in a frame              BadChecksum: that commit is dropped, the others are used; see scanner
//	flipped bits in a frame's header     BadFrame: the next intact header is looked for
//	flipped bits in a file's header      there are two of them
//	a commit or log missing              LostCommits, MissingFile: known from the numbers
//	a newer format                       *VersionError, nothing is changed; an older one is read, and rewritten by compaction
//	no space                             ErrFull; UseReserve opens the space set aside, then memory is used
//	write error                          ErrIO; the log is cut back to its last frame, or given up for a new one
//	read-only                            ErrReadOnly; after UseReserve commits are kept in memory and written when that is possible
//	directory removed or mounted over    made again at the next commit or Maintain; Maintain writes everything again from the files still open
//	a record unreadable at compaction    TakeLost: whoever has the value commits it again
//
// Damage never makes Open fail: a manager without its log still has the kernel to ask. It is all in the [Report].
//
// Nothing here reads the clock, starts goroutines or logs; DirFS is the only part that makes system calls.
package state
