// Package cli is sctl's commands: what systemctl(1) does, in its words and with its exit
// codes, over package client. A main calls Run; everything that a command touches is in Env.
//
//	exit code   meaning (man systemctl(1), EXIT STATUS; for start, stop ... those of systemctl 252)
//	0           done; the unit is active
//	1           failed; is-failed: not failed; is-system-running: not running
//	2           the command line is wrong
//	3           is-active, status: not active; otherwise: not applicable to the unit
//	4           status: no such unit; otherwise: refused
//	5           no such unit
//	6           the unit could not be loaded
package cli
