// Package slice is the unit kind that is an inner node of the tree of control groups
// (man systemd.slice(5)).
//
//	state    Start                 Stop                      Done
//	dead     Realize, -> active    -                         -
//	active   -                     RemoveCgroup, -> dead     an error is said
package slice
