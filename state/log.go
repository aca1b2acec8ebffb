package state

import (
	"cmp"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"github.com/sysmaster-go/sysmaster/state/record"
)

// Log is a Store in files. It belongs to one goroutine.
//
// Invariants:
//   - tail, if there is one, is the log that commits go to; its bytes up to tail.size are whole frames.
//   - every slot's file is in files, or nil: then its value is in held, and the disk has an older one or none.
//   - held is not empty only while urgent: it is written before the next commit is, so that the order on disk is
//     the order of the commits.
type Log struct {
	cfg    Config
	fs     FS
	unlock io.Closer
	tab    *crc32.Table
	report Report
	closed bool

	files  []*dataFile // all that are open, the tail last
	tail   *dataFile
	alloc  int64  // the tail's space is set aside up to here
	noRoom bool   // the file system cannot set space aside
	number uint64 // the greatest number of any file
	seq    uint64 // of the last commit
	format uint32 // of new files
	found  uint32 // the newest one that was found; 0: no file

	index  index
	dirty  [segments]bool // records in logs that its snapshot does not have
	urgent bool
	fault  error // why the last write failed
	held   map[Key][]byte
	order  []Key // of held, oldest first
	lost   []Key

	compaction *compaction
	rebuild    bool  // the directory was lost: compact whatever the sizes are
	backoff    int64 // no compaction before the logs have this size
	patrol     int
	unread     int // compactions that a read error ended

	enc  record.Encoder
	locs []location // of the records in enc
	buf  []byte     // for reading
}

// location is where one record of the frame in enc begins, relative to the frame.
type location struct {
	key     Key
	deleted bool
	off     int
	n       int
	crc     uint32
}

// keepBuffer is the size from which a buffer is not kept for the next time.
const keepBuffer = 256 << 10

// Commit is described at Store. One commit is one write(2), and allocates nothing once its keys are known.
func (l *Log) Commit(recs []Record) error {
	if l.closed {
		return ErrClosed
	}
	if err := l.cfg.check(recs); err != nil {
		return err
	}
	err := l.flush()
	if err == nil {
		l.begin()
		l.enc.Grow(sizeOf(recs))
		for i := range recs {
			l.add(&recs[i])
		}
		err = l.write()
	}
	l.fault = err
	if err == nil {
		l.apply()
		return nil
	}
	if !l.urgent {
		return err
	}
	for i := range recs {
		l.hold(&recs[i])
	}
	return nil
}

// begin starts a frame in enc.
func (l *Log) begin() {
	if l.enc.Len() > keepBuffer {
		l.enc = record.Encoder{}
		l.locs = nil
	}
	l.enc.Reset()
	l.locs = l.locs[:0]
	var blank [frameSize]byte
	l.enc.Raw(blank[:])
}

// sizeOf is nearly what recs take in a frame.
func sizeOf(recs []Record) (n int) {
	for i := range recs {
		n += len(recs[i].Key) + len(recs[i].Data) + recordOverhead
	}
	return n
}

// add appends a record to the frame.
func (l *Log) add(r *Record) {
	n := encodeRecord(&l.enc, r)
	l.note(Key{r.Segment, r.Key}, r.Data == nil, n)
}

func (l *Log) note(k Key, deleted bool, n int) {
	b := l.enc.Data()
	off := len(b) - n
	l.locs = append(l.locs, location{key: k, deleted: deleted, off: off, n: n, crc: crc32.Checksum(b[off:], l.tab)})
}

// write appends the frame in enc to the tail: all of it or, with a *CommitError, nothing.
func (l *Log) write() error {
	if err := l.writable(); err != nil {
		return err
	}
	b, t := l.enc.Data(), l.tail
	sealFrame(b, frameCommit, t.hdr.format, l.seq+1, t.seed, l.tab)
	if err := l.room(int64(len(b))); err != nil {
		return err
	}
	_, err := t.f.WriteAt(b, t.size)
	op := "write"
	if err == nil && l.cfg.Sync {
		err, op = t.f.Sync(), "sync"
	}
	if err != nil {
		l.undo(op == "sync")
		return commitError(op, t.name, err)
	}
	l.seq++
	return nil
}

// undo takes back what a failed write may have left in the tail. A tail of which that is not sure is given up:
// a failed fsync says nothing about what later ones mean, and behind a torn frame none must follow.
func (l *Log) undo(giveUp bool) {
	err := l.tail.f.Truncate(l.tail.size)
	l.alloc = l.tail.size
	if err != nil || giveUp {
		l.abandon()
	}
}

// abandon gives the tail up for writing. Its last frame may be on disk although its commit was refused; the next
// log's base says that the number was used again.
func (l *Log) abandon() { l.tail, l.alloc = nil, 0 }

// apply makes the written frame's records the newest ones.
func (l *Log) apply() {
	at := l.tail.size
	for i := range l.locs {
		c := &l.locs[i]
		l.dirty[c.key.Segment] = true
		if c.deleted {
			l.index.remove(c.key)
			continue
		}
		l.index.put(c.key, l.tail, at+int64(c.off), c.n, c.crc)
	}
	l.tail.size += int64(l.enc.Len())
}

// Load is described at Store.
func (l *Log) Load(fn func(Record) error) (Report, error) {
	if l.closed {
		return l.report, ErrClosed
	}
	rep := l.report
	rep.Problems = slices.Clone(rep.Problems)
	var ahead readAhead
	for _, s := range l.asTheyLie() {
		raw, p := ahead.read(l, s)
		if p != nil {
			rep.add(*p)
			continue
		}
		r, _ := decodeRecord(raw) // it was decoded before, and the checksum is the same
		if err := fn(Record{Segment: r.segment, Key: s.key.Name, Version: r.version, Data: r.data}); err != nil {
			return rep, err
		}
	}
	return rep, nil
}

// asTheyLie gives all slots in the order of their places: what is held in memory first.
func (l *Log) asTheyLie() []*slot {
	order := make([]*slot, 0, len(l.index.byKey))
	for i := range l.index.slots {
		if s := &l.index.slots[i]; s.key.Name != "" {
			order = append(order, s)
		}
	}
	slices.SortFunc(order, func(a, b *slot) int {
		switch {
		case a.file == b.file:
			return cmp.Compare(a.off, b.off)
		case a.file == nil:
			return -1
		case b.file == nil:
			return 1
		}
		return cmp.Or(cmp.Compare(a.file.hdr.number, b.file.hdr.number), strings.Compare(a.file.name, b.file.name))
	})
	return order
}

// read returns the content of a slot's record, valid until the next call.
func (l *Log) read(s *slot) ([]byte, *Problem) {
	if s.file == nil {
		return l.held[s.key], nil
	}
	if n := int(s.n); cap(l.buf) < n || cap(l.buf) > keepBuffer && n <= keepBuffer {
		l.buf = make([]byte, max(n, 4096))
	}
	b := l.buf[:s.n]
	p := Problem{File: s.file.name, Offset: s.off, Bytes: int64(s.n), Damage: Unreadable}
	if _, err := s.file.f.ReadAt(b, s.off); err != nil {
		p.Err = err
		return nil, &p
	}
	if crc32.Checksum(b, l.tab) != s.crc {
		p.Damage = BadChecksum
		return nil, &p
	}
	return b, nil
}

// Health is described at Store.
func (l *Log) Health() Health {
	h := Health{
		Err: l.fault, Urgent: l.urgent, Volatile: len(l.held), Rebuilding: l.rebuild, Compacting: l.compaction != nil,
		Lost: len(l.lost), Keys: len(l.index.byKey), Live: l.index.live, Logged: l.logged(),
	}
	if l.tail != nil && !l.noRoom {
		h.Reserve = max(0, l.alloc-l.tail.size)
	}
	return h
}

// TakeLost returns the keys that became unreadable while the store was open, once. Whoever still has their
// values commits them again.
func (l *Log) TakeLost() []Key {
	lost := l.lost
	l.lost = nil
	return lost
}

// Close closes the files. It writes nothing.
func (l *Log) Close() error {
	if l.closed {
		return ErrClosed
	}
	l.closed = true
	err := l.abort()
	for _, f := range l.files {
		if e := f.f.Close(); err == nil {
			err = e
		}
	}
	if l.unlock != nil {
		if e := l.unlock.Close(); err == nil {
			err = e
		}
	}
	l.files, l.tail = nil, nil
	return err
}

// Release ends Config.Hold: files that are begun from now on have the newest format.
func (l *Log) Release() { l.cfg.Hold, l.format = false, l.cfg.newest }
