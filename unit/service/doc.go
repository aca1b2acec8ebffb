// Package service is the unit type of daemons and tasks (man systemd.service(5)), a pure
// state machine.
//
// Phases, with systemd's words as sub states:
//
//	dead -> condition -> start-pre -> start -> start-post -> running -> (reload ->) ...
//	   ... -> stop -> stop-sigterm -> stop-sigkill -> stop-post -> final-sigterm -> final-sigkill
//	   ... -> dead | failed | auto-restart
//
// A phase without commands or without processes to signal is passed through at once. What
// must be prepared before the first command (directories, the control group) is awaited in
// start-pre.
//
// The table, event by phase group. "signal" is the ladder of package execseq from SIGTERM on,
// "-" is ignored, "refuse" fails the job or request and changes nothing:
//
//	                 dead, failed   auto-restart   starting      running, exited     reload        stopping
//	Start            start          start          -             -                   -             refuse
//	Stop             -              dead           signal        ExecStop, signal    signal        -
//	Reload           refuse         refuse         refuse        reload, or refuse   refuse        refuse
//	                                                             without ExecReload
//	Spawned          -              -              next          -                   -             -
//	Spawned.Err      -              -              as Exited with its status
//	Execed           -              -              next for      -                   -             -
//	                                               exec, dbus
//	Exited main      -              -              by Type       ExecStop, signal;   stop unless   stop-post, then
//	                                                             exited if Remain    ExecReload    final ladder
//	                                                             AfterExit           runs
//	Exited control   -              -              next command, -                   next, then    next command,
//	                                               else signal                       running       next phase
//	CgroupEmpty      remove group   remove group   protocol if   as main exited, if  -             next phase, if no
//	                 if left over   if left over   nothing can   main is not known                 known process lives
//	                                               come
//	TimerFired state -              restart job    signal        stop (RuntimeMax)   kill control, next rung
//	                                                             exited: -           running
//	TimerFired dog   -              -              start-post:   stop-watchdog       stop-watchdog -
//	                                               stop-watchdog exited: -
//	Notified         drop fds       drop fds       READY: next   RELOADING, STOPPING READY: running kept
//	OOM              -              -              signal        stop                signal        next rung
//	PIDRead          -              -              next, or wait adopt               adopt, running -
//	PathChanged      -              -              read again    -                   -             -
//	Request kill     refuse without such a process, else Kill
//	reset-failed     dead           counters reset, phase kept
//	condition-failed -              dead           -             -                   -             -
//	start-limit-hit  failed         failed         -             -                   -             -
//	attach           connection     refuse         refuse        refuse              refuse        refuse
//	Recovered        -              -              watch the PID file again          -             -
//	Recovered after  -              -              start: counts as -                -             -
//	a loss                                         started at its
//	                                               timeout if its
//	                                               main lives
//
// What ends the phase start, by Type:
//
//	simple, idle  the process exists (idle is not delayed: there is no console output to keep apart)
//	exec          the command was executed
//	dbus          the command was executed: without a connection to the bus the name cannot be
//	              seen; said once at notice level
//	notify        READY=1
//	oneshot       the last command ended
//	forking       the command ended and the main process is found: by PIDFile=, by a guess, or not at all
//
// Protective settings that are not implemented refuse the start with result "resources"
// unless Options.AllowDegraded is set.
//
// Beside systemd's rules there are three of our own. A process whose exit status nobody saw
// did not succeed, except while it was being stopped. A main process that ends while PIDFile=
// is set is not gone before the file was read, because a daemon that re-executes itself
// writes it first. CgroupEmpty never overrules the exit of a process that the unit still
// waits for.
package service
