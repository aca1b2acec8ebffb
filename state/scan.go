package state

import (
	"bytes"
	"hash/crc32"
	"io"

	"github.com/sysmaster-go/sysmaster/state/record"
)

// dataFile is an open log or snapshot.
type dataFile struct {
	name  string
	hdr   header
	f     File
	seed  uint32 // of its checksums
	alloc int64  // once the tail no more: its space is still set aside up to here
	size  int64  // up to here it is ours: behind the last good frame of the log that is written
}

// window reads a file in pieces: a whole log in memory would be what a recovered core has more than one that never crashed.
type window struct {
	f   File
	buf []byte
	at  int64 // offset of buf[0]
}

const windowSize = 256 << 10

// bytes returns n bytes at off, valid until the next call.
func (w *window) bytes(off int64, n int) ([]byte, error) {
	if off < w.at || off+int64(n) > w.at+int64(len(w.buf)) {
		if cap(w.buf) < n || cap(w.buf) > 4*windowSize && n <= windowSize {
			w.buf = make([]byte, max(n, windowSize))
		}
		w.buf = w.buf[:cap(w.buf)]
		got, err := w.f.ReadAt(w.buf, off)
		if err != nil && err != io.EOF {
			got, err = w.f.ReadAt(w.buf, off) // once more: what is not read now is lost
		}
		w.at, w.buf = off, w.buf[:got]
		if got < n {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return w.buf[off-w.at:][:n], nil
}

// readAhead reads slots in the order of their places, a window at a time where they lie close together. The zero value is
// ready.
type readAhead struct {
	w    window
	file *dataFile
	end  int64 // of the slot that was read last
}

// near is how far the next slot may be for its file to be read on: between them are a few bytes of a record's head, and
// records that were replaced. Copying so many takes about as long as a system call for each slot.
const near = 8 << 10

// read is Log.read, with the same promise.
func (a *readAhead) read(l *Log, s *slot) ([]byte, *Problem) {
	ahead := s.file != nil && s.file == a.file && s.off >= a.end && s.off-a.end <= near
	a.file, a.end = s.file, s.off+int64(s.n)
	if !ahead || s.n > windowSize {
		return l.read(s)
	}
	if a.w.f != s.file.f {
		a.w = window{f: s.file.f, buf: a.w.buf[:0]}
	}
	b, err := a.w.bytes(s.off, int(s.n))
	if err != nil || crc32.Checksum(b, l.tab) != s.crc {
		return l.read(s) // once more, and it says what is wrong
	}
	return b, nil
}

// scanner walks over the frames of a file. Damage does not end it: every record is a key's whole value and the newest
// wins, so that a frame that is skipped leaves some keys older than they were, while stopping there would leave all
// keys that old - and forget effects that were done since, which is how a service is started twice. What is
// missing is known from the sequence numbers and reported, and recovery compares with the kernel anyway.
type scanner struct {
	w      window
	file   *dataFile
	tab    *crc32.Table
	report *Report
	recs   []found // scratch of records
}

func (s *scanner) problem(d Damage, off, n int64, err error) {
	s.report.add(Problem{Damage: d, File: s.file.name, Offset: off, Bytes: n, Err: err})
}

// frames calls fn with each intact frame and its content, valid during the call; at is the content's offset.
func (s *scanner) frames(fn func(f frame, content []byte, at int64)) {
	size := s.file.size
	for off := int64(dataStart); off < size; {
		if size-off < frameSize {
			s.problem(TornTail, off, size-off, nil)
			return
		}
		b, err := s.w.bytes(off, frameSize)
		if err != nil {
			s.problem(Unreadable, off, size-off, err)
			return
		}
		f, ok := parseFrame(b, s.file.seed, s.tab)
		if !ok {
			next := s.resync(off + 1)
			s.problem(BadFrame, off, next-off, nil)
			off = next
			continue
		}
		end := off + frameSize + int64(f.length)
		if end > size {
			s.problem(TornTail, off, size-off, nil)
			return
		}
		s.one(f, off+frameSize, fn)
		off = end
	}
}

func (s *scanner) one(f frame, at int64, fn func(f frame, content []byte, at int64)) {
	content, err := s.w.bytes(at, f.length)
	switch {
	case err != nil:
		s.problem(Unreadable, at, int64(f.length), err)
	case crc32.Update(s.file.seed, s.tab, content) != f.content:
		s.problem(BadChecksum, at, int64(f.length), nil)
	default:
		fn(f, content, at)
	}
}

// resync looks for the next frame header at or behind off; it returns the file's end if there is none.
func (s *scanner) resync(off int64) int64 {
	magic := []byte{frameMagic & 0xff, frameMagic >> 8}
	for off+frameSize <= s.file.size {
		n := min(s.file.size-off, windowSize)
		b, err := s.w.bytes(off, int(n))
		if err != nil {
			return s.file.size
		}
		for i := 0; ; i++ {
			j := bytes.Index(b[i:], magic)
			if j < 0 {
				break
			}
			i += j
			if len(b)-i < frameSize {
				break
			}
			if _, ok := parseFrame(b[i:], s.file.seed, s.tab); ok {
				return off + int64(i)
			}
		}
		off += n - (frameSize - 1) // a header may lie across the pieces
	}
	return s.file.size
}

// found is a record in a frame: what it says, its bytes, and where they are in the file.
type found struct {
	rawRecord
	raw []byte
	at  int64
}

// records finds the records in a frame's content: all of them, or, if the content makes no sense, none. They are valid
// until the next call.
func (s *scanner) records(content []byte, at int64) (recs []found, ok bool) {
	clear(s.recs) // of what they were read from
	s.recs = s.recs[:0]
	for off := 0; off < len(content); {
		f, size, err := record.First(content[off:])
		if err != nil {
			return nil, false
		}
		off += size
		if f.Tag != tagRecord {
			continue // of a later program
		}
		raw, err := f.Content()
		if err != nil {
			return nil, false
		}
		r, good := decodeRecord(raw)
		if !good {
			return nil, false
		}
		s.recs = append(s.recs, found{r, raw, at + int64(off-len(raw))})
	}
	return s.recs, true
}
