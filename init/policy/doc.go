// Package policy is init's decisions without their deeds: when a dead core is
// started again, and what a signal to PID 1 asks for. All of it is pure.
package policy
