// Package execspec holds what units that run processes have in common: the settings of
// systemd.exec(5), systemd.kill(5) and systemd.resource-control(5), command lines, environment
// files, and the table that says by which way a process must be started.
//
// Everything is a pure function or a value. A type lifts the keys into its own section:
//
//	unit.Lift(execspec.Keys("Service"), func(c *Config) *execspec.Context { return &c.Exec })
//
// and whoever carries out a Spawn decodes the same Spec with a Decoder. Both read the one
// list of keys; each key there is in one of three classes:
//
//	Acts        the spawner, the shim or the unit itself honours it
//	Protective  it asks for protection that is not there: set to anything but its "off" value
//	            it is recorded in Context.Refused or CGroupContext.Refused, and the unit refuses to start
//	Inert       accepted and checked, without effect; the key's Doc says why that is harmless
//
// Nothing here is safe for concurrent modification; decoded values are read only.
package execspec
