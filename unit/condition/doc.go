// Package condition decides whether the Condition...= and Assert...= lines of a unit hold
// (man systemd.unit(5), CONDITIONS AND ASSERTS).
//
// Eval is pure: what it may know of the machine it asks of a Machine, so that the same
// rules run on a real machine (core/sys/linux/conditions), in a simulation and against a
// directory tree that is being built. How single results combine ("|", conditions against
// assertions) is the engine's part.
//
// A condition that cannot be decided - an unknown type, an argument that makes no sense, a
// file that cannot be read - does not hold, whether negated or not, and says why: a start
// that is skipped is safer than one that should not have happened.
package condition
