// Package fdstore is the conversation between init and the core, and through
// it the store of descriptors that outlive the core.
//
// Transport: one SOCK_SEQPACKET socket pair per core. Init keeps one end, the
// core inherits the other as the descriptor that the environment variable
// SYSMASTER_INIT_FD names. One packet is one [Message]; a descriptor travels
// beside its packet as SCM_RIGHTS (unix(7)).
//
// Packet: 'S' 'M', version, kind, then the kind's fields, little-endian, with
// strings as a 16-bit length and bytes. Nothing may follow the last field.
// Hello and Welcome keep version 1 for ever, so that two sides of different
// age can agree on what they both speak.
//
//	core to init  fields                       meaning
//	Hello         version                      first message; asks for Welcome and everything kept
//	Pulse         turn, next                   the engine's loop goes round (not: some goroutine runs), and
//	                                           says so again within this time; 0: it has work
//	Alive         turn, busy                   the same of protocol 1, after each turn
//	Put           seq, key, descriptor         keep it; replaces what the key held; answered by PutResult
//	Drop          seq, key                     close it; answered by PutResult (ENOENT: was not there)
//	DropPrefix    seq, key                     close all whose key begins so; answered by PutResult
//	Register      pid, start time              report this process's exit
//	Unregister    pid, start time              no longer
//	AckExit       id                           the exit is committed; forget the record
//	AckSignal     id                           the signal is committed
//	Shutdown      verb, exit code, argument    stop everything, now: the core's part is over
//	Upgrade       id, target, version, descr.  replace the core, or init, by this program (version 2)
//	Healthy       version                      recovered from the store, and not acted yet (version 2)
//
//	init to core  fields                       meaning
//	Welcome       version, generation, ...     answer to Hello
//	Stored        key, descriptor              one kept descriptor
//	StoredEnd     number                       that was all; the exits of the time without a core come before it
//	Exit          id, pid, start time, ...     a process that init reaped
//	Signal        id, number                   a signal to PID 1 that is the core's business
//	PutResult     seq, errno                   the store changed (0) or did not
//	Adopted       id                           a core on trial may write and act (version 2)
//	Outcome       id, target, result, ...      what became of the last upgrade (version 2)
//	About         version, ...                 of init, and of the way back (version 2)
//
// A side sends kinds of version 2 only to a peer that speaks it. They may grow:
// what follows the known fields is skipped. Kinds 64 to 69 are for upgrades, 70
// to 79 for the watch over the core. A kind that the receiver does not know is
// [ErrUnknownKind] and leaves the channel usable.
//
// # When a side does not read
//
// Neither side waits for the other. Init sends from state that it has anyway
// (records, kept descriptors, pending signals), so a full socket delays and
// loses nothing; only answers to Put and Drop need a queue, and while that is
// full init stops reading, so that the core's socket fills. The core's
// [Client] then queues up to [QueueMax] messages, of which Pulse never takes
// more than one, and after that refuses with [ErrFull].
//
// # Exits and signals are at-least-once
//
// An exit or signal is repeated to each new core until it was acknowledged;
// the id says that it is the same one.
package fdstore
