// Package target is the unit kind that groups others (man systemd.target(5)).
//
//	state    Start       Stop
//	dead     -> active   -
//	active   -           -> dead
package target
