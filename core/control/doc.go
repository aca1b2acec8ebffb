// Package control serves the control API: D-Bus objects of org.freedesktop.systemd1,
// without a broker, on a private stream socket. An unmodified systemctl run by root talks to it.
//
// # Who does what
//
//	reader, one goroutine per connection: handshake, frames, dispatch. Questions are answered here, from the
//	    immutable core.View; the engine is never asked. Commands go to Manager.Submit, and the reader goes on.
//	publisher, one goroutine per Server: what the engine said, in its order: answers to commands
//	    (Request.Reply) and events (Publish). It encodes; the engine's goroutine only appends to a queue.
//	writer, a goroutine per connection while it has something to write.
//
// # Bounds
//
//	time to authenticate, to complete a begun frame, to take what is written: deadlines (Limits)
//	length of a handshake line, of a frame, of all frames being received together: Limits
//	connections: in all, and per user; when full, root's newcomer displaces who has not
//	    authenticated yet, then who has been idle for longest and waits for nothing
//	answers: a reader pauses while its connection has much left to write, so a client that does not
//	    read is not served further; signals that pile up beyond a bound close the connection
//	commands under way per connection: the reader pauses
//	events not yet published: beyond a bound all connections are closed, as none can be told the truth
//
// # Signals
//
// As systemd does on its private socket, JobNew, JobRemoved, Reloading and StartupFinished go to
// every connection; UnitNew, UnitRemoved and PropertiesChanged only to those that called Subscribe.
//
// A command that needed no job is answered with the path of a job that has already ended, and its
// JobRemoved follows, so that a client that waits for its job need not know.
//
// # Commands that may come again
//
// org.sysmaster.Manager, on the Manager object, has the commands with a number in front that the client chose at
// random (own.go). The engine recognises a number that it has answered, for each user his own,
// and gives the same answer again; Recall asks for that answer only.
//
// Sources: man org.freedesktop.systemd1(5), the D-Bus Specification.
package control
