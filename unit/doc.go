// Package unit is the contract between the engine and unit types: names,
// specifications, the events a unit receives, the effects it asks for, and the
// value Type that describes one kind of unit.
//
// A unit is a pure state machine. Handle takes one event, changes the unit's own
// state and emits effects into the Tx; it never reads the clock, the file system
// or another unit except through that Tx. What the machine must do is data
// (Effect), carried out by core/sys after the engine has committed it, and what
// came of it returns as an event. The same unit therefore runs unchanged on the
// real machine, in core/sim and in a plug-in process.
//
//	        +--------- Event ---------+
//	        v                         |
//	Unit.Handle(tx, ev) --Effect--> engine: commit, then act
//
// Nothing in this package is safe for concurrent use unless it says so; Spec, Key
// and Type values are immutable once built and may be shared.
package unit
