// Package client talks to the service manager over its private socket: D-Bus calls of
// org.freedesktop.systemd1 without a broker, with types. It follows jobs to their end, and it
// survives a restart of the manager: it connects again, sends a command again whose answer was lost, and
// asks how the job ended that it waits for.
//
// Each command carries a number, chosen at random (org.sysmaster.Manager). The manager keeps the numbers
// with its state, so that a command is carried out once however often it is sent, and remembers the
// outcome. A manager without that interface (systemd) is asked in the plain way: there a
// lost answer is a *LostError where a repetition could do harm, and the outcome of a job that ended meanwhile is told from
// its unit's state.
//
// A Client is safe for concurrent use. Every method ends when its context does.
package client
