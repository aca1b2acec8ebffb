// Package client talks to the service manager over its private socket: D-Bus calls of
// org.freedesktop.systemd1 without a broker, with types. It follows jobs to their end, and it
// survives a restart of the manager: it connects again and finds an acknowledged job by its id,
// or, if the job is over, tells its outcome from the unit's state.
//
// A Client is safe for concurrent use. Every method ends when its context does.
package client
