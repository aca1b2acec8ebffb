// Package sim is the simulated machine: a core/sys.World on a virtual clock, in which units, their
// processes, faults and the crashes of the core are played from one seed.
//
// The engine under test is the real one; only the world is not. A Machine outlives the core: its
// processes, descriptors and stored state stay when the core is crashed, and a new core recovers from
// them. The same seed gives the same trace byte for byte. core/sim/simtest boots a directory of unit
// files; docs/simulation.md shows how to begin.
//
// # What is played
//
//	processes     exit, ignore signals, fork away, leave children behind, notify late, never or nonsense
//	control group empty is told after all ends; one may stand still (FaultFreeze)
//	init          keeps exits, signals, messages and descriptors until they are acknowledged; reports the
//	              exits of what was spawned or attached, and while no core lives of everything; aborts a
//	              core that hangs, after AliveLimit
//	effects       those of one unit one after the other, but for Kill, which overtakes; each takes a random
//	              part of MaxDelay; what is not done when the core dies never happens
//	store         a statetest.Mem, or a state.Log on a statetest.FS with torn writes and flipped bits
//	clients       some ask again when the core dies (Ask), some are gone (Request)
//
// # Rules
//
// After every turn the machine checks, unless Config.Unchecked:
//
//	RuleMain     no process with the role main is made while another one of the unit lives; no unit lists two
//	RuleActive   what a unit counts on lives, or its end is on its way; a service that runs has a process
//	RuleOwner    each live process is in the control group of a unit that is not down, or listed by it; settings
//	             that leave processes behind (KillMode=process, none, SendSIGKILL=no) excuse
//	RuleOrder    no job begins to run while one that goes before it was and is queued
//	RuleRequire  a start whose requirement failed fails in the same turn; what requires a stopped unit is not up
//	RuleJobEnds  no job is queued for longer than Limits.Job, or for ever
//	RuleJobKept  a job that a client was told of ends with a result
//	RuleExit     what was looked at is acknowledged in the same turn; no end stays untold
//	RuleReady    a READY=1 of the main process that was acknowledged has ended the start
//	RuleStored   what a service stored once is held for it once, though its message came again after a crash
//	RuleRecover  a new core shows what the last one had published, if all of that was committed
//	RuleTwice    two recoveries without anything between show the same (RecoverTwice)
//	RuleBounded  effects of a turn, and turns without a move of the clock, are bounded
//	RulePanic    the core does not panic
//
// CrashEverywhere adds RuleOutcome, Seed adds RuleSame. A store that lost or refused records excuses the
// rules about what it held, and nothing else.
//
// # Scenarios
//
// A Scenario is a run as data. Play plays it; CrashEverywhere crashes copies of the machine at each
// checkpoint, from those of the very first start on, to any depth; Generate makes one from a seed; Seed
// plays that with random crashes; Shrink makes a failing one small; Failure.Save keeps it in a file, and
// Replay plays such a file's. A Machine, and all that is played from one Host, belong to one goroutine.
package sim
