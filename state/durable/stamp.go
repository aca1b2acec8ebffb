package durable

import (
	"errors"
	"strconv"
	"time"
)

// SetStamp keeps when something of a unit last happened, such as the last elapse of a timer (Persistent=, systemd.timer(5)):
// wall-clock time since the epoch. As with Set, what cannot be written now is kept.
func (s *Store) SetStamp(unit string, real time.Duration) error {
	return s.Set(stampKey(unit), strconv.AppendInt(nil, int64(real), 10))
}

// Stamp returns what SetStamp kept; known is false if nothing is, or if it is damaged: then it is as if the
// unit had never elapsed, and the error says so.
func (s *Store) Stamp(unit string) (real time.Duration, known bool, err error) {
	v, err := s.Get(stampKey(unit))
	if errors.Is(err, ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return 0, false, fail("read", stampKey(unit), ErrDamaged)
	}
	return time.Duration(n), true, nil
}

// DeleteStamp forgets it: of a unit that is gone, or for systemctl clean.
func (s *Store) DeleteStamp(unit string) error { return s.Delete(stampKey(unit)) }

// stampKey of a unit's name, which may have 255 bytes: a long one is kept by its checksums.
func stampKey(unit string) string {
	if key := "stamp/" + unit; len(key) <= MaxKey {
		return key
	}
	const head = MaxKey - len("stamp/") - 2*9
	return "stamp/" + unit[:head] + "~" + hex(sum("a", []byte(unit))) + "~" + hex(sum("b", []byte(unit)))
}

func hex(n uint32) string { return strconv.FormatUint(uint64(n)|1<<32, 16)[1:] }
