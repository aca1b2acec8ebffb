// Package policy is init's decisions without their deeds: when a silent core
// counts as hanging, when a dead one is started again and in which role, and what a signal
// to PID 1 asks for. All of it is pure.
package policy
