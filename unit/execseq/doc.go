// Package execseq is the part that all kinds with processes share: lists of commands that run
// one after the other, the timeout of a state, and the ladder of signals that ends processes.
//
// A Machine knows a unit's main and control process, whether the control group is empty, and
// the one timer of the unit's state. The unit hands it every event first (Absorb) and gets
// back what that meant (Note); its own table decides what follows.
//
// What an event means, by what the Machine waits for:
//
//	event          waited for                    Note, and what changes
//	Spawned        a Spawn with that Seq         Spawned; the process is known, the group not empty,
//	                                             a signal that came too early is sent now
//	Spawned.Err    a Spawn with that Seq         Exited with Err.Status (Unknown if that is 0)
//	Execed         the exec of that Seq          Execed, with Err if a set-up step failed
//	Exited         main or control               Exited; the process is forgotten
//	CgroupEmpty    -                             Empty
//	Done.None      the last Kill of the group    Empty
//	TimerFired     the state's timer             Timeout
//	anything else  -                             None; it is the unit's
//
// The ladder (man systemd.kill(5)); each rung signals by KillMode and waits TimeoutStopSec:
//
//	rung      signal                             nobody to wait for, or time is up
//	Term      KillSignal, RestartKillSignal      Kill, or Over with SendSIGKILL=no
//	Watchdog  WatchdogSignal                     Kill, or Over with SendSIGKILL=no
//	Kill      FinalKillSignal                    Over
//
//	KillMode       Term, Watchdog                Kill
//	control-group  the whole group               the whole group
//	mixed          main and control              the whole group
//	process        main and control              main and control
//	none           nobody                        nobody
package execseq
