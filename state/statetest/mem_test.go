package statetest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/statetest"
)

func names(t *testing.T, s state.Store) (out string) {
	t.Helper()
	if _, err := s.Load(func(r state.Record) error {
		out += fmt.Sprintf("%s/%s=%s ", r.Segment, r.Key, r.Data)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMem(t *testing.T) {
	m := &statetest.Mem{}
	m.Fail = func(c statetest.Commit) error {
		if c.N == 2 && !c.Urgent {
			return statetest.Refuse(state.ErrFull)
		}
		return nil
	}
	data := []byte("1")
	if err := m.Commit([]state.Record{{Key: "b", Data: data}, {Segment: state.Specs, Key: "a", Data: []byte("s")}, {Key: "a", Data: []byte{}}}); err != nil {
		t.Fatal(err)
	}
	data[0] = 'x' // the caller's again
	if err := m.Commit([]state.Record{{Key: "a"}}); !errors.Is(err, state.ErrFull) {
		t.Errorf("Commit = %v; want ErrFull", err)
	}
	if got := names(t, m); got != "units/a= units/b=1 specs/a=s " {
		t.Errorf("Load = %q", got)
	}
	other := m.Clone()
	next := m.Reopen()
	if err := m.Commit([]state.Record{{Key: "late", Data: []byte("l")}}); !errors.Is(err, state.ErrClosed) {
		t.Errorf("Commit of a dead process = %v; want ErrClosed", err)
	}
	if err := next.Commit([]state.Record{{Key: "a"}}); err != nil {
		t.Fatal(err)
	}
	if a, b := names(t, next), names(t, other); a != "units/b=1 specs/a=s " || b != "units/a= units/b=1 specs/a=s " {
		t.Errorf("after Reopen %q, clone %q", a, b)
	}
}

// ExampleFS lets the process die in the middle of a commit and looks at what the next one finds.
func ExampleFS() {
	fs := &statetest.FS{}
	log, _, err := state.Open(state.Config{FS: fs})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(log.Commit([]state.Record{{Key: "a", Data: []byte("1")}}))
	fs.Fault = func(op statetest.Op) statetest.Outcome {
		if op.Kind == statetest.OpWrite {
			return statetest.Outcome{Crash: true, Write: op.Len - 1}
		}
		return statetest.Outcome{}
	}
	fmt.Println(log.Commit([]state.Record{{Key: "a", Data: []byte("2")}}) != nil)

	log, report, err := state.Open(state.Config{FS: fs.Restart()})
	fmt.Println(report.Problems, err)
	_, err = log.Load(func(r state.Record) error {
		fmt.Printf("%s %s\n", r.Key, r.Data)
		return nil
	})
	fmt.Println(err)
	// Output:
	// <nil>
	// true
	// [log.1: torn tail at 162, 33 bytes] <nil>
	// a 1
	// <nil>
}
