package state_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/statetest"
)

// private makes a private directory, or skips where that is forbidden.
func private(tb testing.TB, size string) *os.File {
	tb.Helper()
	dir, err := state.NewPrivateDir(size)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dir.Close() })
	return dir
}

// TestPrivateDir: it has no path, is bounded, and lasts as long as somebody has it.
func TestPrivateDir(t *testing.T) {
	dir := private(t, "4m")
	cfg := state.Config{FS: state.NewDirFDFS(dir), Salt: 1, Reserve: 256 << 10}
	l, rep := open(t, cfg)
	if !rep.Clean() {
		t.Fatal(rep.Problems)
	}
	m := model{}
	var full error
	for i := 0; full == nil && i < 1000; i++ {
		recs := []state.Record{unit(fmt.Sprint("u", i), string(make([]byte, 10_000)))}
		if full = l.Commit(recs); full == nil {
			m = m.apply(recs)
		}
	}
	if !errors.Is(full, state.ErrFull) || len(m) < 100 {
		t.Fatalf("Commit = %v after %d; want ErrFull", full, len(m))
	}
	l.UseReserve()
	stop := []state.Record{unit("stop", "all")}
	commit(t, l, stop...)
	m = m.apply(stop)

	// Whoever holds a duplicate has it all, as init does for the next core.
	fd, err := unix.FcntlInt(dir.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Close(), dir.Close()); err != nil {
		t.Fatal(err)
	}
	again := os.NewFile(uintptr(fd), "again")
	defer again.Close()
	cfg.FS = state.NewDirFDFS(again)
	next, rep := open(t, cfg)
	if !rep.Whole() {
		t.Fatal(rep.Problems)
	}
	got, _ := load(t, next)
	want(t, "the next process", got, m)

	// Space comes back by deleting, and what is held in memory meanwhile goes to disk.
	var deletions []state.Record
	for k := range m {
		if k.Name != "stop" {
			deletions = append(deletions, state.Record{Segment: k.Segment, Key: k.Name})
		}
	}
	next.UseReserve()
	commit(t, next, deletions...)
	maintain(t, next)
	if h := next.Health(); h.Urgent || h.Volatile > 0 || h.Err != nil {
		t.Errorf("health = %+v; want whole", h)
	}
	var mount unix.Statfs_t
	if err := unix.Fstatfs(fd, &mount); err != nil || mount.Type != unix.TMPFS_MAGIC {
		t.Errorf("it is on file system %x, %v; want a tmpfs", mount.Type, err)
	}
}

// TestCopy: a store moves to another directory with all that it has, and once more after a crash half way.
func TestCopy(t *testing.T) {
	from := &statetest.FS{}
	l, _ := open(t, small(from))
	m := model{}
	for _, recs := range scenario(21, 60) {
		commit(t, l, recs...)
		m = m.apply(recs)
		if _, err := l.Maintain(3000); err != nil {
			t.Fatal(err)
		}
	}
	from.Put("log.x", []byte("not ours"))
	from.Put("units.999.tmp", []byte("not finished"))
	for n := 1; ; n++ {
		to := &statetest.FS{Fault: dieAt(n, statetest.Outcome{Crash: true, Write: 30})}
		err := state.Copy(to, from.Restart())
		if err == nil && to.Ops() < n {
			break
		}
		if err == nil {
			t.Fatalf("crash at %d: Copy reports no error", n)
		}
		to = to.Restart()
		if err := state.Copy(to, from.Restart()); err != nil {
			t.Fatal(err)
		}
		if names := to.Names(); slices.Contains(names, "log.x") || slices.Contains(names, "units.999.tmp") {
			t.Errorf("copied %v; want the store's files only", names)
		}
		next, rep := open(t, small(to))
		got, _ := load(t, next)
		if !rep.Clean() {
			t.Errorf("crash at %d: %v", n, rep.Problems)
		}
		want(t, fmt.Sprint("crash at ", n), got, m)
	}
	full := &statetest.FS{Capacity: 500}
	if err := state.Copy(full, from.Restart()); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Copy to a full directory = %v; want ENOSPC", err)
	}
}

// memfds is the third place that was considered: a memfd for each file, and the names with whoever keeps them.
type memfds map[string]memfd

type memfd struct {
	*os.File
	fs   memfds
	name string
}

func (f memfd) Size() (int64, error)  { st, err := f.Stat(); return st.Size(), err }
func (f memfd) Linked() (bool, error) { var st unix.Stat_t; return true, unix.Fstat(int(f.Fd()), &st) }
func (f memfd) Sync() error           { return nil }
func (f memfd) Close() error          { return nil }
func (f memfd) Allocate(from, to int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, from, to-from)
}

func (m memfds) Prepare() error                   { return nil }
func (m memfds) Exists(name string) (bool, error) { _, ok := m[name]; return ok, nil }
func (m memfds) SyncDir() error                   { return nil }
func (m memfds) Lock(string) (io.Closer, error)   { return io.NopCloser(nil), nil }
func (m memfds) Open(name string) (state.File, error) {
	f, ok := m[name]
	if !ok {
		return nil, unix.ENOENT
	}
	return f, nil
}

func (m memfds) List() (names []string, err error) {
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names, nil
}

func (m memfds) Create(name string) (state.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	m[name] = memfd{os.NewFile(uintptr(fd), name), m, name}
	return m[name], err
}

func (m memfds) Rename(from, to string) error {
	m[to] = m[from]
	delete(m, from)
	return nil
}

func (m memfds) Remove(name string) error {
	err := m[name].File.Close()
	delete(m, name)
	return err
}

// BenchmarkPlace: one unit's transition, and finding 10,000 units again, in each place that the log could live in.
func BenchmarkPlace(b *testing.B) {
	for _, place := range []string{"file", "memfd", "private"} {
		b.Run("commit/"+place, func(b *testing.B) {
			cfg := state.Config{FS: at(b, place)}
			l, _ := open(b, cfg)
			recs := specs(1000)
			work := make([][]state.Record, 1000)
			for i := range work {
				work[i] = transition(i)
				recs = append(recs, work[i]...)
			}
			commit(b, l, recs...)
			for i := 0; b.Loop(); i++ {
				if err := l.Commit(work[i%1000]); err != nil {
					b.Fatal(err)
				}
				if i%500 == 0 {
					b.StopTimer()
					drain(b, l, 64<<10)
					b.StartTimer()
				}
			}
		})
		b.Run("recover/"+place, func(b *testing.B) {
			cfg := state.Config{FS: at(b, place)}
			l, _ := open(b, cfg)
			recs := specs(10_000)
			for i := range 10_000 {
				recs = append(recs, transition(i)...)
			}
			commit(b, l, recs...)
			drain(b, l, 1<<20)
			for b.Loop() {
				if place != "memfd" { // whose files must stay open
					if err := l.Close(); err != nil {
						b.Fatal(err)
					}
				}
				l, _ = open(b, cfg)
				if _, err := l.Load(func(state.Record) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func at(b *testing.B, place string) state.FS {
	switch place {
	case "memfd":
		return memfds{}
	case "private":
		return state.NewDirFDFS(private(b, "1g"))
	}
	return state.NewDirFS(tmpfs(b))
}
