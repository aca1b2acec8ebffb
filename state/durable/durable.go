package durable

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/sysmaster-go/sysmaster/state"
)

// Bounds of what is kept.
const (
	MaxKey   = 128
	MaxValue = 4096
	MaxKeys  = 4096
)

var (
	// ErrNotFound says that a key has no value.
	ErrNotFound = errors.New("there is no such value")
	// ErrDamaged says that a key's file is not what was written. Set replaces it.
	ErrDamaged = errors.New("the stored value is damaged")
	// ErrBound says that a key or a value is too long, or has no bytes, or that there are too many keys.
	ErrBound = errors.New("it exceeds a bound")
)

// Store keeps values in a directory. All methods may be called from any goroutine.
type Store struct {
	mu   sync.Mutex
	fs   state.FS
	want map[string][]byte // values set by this process; nil: deleted
	todo map[string]bool   // those of them that are not on disk
}

// Open gives the store of a directory, which need not exist, nor be writable, yet.
func Open(dir state.FS) *Store {
	return &Store{fs: dir, want: make(map[string][]byte), todo: make(map[string]bool)}
}

// Get returns a key's value: the one that was set last, whether it is on disk yet or not. Otherwise the error is
// ErrNotFound, ErrDamaged or the system's.
func (s *Store) Get(key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.want[key]; ok {
		if v == nil {
			return nil, fail("read", key, ErrNotFound)
		}
		return bytes.Clone(v), nil
	}
	v, err := s.read(key)
	if err != nil {
		return nil, fail("read", key, err)
	}
	return v, nil
}

// Set keeps a value. If it cannot be written now the error says why, Get gives it all the same, and Flush tries again.
// With ErrBound nothing is kept.
func (s *Store) Set(key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(key, value); err != nil {
		return fail("keep", key, err)
	}
	return s.put(key, append(make([]byte, 0, len(value)), value...))
}

// Delete forgets a value. If its file cannot be removed now, Flush tries again.
func (s *Store) Delete(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := checkKey(key); err != nil {
		return fail("delete", key, err)
	}
	return s.put(key, nil)
}

// Flush writes what is not on disk, and what is no longer there. It goes on after an error and returns the first.
func (s *Store) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first error
	for _, key := range sorted(s.want) {
		if !s.todo[key] {
			have, err := s.read(key)
			if v := s.want[key]; err == nil && v != nil && bytes.Equal(have, v) || errors.Is(err, ErrNotFound) && v == nil {
				continue
			}
		}
		if err := s.put(key, s.want[key]); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Pending is the number of values that are not on disk.
func (s *Store) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.todo)
}

// Keys lists, sorted, the keys that have values, damaged ones included.
func (s *Store) Keys() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := s.keys()
	if err != nil && !gone(err) {
		return nil, fmt.Errorf("cannot list the stored values: %w", err)
	}
	return keys, nil
}

func (s *Store) keys() ([]string, error) {
	names, err := s.fs.List()
	have := make(map[string][]byte)
	for _, n := range names {
		if key, ok := keyOf(n); ok {
			have[key] = []byte{}
		}
	}
	for key, v := range s.want {
		if have[key] = v; v == nil {
			delete(have, key)
		}
	}
	return sorted(have), err
}

// put makes value the one that counts and tries to write it.
func (s *Store) put(key string, value []byte) error {
	s.want[key], s.todo[key] = value, true
	err := s.fs.Prepare()
	if err == nil && value == nil {
		err = s.remove(key)
	} else if err == nil {
		err = s.write(key, value)
	}
	if err != nil {
		return fail("write", key, err)
	}
	delete(s.todo, key)
	return nil
}

func (s *Store) write(key string, value []byte) (err error) {
	name := nameOf(key)
	f, err := s.fs.Create(name + tmpSuffix)
	if err != nil {
		return err
	}
	b := encode(key, value)
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.fs.Rename(name+tmpSuffix, name)
	}
	if err != nil {
		_ = s.fs.Remove(name + tmpSuffix) // the next attempt does it as well
		return err
	}
	return s.fs.SyncDir()
}

func (s *Store) remove(key string) error {
	if err := s.fs.Remove(nameOf(key)); err != nil && !gone(err) {
		return err
	}
	return s.fs.SyncDir()
}

func (s *Store) read(key string) ([]byte, error) {
	f, err := s.fs.Open(nameOf(key))
	if gone(err) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, len(encode(key, nil))+MaxValue+1)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return decode(key, b[:n])
}

func (s *Store) check(key string, value []byte) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if len(value) > MaxValue {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrBound, len(value), MaxValue)
	}
	if _, known := s.want[key]; known {
		return nil
	}
	if keys, _ := s.keys(); len(keys) >= MaxKeys && !slices.Contains(keys, key) { // a directory that is not there has none
		return fmt.Errorf("%w: %d values, at most %d", ErrBound, len(keys), MaxKeys)
	}
	return nil
}

func checkKey(key string) error {
	if len(key) == 0 || len(key) > MaxKey {
		return fmt.Errorf("%w: a key of %d bytes, 1 to %d", ErrBound, len(key), MaxKey)
	}
	return nil
}

const (
	magic     = "sysmaster 1 "
	tmpSuffix = ".tmp" // no key's name ends so: its dot would be escaped
)

// encode is a file's content. The key is in the checksum, so that a file under another's name is not believed.
func encode(key string, value []byte) []byte {
	return append(fmt.Appendf(nil, "%s%08x\n", magic, sum(key, value)), value...)
}

func decode(key string, b []byte) ([]byte, error) {
	head := len(magic) + 8 + 1
	if len(b) < head || len(b) > head+MaxValue || !bytes.Equal(b[:head], encode(key, b[head:])[:head]) {
		return nil, ErrDamaged
	}
	return b[head:], nil
}

func sum(key string, value []byte) uint32 {
	tab := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum([]byte(key+"\x00"), tab), tab, value)
}

// plain reports whether a byte of a key stands for itself in a file's name.
func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_@:", c) >= 0
}

// nameOf is a key's file: what is not plain is written as %XX.
func nameOf(key string) string {
	var b strings.Builder
	for i := range len(key) {
		if c := key[i]; plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// keyOf is nameOf's inverse; names that nameOf does not give are not ours.
func keyOf(name string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b.WriteByte(name[i])
			continue
		}
		if len(name) < i+3 {
			return "", false
		}
		c, err := strconv.ParseUint(name[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		i += 2
	}
	key := b.String()
	return key, checkKey(key) == nil && nameOf(key) == name
}

func gone(err error) bool { return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) }

func fail(what, key string, err error) error {
	return fmt.Errorf("cannot %s the value %q: %w", what, key, err)
}

func sorted(m map[string][]byte) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
