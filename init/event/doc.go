// Package event has the records of what init does and sees: they take the
// place of log lines, and the few that concern everybody become one.
package event
