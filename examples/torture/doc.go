// Command torture attacks the service manager of the machine that it runs on, and says what
// that cost the services: the aim is that it costs them nothing.
//
//	torture [--rounds N | --for DURATION] [--services N] [--seed N] [--attacks LIST] [--json]
//
// It must be root, and runs where sysMaster is PID 1: a machine, a virtual one, or bin/sandbox
// (make torture does that). It installs services of its own in /run/systemd/system, all called
// torture-..., and removes them at the end, also when it is interrupted; what a torture that was
// killed left behind goes with --clean, and at the next start. It touches no other unit, but the
// manager that it kills is the machine's own.
//
// While it starts, stops and restarts some of its services, has others end by themselves, asks
// held sockets all the time and has services notify, it attacks the core, at moments that the
// seed chooses:
//
//	kill     SIGKILL, now and then again during the recovery; meanwhile some steady services notify
//	storm    every steady service notifies while the core is stopped, and it dies without having read that
//	upgrade  the core is replaced by a fresh one (sctl daemon-reexec)
//	corrupt  the end of the core's log is damaged and the core dies: bytes cut off, flipped or added
//	stop     SIGSTOP: the core hangs until init notices
//
// The default is kill:40,storm:2,upgrade:2,stop:1, where the numbers are weights: a stop takes the five seconds that
// init waits. A damaged log is asked for: --attacks kill:20,corrupt:5.
//
// What is reported comes from outside: each service writes down its own starts and ends, the
// kernel says which process still is the one it was, and the clients count their answers. The
// manager's word is only compared with that. A damaged log may honestly lose the last steps
// of units, so that nothing is started or stopped while "corrupt" does its work. It compares what
// can be read of the log before and after: of units whose last record is gone the manager may lose
// sight, and they are repaired and counted apart; of all others that is a loss. Killed or started
// twice none may be, but for a oneshot command whose record is gone.
//
// Exit status: 0 nothing was lost; 1 something was; 2 wrong usage; 3 it could not be tried:
// no manager, no permission, the services do not start; 4 it was interrupted, and nothing was
// lost until then; 5 nothing was lost, and not everything that it installed could be removed.
package main
