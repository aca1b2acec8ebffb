package state_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/statetest"
)

// TestHold: a program of a format that is not there yet keeps to the one that it found, through logs and
// compactions, as long as it may have to make room for the one before; that one goes on with all of it. After that it
// writes its own, and the one before does not begin.
func TestHold(t *testing.T) {
	fs := &statetest.FS{}
	config := func(newest uint32, hold bool) state.Config {
		return state.Config{FS: fs, CompactAt: 4 << 10, Reserve: -1, Hold: hold}.WithNewest(newest)
	}
	records := 0
	open := func(newest uint32, hold bool) *state.Log {
		t.Helper()
		l, rep, err := state.Open(config(newest, hold))
		records = rep.Records
		if err != nil || !rep.Clean() {
			t.Fatalf("Open(format %d, hold %v) = %v, %v", newest, hold, rep.Problems, err)
		}
		return l
	}
	fill := func(l *state.Log, what string) {
		t.Helper()
		for i := range 100 {
			r := state.Record{Segment: state.Units, Key: fmt.Sprint("unit", i%7), Data: []byte(what + fmt.Sprint(i) + string(make([]byte, 100)))}
			if err := l.Commit([]state.Record{r}); err != nil {
				t.Fatal(err)
			}
			for more := true; more; {
				var err error
				if more, err = l.Maintain(1 << 20); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	l := open(1, true)
	fill(l, "old")
	fs = fs.Restart()
	l = open(2, true)
	fill(l, "new, held")
	for _, f := range l.Formats() {
		if f != 1 {
			t.Errorf("a file has format %d while it is held", f)
		}
	}
	kept := fs.Restart()
	fs = kept
	if open(1, false); records != 7 {
		t.Errorf("the program before finds %d records; want 7", records)
	}
	fs = kept.Restart()
	l = open(2, true)
	l.Release()
	fill(l, "new")
	if f := l.Formats(); len(f) == 0 || f[0] != 2 || f[len(f)-1] != 2 {
		t.Errorf("formats are %v after Release; want 2", f)
	}
	fs = fs.Restart()
	var refused *state.VersionError
	if _, _, err := state.Open(config(1, false)); !errors.As(err, &refused) || refused.Have != 2 || refused.Max != 1 {
		t.Errorf("Open by the program before = %v; want a VersionError", err)
	}
	if open(2, true); records != 7 {
		t.Errorf("it finds %d records of its own; want 7", records)
	}
}
