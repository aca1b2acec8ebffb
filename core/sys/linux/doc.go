// Package linux is the real World: the engine's view of a Linux machine, and its hands.
//
// One goroutine, the engine's, calls Peek, Ack, Wait, Act, Probe and Turned; it owns all
// state here. What may be slow runs on other goroutines, which hand a closure back
// (mailbox) that the engine's goroutine runs at its next Peek or Wait. Post is the only
// method for everybody.
//
//	what happens            noticed by                     consumed at Ack by
//	own child exits         pidfd, waitid with WNOWAIT     waitid (the zombie stays until then)
//	adopted process exits   init's exit record             AckExit; the pidfd is only a hint
//	sd_notify datagram      MSG_PEEK with SO_PEEK_OFF      recvmsg
//	signal to PID 1         init's message                 AckSignal
//	group empty, OOM        inotify on the kernel's files  nothing: it is state, read again at recovery
//	descriptor ready        epoll, one-shot                nothing: the watch is repeated at recovery
//	result of an effect     mailbox                        nothing: the effect is repeated or probed
//	client's request        Post                           nothing: the client sees its connection end
//
// # Last words
//
// What a process said before it ended comes before its end, and before its group is empty, although
// different descriptors tell of them (farewell.go). The core does not wait for it longer than a second.
//
// # Order of effects
//
// Each unit has a lane, a first-in first-out queue that waits for an effect's answer before
// it begins the next. Kill is the exception: it waits only for the Spawns before it, until
// their processes exist, so that nothing slow can keep a unit from being stopped. Load
// and Check have no lane; the engine waits for their answers itself.
//
// # Descriptors
//
// Those that have a key are held by init as well (state/fdstore); here is one duplicate of
// each for passing on and watching. An effect that makes one is answered when init has it.
// Without init (tests, a core that is run by hand) they are kept here only.
package linux
