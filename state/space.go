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
	from := max(l.alloc, l.tail.size)
	err := l.tail.f.Allocate(from, to)
	if errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) {
		l.noRoom = true
		return nil
	}
	if err != nil {
		return commitError("allocate", l.tail.name, err)
	}
	l.alloc = to
	return nil
}

// newLog makes a log with the next number and makes it the tail; the old one stays if that fails. Strict: it is a
// failure too if there is no space for the reserve.
func (l *Log) newLog(strict bool) error {
	old, oldAlloc := l.tail, l.alloc
	l.number++
	f, err := l.create(fileName("log", l.number), header{
		format: Format, kind: kindLog, number: l.number, salt: l.cfg.Salt, base: l.seq + 1,
	})
	if err != nil {
		l.number--
		return err
	}
	l.tail, l.alloc = f, 0
	err = l.room(0)
	if !strict && errors.Is(err, ErrFull) {
		l.fault, err = err, nil // commits will fail until there is, those after UseReserve perhaps not
	}
	if err == nil && l.cfg.Sync {
		if e := errors.Join(f.f.Sync(), l.fs.SyncDir()); e != nil {
			err = commitError("sync", f.name, e)
		}
	}
	if err != nil {
		l.tail, l.alloc = old, oldAlloc
		l.number-- // a gap in the numbers means that a log was lost
		return errors.Join(err, f.f.Close(), l.fs.Remove(f.name))
	}
	l.files = append(l.files, f)
	if old != nil && oldAlloc > old.size {
		// Give its reserve back. If that fails the space is lost until compaction removes the file, nothing more.
		if err := old.f.Truncate(old.size); err != nil {
			l.fault = commitError("truncate", old.name, err)
		}
	}
	return nil
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
	return &dataFile{name: name, hdr: h, f: f, size: dataStart}, nil
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
	if err := l.newLog(false); err != nil {
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
