package durable_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/durable"
	"github.com/sysmaster-go/sysmaster/state/statetest"
)

// step is one change; an empty value deletes.
type step struct{ key, value string }

var work = []step{{"boot", "1"}, {"stamp/a.timer", "5"}, {"boot", "2"}, {"stamp/a.timer", ""}, {"boot", "0"}, {"x/y.z", "long " + "value"}, {"boot", "1"}}

func apply(s *durable.Store, w step) error {
	if w.value == "" {
		return s.Delete(w.key)
	}
	return s.Set(w.key, []byte(w.value))
}

// value is what a store has for a key: "" for nothing.
func value(t *testing.T, s *durable.Store, key string) string {
	t.Helper()
	v, err := s.Get(key)
	if err != nil && !errors.Is(err, durable.ErrNotFound) {
		t.Fatalf("Get(%s) = %v", key, err)
	}
	return string(v)
}

// run does the work until the process or the machine dies; it returns what is certain, and the step under way.
func run(fs *statetest.FS) (sure map[string]string, last step) {
	s := durable.Open(fs)
	sure = map[string]string{}
	for _, w := range work {
		if err := apply(s, w); err != nil {
			return sure, w
		}
		sure[w.key] = w.value
	}
	return sure, step{}
}

// TestEveryPowerCut: at each operation, before it, after it and in the middle of it, the process dies or the power fails.
// What was set before is there, what was being set is there or its old value is, whole, and the next Set works.
func TestEveryPowerCut(t *testing.T) {
	count := &statetest.FS{}
	run(count)
	tried := 0
	for n := 1; n <= count.Ops(); n++ {
		for _, out := range []statetest.Outcome{{Crash: true}, {Crash: true, After: true}, {Crash: true, Write: 1}, {Crash: true, Write: 20}, {Crash: true, Write: 22}} {
			for _, power := range []bool{false, true} {
				tried++
				fs := &statetest.FS{Fault: func(op statetest.Op) statetest.Outcome {
					if op.N == n {
						return out
					}
					return statetest.Outcome{}
				}}
				sure, last := run(fs)
				next := fs.Restart()
				if power {
					next = fs.PowerCut()
				}
				s := durable.Open(next)
				for _, w := range work {
					got := value(t, s, w.key)
					if got != sure[w.key] && (w.key != last.key || got != last.value) {
						t.Fatalf("crash at %d, %+v, power cut %v: %s is %q; want %q, or %+v", n, out, power, w.key, got, sure[w.key], last)
					}
				}
				if err := s.Set("boot", []byte("after")); err != nil {
					t.Fatal(err)
				}
				if got := value(t, durable.Open(next.PowerCut()), "boot"); got != "after" {
					t.Fatalf("crash at %d: after Set it is %q", n, got)
				}
			}
		}
	}
	t.Logf("%d crashes", tried)
}

// TestEveryFault: each operation fails once. The value counts at once, and is written by Flush.
func TestEveryFault(t *testing.T) {
	count := &statetest.FS{}
	run(count)
	for n := 1; n <= count.Ops(); n++ {
		for _, no := range []error{syscall.EIO, syscall.ENOSPC, syscall.EROFS} {
			fs := &statetest.FS{Fault: func(op statetest.Op) statetest.Outcome {
				if op.N == n {
					return statetest.Outcome{Err: no, Write: 3}
				}
				return statetest.Outcome{}
			}}
			s := durable.Open(fs)
			want := map[string]string{}
			for _, w := range work {
				if err := apply(s, w); err != nil && !errors.Is(err, no) {
					t.Fatalf("fault %v at %d: %v", no, n, err)
				}
				want[w.key] = w.value
				if got := value(t, s, w.key); got != w.value {
					t.Fatalf("fault %v at %d: %s is %q; want %q", no, n, w.key, got, w.value)
				}
			}
			if err := s.Flush(); err != nil || s.Pending() != 0 {
				t.Fatalf("Flush = %v, %d pending", err, s.Pending())
			}
			next := durable.Open(fs.PowerCut())
			for key, v := range want {
				if got := value(t, next, key); got != v {
					t.Errorf("fault %v at %d: %s is %q; want %q", no, n, key, got, v)
				}
			}
		}
	}
}

// TestLate: a directory that is read-only, full or not there early at boot gets its values later.
func TestLate(t *testing.T) {
	fs := &statetest.FS{}
	if err := durable.Open(fs).Set("boot", []byte("1")); err != nil {
		t.Fatal(err)
	}
	for name, late := range map[string]*statetest.FS{"read-only": {ReadOnly: true}, "full": {Capacity: 1}} {
		late.Put("boot", fs.Content("boot"))
		s := durable.Open(late)
		if got := value(t, s, "boot"); got != "1" {
			t.Errorf("%s: boot is %q; want 1", name, got)
		}
		if err := s.Set("boot", []byte("2")); err == nil || s.Pending() != 1 {
			t.Fatalf("%s: Set = %v, %d pending; want an error, 1", name, err, s.Pending())
		}
		if err := s.Flush(); err == nil {
			t.Errorf("%s: Flush reports no error", name)
		}
		if got := value(t, durable.Open(late.Restart()), "boot"); got != "1" {
			t.Errorf("%s: others see %q; want 1", name, got)
		}
		late.ReadOnly, late.Capacity = false, 0
		if err := s.Flush(); err != nil || s.Pending() != 0 {
			t.Fatalf("%s: Flush = %v, %d pending", name, err, s.Pending())
		}
		if got := value(t, durable.Open(late.PowerCut()), "boot"); got != "2" {
			t.Errorf("%s: boot is %q; want 2", name, got)
		}
	}
}

// TestMountedOver: what was written before /var was mounted is written to it afterwards.
func TestMountedOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "lib", "sysmaster")
	s := durable.Open(state.NewDirFS(dir))
	for _, w := range work {
		if err := apply(s, w); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(dir, dir+".hidden"); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	next := durable.Open(state.NewDirFS(dir))
	if got := value(t, next, "boot"); got != "1" {
		t.Errorf("boot is %q; want 1", got)
	}
	keys, err := next.Keys()
	if want := []string{"boot", "x/y.z"}; err != nil || !slices.Equal(keys, want) {
		t.Errorf("Keys = %q, %v; want %q", keys, err, want)
	}
	text, err := os.ReadFile(filepath.Join(dir, "x%2Fy%2Ez"))
	if err != nil || !strings.HasSuffix(string(text), "\nlong value") {
		t.Errorf("the file has %q, %v; want the value as it is", text, err)
	}
}

// TestEveryFlippedBit is damage that is noticed, and that Set repairs.
func TestEveryFlippedBit(t *testing.T) {
	fs := &statetest.FS{}
	if err := durable.Open(fs).Set("k", []byte("value")); err != nil {
		t.Fatal(err)
	}
	for off := range fs.Content("k") {
		for bit := range uint(8) {
			bad := fs.Restart()
			bad.Flip("k", int64(off), bit)
			s := durable.Open(bad)
			if v, err := s.Get("k"); !errors.Is(err, durable.ErrDamaged) {
				t.Fatalf("byte %d, bit %d: Get = %q, %v; want ErrDamaged", off, bit, v, err)
			}
			if err := s.Set("k", []byte("new")); err != nil || value(t, durable.Open(bad), "k") != "new" {
				t.Fatalf("Set = %v", err)
			}
		}
	}
	fs.Put("other", fs.Content("k"))
	fs.Put("long", make([]byte, 10_000))
	for _, key := range []string{"other", "long"} {
		if _, err := durable.Open(fs).Get(key); !errors.Is(err, durable.ErrDamaged) {
			t.Errorf("Get(%s) = %v; want ErrDamaged", key, err)
		}
	}
}

func TestBounds(t *testing.T) {
	fs := &statetest.FS{}
	s := durable.Open(fs)
	for _, w := range []step{{"", "v"}, {strings.Repeat("k", durable.MaxKey+1), "v"}, {"k", strings.Repeat("v", durable.MaxValue+1)}} {
		if err := s.Set(w.key, []byte(w.value)); !errors.Is(err, durable.ErrBound) {
			t.Errorf("Set of %d and %d bytes = %v; want ErrBound", len(w.key), len(w.value), err)
		}
	}
	if err := s.Set("most", []byte(strings.Repeat("v", durable.MaxValue))); err != nil {
		t.Error(err)
	}
	for i := range durable.MaxKeys - 1 {
		fs.Put(fmt.Sprint(i), nil)
	}
	if err := s.Set("one more", nil); !errors.Is(err, durable.ErrBound) {
		t.Errorf("Set of one too many = %v; want ErrBound", err)
	}
	if err := s.Set("7", []byte("x")); err != nil {
		t.Errorf("Set of one that is there = %v", err)
	}
}

// TestReaders: whoever reads meanwhile sees one of the values, whole. Run with -race.
func TestReaders(t *testing.T) {
	dir := state.NewDirFS(t.TempDir())
	s := durable.Open(dir)
	if err := s.Set("k", []byte("0")); err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for seen := ""; ; {
				select {
				case <-done:
					return
				default:
				}
				v, err := durable.Open(dir).Get("k")
				if err != nil || len(v) < len(seen) {
					t.Errorf("Get = %q, %v after %q", v, err, seen)
					return
				}
				seen = string(v)
			}
		})
	}
	for i := range 100 {
		if err := s.Set("k", []byte(strings.Repeat("v", i+1))); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}

func TestStamps(t *testing.T) {
	fs := &statetest.FS{}
	s := durable.Open(fs)
	long := strings.Repeat("long", 60) + ".timer"
	for i, unit := range []string{"a.timer", "b@x-y.timer", long, strings.Repeat("long", 61) + ".timer"} {
		if at, known, err := s.Stamp(unit); at != 0 || known || err != nil {
			t.Errorf("Stamp(%s) = %v, %v, %v; want none", unit, at, known, err)
		}
		if err := s.SetStamp(unit, time.Duration(i)*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	next := durable.Open(fs.PowerCut())
	if at, known, err := next.Stamp(long); at != 2*time.Hour || !known || err != nil {
		t.Errorf("Stamp = %v, %v, %v; want 2h", at, known, err)
	}
	if err := next.DeleteStamp(long); err != nil {
		t.Fatal(err)
	}
	if _, known, _ := durable.Open(fs).Stamp("a.timer"); !known {
		t.Error("a stamp is gone")
	}
	if err := next.Set("stamp/a.timer", []byte("soon")); err != nil {
		t.Fatal(err)
	}
	if _, known, err := next.Stamp("a.timer"); known || !errors.Is(err, durable.ErrDamaged) {
		t.Errorf("Stamp of nonsense = %v, %v; want ErrDamaged", known, err)
	}
}

// FuzzFile: whatever a file has, it is a value of ours or damage.
func FuzzFile(f *testing.F) {
	fs := &statetest.FS{}
	if err := durable.Open(fs).Set("k", []byte("value")); err != nil {
		f.Fatal(err)
	}
	f.Add(fs.Content("k"))
	f.Add([]byte("sysmaster 1 "))
	f.Fuzz(func(t *testing.T, data []byte) {
		fs := &statetest.FS{}
		fs.Put("k", data)
		v, err := durable.Open(fs).Get("k")
		if err != nil {
			if !errors.Is(err, durable.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		again := &statetest.FS{}
		if err := durable.Open(again).Set("k", v); err != nil || string(again.Content("k")) != string(data) {
			t.Fatalf("%q is read as %q and written as %q, %v", data, v, again.Content("k"), err)
		}
	})
}
