package state

import (
	"errors"
	"slices"

	"github.com/sysmaster-go/sysmaster/state/record"
)

// Compaction. The live records of each segment that changed are copied to a new snapshot while commits go on, to a
// log that was begun for the purpose:
//
//	files                              step
//	units.5 specs.3 log.5              commits go to log.5
//	... log.6, empty                   set its space aside, in slices
//	... log.6                          rotate: commits go to log.6
//	... units.6.tmp                    copy what lies in files below 6, in slices; what is committed meanwhile is in log.6
//	... units.6                        rename, one segment after the other
//	units.6 specs.3 log.6              remove what is below 6, but snapshots of segments that did not change,
//	                                   and free its space, in slices too: that takes as long as writing it
//
// A crash between any two of them loses nothing: each segment is read from its newest snapshot and all logs from that number on,
// and reading a log whose records are all in an older snapshot as well changes nothing.
type compaction struct {
	target  uint64
	todo    [segments]bool
	all     bool    // todo is everything because the directory was lost
	segment Segment // being written
	cursor  int     // in the slots
	out     *dataFile
	outs    [segments]*dataFile
	parts   uint64
	count   uint64
	stage   stage
	next    *dataFile // the log that is being prepared
	alloc   int64     // its space is set aside up to here
	old     *dataFile // a removed file whose space is being freed
	left    int64     // so much of it is left
}

type stage uint8

const (
	preparing stage = iota
	copying
	renaming
	removing
)

const (
	maxLogs   = 8        // more of them, from as many crashes, are worth a compaction of whatever size
	partSize  = 64 << 10 // of a snapshot's frame
	slotCost  = 8        // bytes of budget for looking at a slot
	readCost  = 512      // and for reading a record
	callCost  = 8 << 10  // and for a step that is a system call or two
	spaceStep = 64 << 10 // how much space is taken or freed at once
	sliceCost = 32 << 10 // and the cost of that
	backoffBy = 256 << 10
	readTries = 3
)

// Maintain is described at Store.
func (l *Log) Maintain(budget int) (more bool, err error) {
	if l.closed {
		return false, ErrClosed
	}
	if err = l.whole(); err == nil {
		err = l.flush()
	}
	var full error
	if err == nil {
		if err = l.settle(); errors.Is(err, ErrFull) {
			full, err = err, nil // what takes the space may be our own
		}
	}
	if err == nil {
		more, err = l.compact(budget)
	}
	if err == nil && !more {
		err = full
	}
	if err != nil {
		l.fault = err
		return false, err
	}
	l.fault = nil
	return more, nil
}

// whole notices a tail that vanished, and one other file at each call.
func (l *Log) whole() error {
	if l.tail != nil {
		if ok, err := l.fs.Exists(l.tail.name); err != nil || !ok {
			l.abandon()
		}
	}
	if err := l.writable(); err != nil {
		return err
	}
	if l.compaction != nil {
		return nil // it removes files itself
	}
	l.patrol = (l.patrol + 1) % len(l.files)
	ok, err := l.fs.Exists(l.files[l.patrol].name)
	if err == nil && !ok {
		l.rebuild = true
	}
	return err
}

func (l *Log) logged() (bytes int64) {
	for _, f := range l.files {
		if f.hdr.kind == kindLog {
			bytes += f.size
		}
	}
	return bytes
}

func (l *Log) due() bool {
	logs := 0
	for _, f := range l.files {
		if f.hdr.kind == kindLog {
			logs++
		}
	}
	bytes := l.logged()
	if bytes < l.backoff && !l.urgent {
		return false
	}
	return l.rebuild || logs > maxLogs || bytes >= max(l.cfg.CompactAt, l.index.live)
}

// compact does a slice of compaction, and begins one if it is time.
func (l *Log) compact(budget int) (more bool, err error) {
	if l.compaction == nil {
		if !l.due() {
			return false, nil
		}
		l.compaction = &compaction{all: l.rebuild}
	}
	for err == nil && budget > 0 && l.compaction != nil {
		switch c := l.compaction; c.stage {
		case preparing:
			err = l.prepare(c)
			budget -= sliceCost
		case copying:
			budget, err = l.copySome(c, budget)
		case renaming:
			err = l.renameOne(c)
			budget -= callCost
		case removing:
			err = l.removeOne(c)
			budget -= sliceCost
		}
	}
	if err != nil {
		l.backoff = l.logged() + backoffBy
		if e := l.abort(); e != nil {
			err = e
		}
		return false, err
	}
	return l.compaction != nil, nil
}

// prepare makes the log that compaction begins with, a step at a time, and begins it.
func (l *Log) prepare(c *compaction) error {
	if c.next == nil {
		name := fileName("log", l.number+1)
		f, err := l.fs.Create(name)
		if err != nil {
			return commitError("create", name, err)
		}
		l.number++
		c.next = &dataFile{name: name, f: f}
		return nil
	}
	if to := dataStart + l.cfg.Reserve + allocChunk; c.alloc < to && !l.noRoom {
		to = min(to, c.alloc+spaceStep)
		err := l.setAside(c.next, c.alloc, to)
		switch {
		case err == nil:
			c.alloc = to
			return nil
		case !l.urgent || !errors.Is(err, ErrFull):
			return err
		}
		// Go on without a reserve, with what is left of the old one: if the space is taken by what the log has
		// too much, the end of the compaction frees it.
		if l.tail != nil && l.tail.f.Truncate(l.tail.size) == nil {
			l.alloc = l.tail.size
		}
	}
	return l.rotate(c)
}

// rotate sends the commits to the new log.
func (l *Log) rotate(c *compaction) error {
	old, oldAlloc := l.tail, l.alloc
	if err := l.begun(c.next, c.alloc); err != nil {
		return err
	}
	c.next = nil
	old.alloc = oldAlloc
	c.target, c.todo = l.number, l.dirty
	if c.all {
		c.todo = [segments]bool{true, true, true}
	}
	c.todo[Meta] = true // small, and its number says which log is the first
	l.dirty = [segments]bool{}
	c.stage = copying
	return nil
}

// abort ends a compaction without having changed anything that matters; a snapshot that got its name is as good as
// the older files.
func (l *Log) abort() error {
	c := l.compaction
	if c == nil {
		return nil
	}
	l.compaction = nil
	var first error
	if c.next != nil {
		first = l.drop(c.next)
	}
	if c.old != nil {
		first = c.old.f.Close()
	}
	for s := range Segment(segments) {
		if c.stage != removing {
			l.dirty[s] = l.dirty[s] || c.todo[s]
			if c.outs[s] != nil {
				first = firstOf(first, l.discard(c.outs[s]))
			}
		}
	}
	if c.out != nil {
		first = firstOf(first, l.discard(c.out))
	}
	return first
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// discard closes a snapshot that is not used, and removes it if it has not got its name yet. One that has is kept in
// files, so that the next compaction removes it.
func (l *Log) discard(f *dataFile) error {
	ok, err := l.fs.Exists(f.name + tmpSuffix)
	if err == nil && !ok {
		l.files = append([]*dataFile{f}, l.files...)
		return nil
	}
	return firstOf(f.f.Close(), firstOf(err, l.fs.Remove(f.name+tmpSuffix)))
}

// copySome writes one part of a snapshot: up to budget bytes, and at least one record.
func (l *Log) copySome(c *compaction, budget int) (left int, err error) {
	for c.segment < segments && !c.todo[c.segment] {
		c.segment++
	}
	if c.segment == segments {
		c.stage, c.segment = renaming, 0
		return budget, nil
	}
	if c.out == nil {
		return budget - callCost, l.beginSnapshot(c)
	}
	l.begin()
	for c.cursor < len(l.index.slots) && budget > 0 && l.enc.Len() < partSize {
		s := &l.index.slots[c.cursor]
		c.cursor++
		budget -= slotCost
		if s.key.Name == "" || s.key.Segment != c.segment || s.file == nil || s.file.hdr.number >= c.target {
			continue
		}
		budget -= readCost + int(s.n)
		if err := l.copyRecord(c, s); err != nil {
			return 0, err
		}
	}
	if len(l.locs) > 0 {
		if err := l.writePart(c, framePart); err != nil {
			return 0, err
		}
	}
	if c.cursor == len(l.index.slots) {
		return budget - callCost, l.endSnapshot(c)
	}
	return budget, nil
}

// copyRecord appends a record to the part, or forgets it if it cannot be read any more: copying damage with a new
// checksum would hide it. A read error may pass: only the last of a few compactions gives the record up.
func (l *Log) copyRecord(c *compaction, s *slot) error {
	raw, p := l.read(s)
	if p != nil && p.Damage == Unreadable && l.unread < readTries {
		l.unread++
		return commitError("read", p.File, p.Err)
	}
	if p != nil {
		l.lost = append(l.lost, s.key)
		l.index.remove(s.key)
		return nil
	}
	encodeRaw(&l.enc, raw)
	l.note(s.key, false, len(raw))
	s.next = c.out.size + int64(l.locs[len(l.locs)-1].off)
	return nil
}

func (l *Log) beginSnapshot(c *compaction) error {
	name := fileName(c.segment.String(), c.target)
	f, err := l.create(name+tmpSuffix, header{
		format: l.format, kind: kindSnapshot, segment: c.segment, number: c.target, salt: l.cfg.Salt,
	})
	if err != nil {
		return err
	}
	f.name = name
	c.out, c.cursor, c.parts, c.count = f, 0, 0, 0
	return nil
}

func (l *Log) writePart(c *compaction, typ uint8) error {
	c.parts++
	c.count += uint64(len(l.locs))
	b := l.enc.Data()
	sealFrame(b, typ, c.out.hdr.format, c.parts, c.out.seed, l.tab)
	if _, err := c.out.f.WriteAt(b, c.out.size); err != nil {
		return commitError("write", c.out.name+tmpSuffix, err)
	}
	c.out.size += int64(len(b))
	return nil
}

func (l *Log) endSnapshot(c *compaction) error {
	l.begin()
	l.enc.Uint(tagCount, c.count)
	if err := l.writePart(c, frameEnd); err != nil {
		return err
	}
	if l.cfg.Sync {
		if err := c.out.f.Sync(); err != nil {
			return commitError("sync", c.out.name+tmpSuffix, err)
		}
	}
	c.outs[c.segment] = c.out
	c.out = nil
	c.segment++
	return nil
}

// endCount reads the content of an end frame.
func endCount(content []byte) (n uint64, ok bool) {
	for off := 0; off < len(content); {
		f, size, err := record.First(content[off:])
		if err != nil {
			return 0, false
		}
		off += size
		if f.Tag == tagCount {
			n, err = f.Uint()
			ok = err == nil
		}
	}
	return n, ok
}

// renameOne gives one snapshot its name; after the last one the slots change over to the snapshots.
func (l *Log) renameOne(c *compaction) error {
	for ; c.segment < segments; c.segment++ {
		f := c.outs[c.segment]
		if f == nil {
			continue
		}
		if err := l.fs.Rename(f.name+tmpSuffix, f.name); err != nil {
			return commitError("rename", f.name, err)
		}
		c.segment++
		return nil
	}
	if l.cfg.Sync {
		if err := l.fs.SyncDir(); err != nil {
			return commitError("sync", "directory", err)
		}
	}
	for i := range l.index.slots {
		s := &l.index.slots[i]
		if s.file != nil && s.file.hdr.number < c.target && c.todo[s.key.Segment] {
			s.file, s.off = c.outs[s.key.Segment], s.next
		}
	}
	var files []*dataFile
	for _, f := range c.outs {
		if f != nil {
			files = append(files, f)
		}
	}
	l.files = append(files, l.files...) // the tail stays the last
	c.outs = [segments]*dataFile{}
	c.stage = removing
	l.rebuild = l.rebuild && !c.all
	return nil
}

// removeOne removes one file that is not needed any more, or frees some of its space: it has no name then, so that a crash
// in between leaves nothing. One that cannot be removed is tried again by the next compaction; reading it does no harm.
func (l *Log) removeOne(c *compaction) error {
	if c.old != nil {
		return c.free()
	}
	for i, f := range l.files {
		if f.hdr.number >= c.target || f.hdr.kind == kindSnapshot && !c.todo[f.hdr.segment] {
			continue
		}
		if err := l.fs.Remove(f.name); err != nil && reason(err) != ErrGone {
			return commitError("remove", f.name, err)
		}
		l.files = slices.Delete(l.files, i, i+1)
		c.old, c.left = f, max(f.size, f.alloc)
		return nil
	}
	l.compaction = nil
	l.backoff, l.unread = 0, 0
	return nil
}

// free gives back a step of a file's space. The file is read no more, so that a failure costs nothing but time: closing
// it frees the rest.
func (c *compaction) free() error {
	f := c.old
	c.left -= spaceStep
	err := f.f.Truncate(max(c.left, 0))
	if err == nil && c.left > 0 {
		return nil
	}
	c.old = nil
	return f.f.Close()
}
