package service

import (
	"hash/fnv"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// maxStatus bounds STATUS=, in bytes.
const maxStatus = 4096

// onNotified takes one sd_notify(3) datagram.
func (s *Service) onNotified(tx *unit.Tx, n unit.Notified) {
	if s.phase.down() || s.phase == autoRestart || !s.hears(n.From) {
		s.dropFDs(tx, n.FDs)
		return
	}
	f := fields(n.Fields)
	s.noteMain(tx, f)
	s.noteState(tx, f)
	if v, ok := f.get("STATUS"); ok && utf8.ValidString(v) && len(v) <= maxStatus {
		s.statusText = v
	}
	if v, ok := f.get("ERRNO"); ok {
		if e, err := strconv.ParseUint(v, 10, 12); err == nil {
			s.errno = int(e)
		}
	}
	s.noteTime(tx, f)
	s.noteFDs(tx, f, n)
}

// fields is a notification; the first assignment of a name counts.
type fields []unit.Field

func (f fields) get(key string) (string, bool) {
	for _, x := range f {
		if x.Key == key {
			return x.Value, true
		}
	}
	return "", false
}

func (f fields) is(key string) bool {
	v, _ := f.get(key)
	return v == "1"
}

// hears decides by NotifyAccess= whether p may speak for the service.
func (s *Service) hears(p unit.Proc) bool {
	main := !p.IsZero() && p.PID == s.m.Main.Proc.PID
	control := !p.IsZero() && p.PID == s.m.Control.Proc.PID
	switch s.cfg.NotifyAccess {
	case notifyAll:
		return true
	case notifyExec:
		return main || control
	case notifyMain:
		// The command of a forking service is its main process until that one is known.
		return main || control && s.phase == start && !s.mainKnown
	}
	return false
}

func (s *Service) noteMain(tx *unit.Tx, f fields) {
	v, ok := f.get("MAINPID")
	if !ok || !s.phase.in(start, startPost, running, reload) {
		return
	}
	pid, err := strconv.Atoi(v)
	switch {
	case err != nil || pid <= 1:
		tx.Emit(unit.Say{Level: unit.LevelWarning, Text: "MAINPID= is not the number of a process"})
	case pid == s.m.Main.Proc.PID:
		s.mainKnown = true
	default:
		s.reads = append(s.reads, read{tx.Emit(unit.FindMain{PID: pid}), readNotified})
	}
}

// noteState takes STOPPING=1, else READY=1, else RELOADING=1.
func (s *Service) noteState(tx *unit.Tx, f fields) {
	switch {
	case f.is("STOPPING"):
		s.notice = noticeStopping
		if s.phase == running {
			s.enterStopByNotice(tx)
		}
	case f.is("READY"):
		s.notice = noticeReady
		switch {
		case s.phase == start && s.cfg.Type == TypeNotify:
			s.enterStartPost(tx)
		case s.phase == reload && !s.m.Control.Live() && !s.reading(readReload):
			s.reloadDone(tx, success)
		}
	case f.is("RELOADING"):
		s.notice = noticeReloading
		if s.phase == running {
			s.enterReloadByNotice(tx)
		}
	}
}

func (s *Service) reading(w why) bool {
	for _, r := range s.reads {
		if r.why == w {
			return true
		}
	}
	return false
}

func (s *Service) noteTime(tx *unit.Tx, f fields) {
	if v, ok := f.get("EXTEND_TIMEOUT_USEC"); ok {
		if d, ok := usec(v); ok {
			s.m.Extend(tx, d)
			if at := tx.Now.Deadline(d); s.watchdog.armed && at > s.watchdog.at && at != unit.Infinity {
				s.armWatchdog(tx, at)
			}
		}
	}
	switch v, _ := f.get("WATCHDOG"); v {
	case "1":
		if s.watchdog.armed {
			s.resetWatchdog(tx)
		}
	case "trigger":
		s.biteNow(tx)
	}
	if v, ok := f.get("WATCHDOG_USEC"); ok {
		if d, ok := usec(v); ok {
			s.override = d
			if s.phase.in(startPost, running, reload) {
				s.resetWatchdog(tx)
			}
		}
	}
}

func usec(v string) (time.Duration, bool) {
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return 0, false
	}
	if n > uint64(unit.Infinity/time.Microsecond) {
		return unit.Infinity, true
	}
	return time.Duration(n) * time.Microsecond, true
}

// watchdogSpan is the time within which the service must speak up; 0 and Infinity: never.
func (s *Service) watchdogSpan() time.Duration {
	if s.override != 0 {
		return s.override
	}
	return s.cfg.Watchdog
}

func (s *Service) resetWatchdog(tx *unit.Tx) {
	if d := s.watchdogSpan(); d > 0 && tx.Now.Deadline(d) != unit.Infinity {
		s.armWatchdog(tx, tx.Now.Deadline(d))
	} else {
		s.stopWatchdog(tx)
	}
}

func (s *Service) armWatchdog(tx *unit.Tx, at time.Duration) {
	s.watchdog = timer{true, at}
	tx.Emit(unit.Arm{ID: watchdogTimer, At: at})
}

func (s *Service) stopWatchdog(tx *unit.Tx) {
	if s.watchdog.armed {
		s.watchdog = timer{}
		tx.Emit(unit.Disarm{ID: watchdogTimer})
	}
}

func (s *Service) onWatchdog(tx *unit.Tx) {
	s.watchdog = timer{}
	tx.Emit(unit.Say{Level: unit.LevelErr, Text: "watchdog timeout"})
	s.biteNow(tx)
}

func (s *Service) biteNow(tx *unit.Tx) {
	if s.phase.in(startPost, running, reload) {
		s.enterSignal(tx, stopWatchdog, watchdog)
	}
}

// noteFDs stores descriptors, or takes stored ones away. What is not stored is dropped.
func (s *Service) noteFDs(tx *unit.Tx, f fields, n unit.Notified) {
	fds := n.FDs
	name, named := f.get("FDNAME")
	valid := named && execspec.ValidFDName(name)
	if f.is("FDSTOREREMOVE") {
		if valid {
			s.forget(tx, name)
		}
	} else if f.is("FDSTORE") {
		if !valid {
			name = "stored"
		}
		fds = s.store(tx, name, n)
	}
	s.dropFDs(tx, fds)
}

// storedFD is a descriptor that the service stored.
type storedFD struct {
	unit.FDRef
	from string // the temporary key under which it came
}

// store keeps as many descriptors as FileDescriptorStoreMax= allows; the rest is returned. An open file
// is stored once, as systemd does it, whatever its name: and a message that comes again because the core died
// behind its commit, brings the same file again. It may be still under the key under which it came first.
func (s *Service) store(tx *unit.Tx, name string, n unit.Notified) (rest []unit.FDRef) {
	full := false
	for i, fd := range n.FDs {
		switch {
		case i < len(n.Same) && s.hasStored(n.Same[i]):
			rest = append(rest, fd)
		case len(s.stored) >= s.cfg.FDStoreMax:
			full = true
			rest = append(rest, fd)
		default:
			s.nextFD++
			key := storedKey(s.name, s.nextFD)
			tx.Emit(unit.StoreFD{From: fd.Key, To: key})
			s.stored = append(s.stored, storedFD{unit.FDRef{Key: key, Name: name}, fd.Key})
		}
	}
	if full {
		tx.Emit(unit.Say{Level: unit.LevelWarning, Text: "descriptor store is full: FileDescriptorStoreMax=" + strconv.Itoa(s.cfg.FDStoreMax)})
	}
	return rest
}

// hasStored reports whether what is held under one of keys is stored, or about to be.
func (s *Service) hasStored(keys []string) bool {
	return slices.ContainsFunc(s.stored, func(f storedFD) bool {
		return slices.Contains(keys, f.Key) || f.from != "" && slices.Contains(keys, f.from)
	})
}

// maxKeyName is how much of a unit's name a key holds: keys have at most 255 bytes.
const maxKeyName = 200

// storedKey names a stored descriptor, unique in the machine. Of a name that is too long for
// a key its beginning and its hash stand for the whole.
func storedKey(n unit.Name, i uint64) string {
	name := string(n)
	if len(name) > maxKeyName {
		h := fnv.New64a()
		h.Write([]byte(name))
		name = name[:maxKeyName] + "~" + strconv.FormatUint(h.Sum64(), 16)
	}
	return "stored/" + name + "/" + strconv.FormatUint(i, 10)
}

func (s *Service) forget(tx *unit.Tx, name string) {
	var keep []storedFD
	var gone []unit.FDRef
	for _, f := range s.stored {
		if f.Name == name {
			gone = append(gone, f.FDRef)
		} else {
			keep = append(keep, f)
		}
	}
	s.stored = keep
	s.dropFDs(tx, gone)
}

func (s *Service) dropFDs(tx *unit.Tx, fds []unit.FDRef) {
	if len(fds) == 0 {
		return
	}
	var d unit.DropFD
	for _, f := range fds {
		d.Keys = append(d.Keys, f.Key)
	}
	tx.Emit(d)
}
