package state

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// asidePrefix begins the names of files that were set aside: "aside.2.log.7".
const asidePrefix = "aside."

// SetAside takes the files of a store out of its way without looking into them, so that the next Open finds an empty
// one: for a log that the machine cannot live with, or one of another boot. They stay as evidence under other names; of
// the sets of such files the newest keep are kept. The store must not be open: ErrLocked.
func SetAside(dir FS, keep int) error {
	unlock, err := dir.Lock(lockName)
	if errors.Is(err, ErrLocked) {
		return fmt.Errorf("cannot set the state aside: %w", err)
	}
	if err == nil {
		defer unlock.Close()
	}
	names, err := dir.List()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot set the state aside: %w", err)
	}
	next := 1
	for _, n := range names {
		if set := asideSet(n); set >= next {
			next = set + 1
		}
	}
	var errs []error
	for _, n := range names {
		_, ours := parseName(n)
		switch set := asideSet(n); {
		case set > 0 && set <= next-keep, strings.HasSuffix(n, tmpSuffix):
			errs = append(errs, dir.Remove(n))
		case ours:
			if err := dir.Rename(n, asidePrefix+strconv.Itoa(next)+"."+n); err != nil {
				errs = append(errs, err, dir.Remove(n)) // evidence is good, an empty store is needed
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot set the state aside: %w", err)
	}
	return nil
}

// asideSet is the number of the set that a file belongs to; 0 for none.
func asideSet(name string) int {
	rest, ok := strings.CutPrefix(name, asidePrefix)
	if !ok {
		return 0
	}
	num, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(num)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
