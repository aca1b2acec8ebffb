package state

import (
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/sysmaster-go/sysmaster/state/record"
)

// allocChunk is how much more space than needed is set aside at once, so that a commit seldom pays for it.
const allocChunk = 256 << 10

// writable makes sure that there is a tail that the next process will find.
func (l *Log) writable() error {
	if l.tail != nil {
		linked, err := l.tail.f.Linked()
		if err == nil && linked {
			return nil
		}
		if err == nil {
			err = ErrGone
		}
		l.fault = commitError("find", l.tail.name, err)
		l.abandon()
	}
	return l.repair()
}

// room makes sure that the tail has space for n bytes, and for the reserve behind them unless it is open.
// The reserve is space behind the tail's end: nobody else can take it in between.
func (l *Log) room(n int64) error {
	end := l.tail.size + n
	need := end
	if !l.urgent {
		need += l.cfg.Reserve
	}
	if l.noRoom || need <= l.alloc {
		return nil
	}
	err := l.allocate(need + allocChunk)
	if err != nil {
		err = l.allocate(need)
	}
	if err != nil && l.urgent {
		return nil // let the write try
	}
	return err
}

func (l *Log) allocate(to int64) error {
	err := l.setAside(l.tail, max(l.alloc, l.tail.size), to)
	if err == nil && !l.noRoom {
		l.alloc = to
	}
	return err
}

func (l *Log) setAside(f *dataFile, from, to int64) error {
	err := f.f.Allocate(from, to)
	if errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) {
		l.noRoom = true
		return nil
	}
	if err != nil {
		return commitError("allocate", f.name, err)
	}
	return nil
}

// newLog makes a log with the next number and makes it the tail; the old one stays if that fails. Without space for the
// reserve it is the tail all the same: commits will fail until there is, those after UseReserve perhaps not.
func (l *Log) newLog() error {
	name := fileName("log", l.number+1)
	f, err := l.fs.Create(name)
	if err != nil {
		return commitError("create", name, err)
	}
	l.number++
	next := &dataFile{name: name, f: f}
	old, oldAlloc := l.tail, l.alloc
	if err = l.begun(next, 0); err == nil {
		err = l.room(0)
	}
	if errors.Is(err, ErrFull) && l.tail == next {
		l.fault, err = err, nil
	}
	if err == nil {
		return nil
	}
	if l.tail == next {
		l.tail, l.alloc = old, oldAlloc
		l.files = l.files[:len(l.files)-1]
	}
	return errors.Join(err, l.drop(next))
}

// begun writes a new log's header and makes it the tail.
func (l *Log) begun(next *dataFile, alloc int64) error {
	h := header{format: l.format, kind: kindLog, number: l.number, salt: l.cfg.Salt, base: l.seq + 1}
	_, err := next.f.WriteAt(h.bytes(l.tab), 0)
	if err == nil && l.cfg.Sync {
		err = errors.Join(next.f.Sync(), l.fs.SyncDir())
	}
	if err != nil {
		return commitError("write", next.name, err)
	}
	next.hdr, next.seed, next.size = h, seedOf(h.salt, l.tab), dataStart
	l.tail, l.alloc = next, alloc
	l.files = append(l.files, next)
	return nil
}

// drop removes a log that was not begun; a gap in the numbers would mean that one was lost.
func (l *Log) drop(next *dataFile) error {
	l.number--
	return errors.Join(next.f.Close(), l.fs.Remove(next.name))
}

// create makes a file with its header.
func (l *Log) create(name string, h header) (*dataFile, error) {
	f, err := l.fs.Create(name)
	if err != nil {
		return nil, commitError("create", name, err)
	}
	if _, err = f.WriteAt(h.bytes(l.tab), 0); err != nil {
		return nil, errors.Join(commitError("write", name, err), f.Close(), l.fs.Remove(name))
	}
	return &dataFile{name: name, hdr: h, f: f, seed: seedOf(h.salt, l.tab), size: dataStart}, nil
}

// repair makes a new tail after the old one was given up.
func (l *Log) repair() error {
	if l.tail != nil {
		return nil
	}
	if err := l.abort(); err != nil {
		l.fault = err
	}
	if err := l.fs.Prepare(); err != nil {
		return commitError("create", "directory", err)
	}
	if err := l.newLog(); err != nil {
		return err
	}
	for _, f := range l.files {
		if ok, err := l.fs.Exists(f.name); err == nil && !ok {
			// What it holds is readable as long as it is open: compaction writes all of it again.
			l.rebuild = true
		}
	}
	return nil
}

// UseReserve is described at Store.
func (l *Log) UseReserve() { l.urgent = true }

// hold keeps a record in memory, as the newest value of its key.
func (l *Log) hold(r *Record) {
	k := Key{r.Segment, r.Key}
	var e record.Encoder
	n := encodeRecord(&e, r)
	content := slices.Clone(e.Data()[e.Len()-n:])
	if l.held == nil {
		l.held = make(map[Key][]byte)
	}
	if _, ok := l.held[k]; !ok {
		k.Name = strings.Clone(k.Name)
		l.order = append(l.order, k)
	}
	l.held[k] = content
	if r.Data == nil {
		l.index.remove(k)
		return
	}
	l.index.put(k, nil, 0, n, 0)
}

// flush writes what is held in memory, in one frame as far as a frame goes.
func (l *Log) flush() error {
	for len(l.order) > 0 {
		l.begin()
		done := 0
		for _, k := range l.order {
			content := l.held[k]
			if done > 0 && l.enc.Len()+len(content) > l.cfg.MaxCommit {
				break
			}
			_, live := l.index.byKey[k]
			encodeRaw(&l.enc, content)
			l.note(k, !live, len(content))
			done++
		}
		if err := l.write(); err != nil {
			return err
		}
		l.apply()
		for _, k := range l.order[:done] {
			delete(l.held, k)
		}
		l.order = slices.Delete(l.order, 0, done)
	}
	return nil
}

// settle ends the urgent time once everything is on disk and the reserve is whole.
func (l *Log) settle() error {
	if !l.urgent || len(l.order) > 0 {
		return nil
	}
	l.urgent = false
	err := l.room(0)
	l.urgent = err != nil
	return err
}
