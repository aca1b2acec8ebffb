package state

import (
	"cmp"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"
)

// lockName is the file whose lock says that the directory is in use.
const lockName = "lock"

// fileName is "log.7" or "units.7"; tmpSuffix marks a snapshot that is being written.
func fileName(stem string, number uint64) string { return stem + "." + strconv.FormatUint(number, 10) }

const tmpSuffix = ".tmp"

// parseName understands the names of logs and snapshots.
func parseName(name string) (h header, ok bool) {
	stem, num, found := strings.Cut(name, ".")
	n, err := strconv.ParseUint(num, 10, 63)
	if !found || err != nil || n == 0 || num[0] == '0' || num[0] == '+' {
		return h, false
	}
	if stem == "log" {
		return header{kind: kindLog, number: n}, true
	}
	for s := range Segment(segments) {
		if stem == s.String() {
			return header{kind: kindSnapshot, segment: s, number: n}, true
		}
	}
	return h, false
}

// Open opens the store and finds the newest value of each key; Load hands them out. Damage is in the report and is
// no error, nor is a directory that cannot be used: then Commit says so, and UseReserve helps. The errors are
// ErrLocked and *VersionError; nothing was changed then.
//
// Older files are only read; commits go to a new log, so that what was found stays as evidence, and as the way
// back from an upgrade, until a compaction replaces it.
func Open(cfg Config) (*Log, Report, error) {
	cfg.defaults()
	if cfg.FS == nil {
		cfg.FS = NewDirFS(cfg.Dir)
	}
	if _, real := cfg.FS.(*DirFS); real && cfg.Salt == 0 {
		cfg.Salt = randomSalt()
	}
	l := &Log{cfg: cfg, fs: cfg.FS, tab: crc32.MakeTable(crc32.Castagnoli)}
	l.report.Format = cfg.newest
	if err := l.lock(); err != nil {
		return nil, l.report, err
	}
	tmp, err := l.openFiles()
	if err != nil {
		return nil, l.report, errors.Join(err, l.Close())
	}
	l.makeRoom()
	if l.format = cfg.newest; cfg.Hold && l.found != 0 {
		l.format = l.found
	}
	l.replay()
	for _, name := range tmp { // a compaction that did not finish
		if err := l.fs.Remove(name); err != nil {
			l.report.add(Problem{Damage: NotWritable, File: name, Err: err})
		}
	}
	if err := l.newLog(); err != nil {
		l.fault = err
		l.report.add(Problem{Damage: NotWritable, File: fileName("log", l.number+1), Err: err})
	} else if cfg.Reserve > 0 && (l.noRoom || l.fault != nil) {
		l.report.add(Problem{Damage: NoReserve, File: l.tail.name, Err: l.fault})
	}
	l.tidy()
	l.report.Records = len(l.index.byKey)
	rep := l.report
	rep.Problems = slices.Clone(rep.Problems)
	return l, rep, nil
}

// usualRecord is the size of most records in a snapshot.
const usualRecord = 1024

// makeRoom makes the index for about as many keys as there are in the snapshots.
func (l *Log) makeRoom() {
	n := int64(0)
	for s := range Segment(segments) {
		if f := l.newestSnapshot(s); f != nil {
			n += f.size / usualRecord
		}
	}
	l.index.room(int(min(n, 1<<17)))
}

// tidy compacts at once when there are very many logs: a core that dies again and again before it is ever idle must
// not leave more of them each time.
func (l *Log) tidy() {
	if len(l.files) <= 4*maxLogs || l.tail == nil {
		return
	}
	for more := true; more; {
		var err error
		if more, err = l.compact(partSize); err != nil {
			l.fault = err
			l.report.add(Problem{Damage: NotWritable, File: fileName("log", l.number), Err: err})
		}
	}
}

func (l *Log) lock() error {
	if err := l.fs.Prepare(); err != nil {
		l.report.add(Problem{Damage: NotWritable, File: "directory", Err: err})
		return nil
	}
	var err error
	l.unlock, err = l.fs.Lock(lockName)
	if errors.Is(err, ErrLocked) {
		return err
	}
	if err != nil {
		l.unlock = nil
		l.report.add(Problem{Damage: NotWritable, File: lockName, Err: err})
	}
	return nil
}

// openFiles opens all files and reads their headers, before anything is changed. It returns the names of unfinished
// snapshots.
func (l *Log) openFiles() (tmp []string, err error) {
	names, err := l.fs.List()
	if err != nil {
		l.report.add(Problem{Damage: Unreadable, File: "directory", Err: err})
	}
	for _, name := range names {
		if h, ok := parseName(strings.TrimSuffix(name, tmpSuffix)); ok {
			l.number = max(l.number, h.number)
			if strings.HasSuffix(name, tmpSuffix) {
				tmp = append(tmp, name)
			} else if err := l.openFile(name, h); err != nil {
				return nil, err
			}
		}
	}
	slices.SortStableFunc(l.files, func(a, b *dataFile) int { return cmp.Compare(a.hdr.number, b.hdr.number) })
	return tmp, nil
}

// openFile adds a file to l.files, or says in the report why it cannot; the error is a *VersionError.
func (l *Log) openFile(name string, want header) error {
	f, err := l.fs.Open(name)
	if err != nil {
		l.report.add(Problem{Damage: Unreadable, File: name, Err: err})
		return nil
	}
	d := &dataFile{name: name, hdr: want, f: f}
	l.files = append(l.files, d)
	if d.size, err = f.Size(); err != nil {
		l.report.add(Problem{Damage: Unreadable, File: name, Err: err})
		return nil
	}
	l.report.Files++
	l.report.Bytes += d.size
	b := make([]byte, min(d.size, dataStart))
	if _, err = f.ReadAt(b, 0); err != nil && err != io.EOF {
		l.report.add(Problem{Damage: Unreadable, File: name, Bytes: d.size, Err: err})
		d.size = 0
		return nil
	}
	h, ok := parseHeader(b, l.tab)
	switch {
	case ok && h.format > l.cfg.newest:
		return &VersionError{File: name, Have: h.format, Max: l.cfg.newest}
	case ok && h.format > 0 && h.kind == want.kind && h.segment == want.segment && h.number == want.number:
		d.hdr, d.seed = h, seedOf(h.salt, l.tab)
		l.report.Format = min(l.report.Format, h.format)
		l.found = max(l.found, h.format)
		if d.size >= dataStart {
			return nil
		}
		l.report.add(Problem{Damage: TornTail, File: name, Bytes: d.size})
	case d.size == 0 && d.hdr.kind == kindLog: // made for a compaction, and never begun
	case d.size < dataStart && d.hdr.kind == kindLog:
		l.report.add(Problem{Damage: TornTail, File: name, Bytes: d.size}) // the crash came while it was made
	default:
		l.report.add(Problem{Damage: BadHeader, File: name, Bytes: d.size})
		d.hdr.format = 0
	}
	d.size = 0
	return nil
}

// replay reads the newest snapshot of each segment and then the logs since.
func (l *Log) replay() {
	var base [segments]uint64
	var newest uint64
	for s := range Segment(segments) {
		if f := l.newestSnapshot(s); f != nil {
			base[s] = f.hdr.number
			newest = max(newest, f.hdr.number)
			l.readSnapshot(f)
		}
	}
	expect, previous := max(newest, 1), uint64(0)
	for _, f := range l.files {
		if f.hdr.kind != kindLog {
			continue
		}
		n := f.hdr.number
		if n >= expect {
			if n > expect {
				l.report.add(Problem{Damage: MissingFile, File: fileName("log", expect), Count: n - expect})
			}
			expect = n + 1
		}
		// Below the newest snapshot a compaction may have removed some logs already: a gap means nothing there.
		l.readLog(f, base, n > newest || n == previous+1)
		previous = n
	}
	l.buf = nil
	if newest >= expect { // the log that was begun with the newest snapshot
		l.report.add(Problem{Damage: MissingFile, File: fileName("log", expect), Count: newest - expect + 1})
	}
}

func (l *Log) newestSnapshot(s Segment) *dataFile {
	var best *dataFile
	for _, f := range l.files {
		// One with a bad header is of no use; an older one may still be there.
		if f.hdr.kind == kindSnapshot && f.hdr.segment == s && f.size > 0 {
			best = f
		}
	}
	return best
}

func (l *Log) scanner(f *dataFile) *scanner {
	return &scanner{w: window{f: f.f, buf: l.buf[:0]}, file: f, tab: l.tab, report: &l.report}
}

func (l *Log) readSnapshot(f *dataFile) {
	s := l.scanner(f)
	var seq, count, want uint64
	ended := false
	before := len(l.report.Problems) + l.report.Omitted
	s.frames(func(fr frame, content []byte, at int64) {
		gap := fr.seq != seq+1
		seq = fr.seq
		switch {
		case fr.typ == framePart && !ended:
			recs, ok := s.records(content, at)
			for _, r := range recs {
				if r.segment == f.hdr.segment && !r.deleted {
					l.index.read(r.segment, r.key, f, r.at, len(r.raw), crc32.Checksum(r.raw, l.tab))
				}
			}
			count += uint64(len(recs))
			if ok && !gap {
				return
			}
		case fr.typ == frameEnd && !ended && !gap:
			want, ended = endCount(content)
			if ended {
				return
			}
		}
		s.problem(BadRecord, at, int64(len(content)), nil)
	})
	l.buf = s.w.buf[:0]
	if !ended || want != count {
		s.problem(Unfinished, f.size, 0, nil)
	}
	if len(l.report.Problems)+l.report.Omitted > before {
		l.dirty[f.hdr.segment] = true // to be written again from what is left
	}
}

// readLog replays a log. Records of a segment whose snapshot is newer are in the snapshot.
func (l *Log) readLog(f *dataFile, base [segments]uint64, gapless bool) {
	if f.size == 0 {
		return
	}
	s := l.scanner(f)
	if b := f.hdr.base; b > l.seq+1 && l.seq != 0 && gapless {
		l.lostCommits(f, dataStart, b-l.seq-1)
	}
	l.seq = max(f.hdr.base, 1) - 1 // it may be lower: a commit that was refused, in a log that was given up
	s.frames(func(fr frame, content []byte, at int64) {
		if fr.typ != frameCommit || fr.seq <= l.seq {
			s.problem(BadRecord, at, int64(len(content)), nil)
			return
		}
		recs, ok := s.records(content, at)
		l.replayed(f, recs, base)
		if !ok {
			s.problem(BadRecord, at, int64(len(content)), nil)
			return
		}
		if fr.seq > l.seq+1 {
			l.lostCommits(f, at, fr.seq-l.seq-1)
		}
		l.seq = fr.seq
		l.report.Commits++
	})
	l.buf = s.w.buf[:0]
	if err := f.f.Truncate(f.size); err != nil { // gives back the reserve that a crash left behind its end
		s.problem(NotWritable, f.size, 0, err)
	}
}

// replayed puts the records of a commit into the index.
func (l *Log) replayed(f *dataFile, recs []found, base [segments]uint64) {
	for _, r := range recs {
		if f.hdr.number < base[r.segment] {
			continue
		}
		l.dirty[r.segment] = true
		if r.deleted {
			l.index.remove(Key{r.segment, string(r.key)})
		} else {
			l.index.read(r.segment, r.key, f, r.at, len(r.raw), crc32.Checksum(r.raw, l.tab))
		}
	}
}

func (l *Log) lostCommits(f *dataFile, at int64, n uint64) {
	l.report.add(Problem{Damage: LostCommits, File: f.name, Offset: at, Count: n})
}
