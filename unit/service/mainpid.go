package service

import (
	"strconv"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execseq"
)

// read is a look for the main process that is under way.
type read struct {
	seq uint64
	why why
}

// why says what a read is for.
type why uint8

const (
	readStart     why = iota + 1 // ExecStart= of a forking service returned
	readStartPost                // ExecStartPost= is through
	readReload                   // ExecReload= is through
	readHeld                     // the main process ended: is there a new one?
	readRetry                    // the PID file changed, or may have while the watch was set up
	readNotified                 // MAINPID=
)

const pidWatch = "pid-file"

func (s *Service) readPIDFile(tx *unit.Tx, w why) {
	s.reads = append(s.reads, read{tx.Emit(unit.ReadPIDFile{Path: s.cfg.PIDFile}), w})
}

// findMain looks for the main process of a forking service; false if there is nothing to
// look for, so that the caller goes on at once.
func (s *Service) findMain(tx *unit.Tx, w why) bool {
	switch {
	case s.cfg.PIDFile != "":
		s.readPIDFile(tx, w)
	case s.cfg.Type == TypeForking && !s.mainKnown && s.cfg.GuessMainPID:
		s.reads = append(s.reads, read{tx.Emit(unit.FindMain{}), w})
	default:
		return false
	}
	return true
}

func (s *Service) onPIDRead(tx *unit.Tx, ev unit.PIDRead) {
	for i, r := range s.reads {
		if ev.Seq != 0 && r.seq == ev.Seq {
			s.reads = append(s.reads[:i:i], s.reads[i+1:]...)
			s.pidRead(tx, r.why, ev)
			return
		}
	}
}

func (s *Service) pidRead(tx *unit.Tx, w why, ev unit.PIDRead) {
	found := ev.Err == "" && !ev.NotYet && !ev.Proc.IsZero()
	switch w {
	case readHeld:
		s.heldRead(tx, found, ev.Proc)
	case readNotified:
		if !found {
			tx.Emit(unit.Say{Level: unit.LevelWarning, Text: "MAINPID= ignored: " + ev.Err})
		} else if s.phase.in(start, startPost, running, reload) {
			s.adopt(tx, ev.Proc)
		}
	case readReload:
		if s.phase == reload {
			if found {
				s.adopt(tx, ev.Proc)
			}
			s.reloadDone(tx, success)
		}
	default:
		if s.phase != start && s.phase != startPost {
			return
		}
		if found {
			s.adopt(tx, ev.Proc)
			s.unwatchPIDFile(tx)
			s.mainFound(tx)
			return
		}
		s.mainMissing(tx, w, ev)
	}
}

// heldRead decides about a main process that ended: replaced by another, or gone.
func (s *Service) heldRead(tx *unit.Tx, found bool, p unit.Proc) {
	h := s.held
	s.held = nil
	switch {
	case h == nil: // given up meanwhile
	case found && !execseq.Same(p, h.proc):
		s.adopt(tx, p)
	default:
		s.mainGone(tx, h.proc, h.exit)
	}
}

// mainFound goes on with the start.
func (s *Service) mainFound(tx *unit.Tx) {
	if s.phase == start {
		s.enterStartPost(tx)
	} else {
		s.enterRunning(tx, success)
	}
}

// mainMissing goes on when there is no main process to be found (yet).
func (s *Service) mainMissing(tx *unit.Tx, w why, ev unit.PIDRead) {
	switch {
	case s.cfg.PIDFile == "": // a guess that failed
		tx.Emit(unit.Say{Level: unit.LevelDebug, Text: "main process not found: " + ev.Err})
		s.mainFound(tx)
	case w == readStart && len(s.cfg.Exec[listStartPost]) > 0: // which may write it
		s.enterStartPost(tx)
	case w == readRetry:
		if s.m.Empty && !s.mainAlive() && !s.m.Control.Live() {
			s.noPIDFile(tx)
		}
	default:
		tx.Emit(unit.Say{Level: unit.LevelNotice, Text: "waiting for PID file " + s.cfg.PIDFile + ": " + ev.Err})
		s.watchPIDFile(tx)
	}
}

// watchPIDFile waits for a change of the PID file, and reads it once more, in case it
// changed before the watch was there.
func (s *Service) watchPIDFile(tx *unit.Tx) {
	s.pidWait = true
	tx.Emit(unit.WatchPath{ID: pidWatch, Path: s.cfg.PIDFile})
	s.readPIDFile(tx, readRetry)
}

func (s *Service) unwatchPIDFile(tx *unit.Tx) {
	if s.pidWait {
		s.pidWait = false
		tx.Emit(unit.UnwatchPath{ID: pidWatch})
	}
}

func (s *Service) onPathChanged(tx *unit.Tx, ev unit.PathChanged) {
	if ev.ID == pidWatch && s.pidWait {
		s.watchPIDFile(tx)
	}
}

// noPIDFile fails a start whose PID file cannot come any more: nobody is left to write it.
func (s *Service) noPIDFile(tx *unit.Tx) {
	if !s.pidWait || len(s.reads) > 0 {
		return
	}
	tx.Emit(unit.Say{Level: unit.LevelErr, Text: "the daemon is gone and never wrote its PID file " + s.cfg.PIDFile})
	if s.phase == start {
		s.enterSignal(tx, stopSigterm, protocol)
	} else {
		s.enterStop(tx, protocol)
	}
}

// adopt makes p the main process.
func (s *Service) adopt(tx *unit.Tx, p unit.Proc) {
	s.mainKnown = true
	if execseq.Same(s.m.Main.Proc, p) {
		return
	}
	if execseq.Same(s.m.Control.Proc, p) {
		tx.Emit(unit.Say{Level: unit.LevelWarning, Text: "process " + strconv.Itoa(p.PID) + " is a control process and cannot be the main one"})
		return
	}
	tx.Emit(unit.Attach{Proc: p})
	s.m.Main = execseq.Process{Proc: p}
	s.m.Empty = false
	s.mainRun = false
	s.stampStart(&s.main, tx.Now, p.PID)
}

// forgottenPatience is how long a service without TimeoutStartSec= is waited for that may have become ready already.
const forgottenPatience = 90 * time.Second

func (s *Service) onRecovered(tx *unit.Tx, forgetful bool) {
	if forgetful && s.phase == start && s.cfg.Type != TypeOneshot {
		s.forgetful = true
		if s.cfg.TimeoutStart == unit.Infinity {
			s.m.Arm(tx, forgottenPatience)
		}
	}
	if s.pidWait {
		s.watchPIDFile(tx)
	}
}
