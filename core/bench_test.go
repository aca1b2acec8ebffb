package core

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

// server makes n services as a server has them: wanted by a target, with default dependencies.
func server(n int) []*unit.Spec {
	specs := []*unit.Spec{spec("basic.target"), spec("shutdown.target"), spec("multi-user.target", dep(unit.Requires, "basic.target", 1), dep(unit.After, "basic.target", 2))}
	for i := range n {
		s := spec(name(i), dep(unit.Requires, "basic.target", 1), dep(unit.After, "basic.target", 2),
			dep(unit.Conflicts, "shutdown.target", 3), dep(unit.Before, "shutdown.target", 4))
		if i > 0 {
			s.Deps = append(s.Deps, dep(unit.After, name(i/2), 5))
		}
		s.Settings = []unit.Setting{{Section: "Unit", Key: "Description", Value: "Unit of a benchmark", Pos: unit.Pos{File: "/u/file", Line: 1}}}
		specs = append(specs, s)
		specs[2].Deps = append(specs[2].Deps, dep(unit.Wants, name(i), i+3))
	}
	return specs
}

func BenchmarkPlan10000(b *testing.B) {
	e, _ := graphOf(b, server(10_000))
	op := OpJob{Unit: "multi-user.target", Type: unit.JobStart, Mode: unit.ModeReplace}
	b.ReportAllocs()
	for b.Loop() {
		jobs, _, err := e.Plan(op)
		require.NoError(b, err)
		require.Len(b, jobs, 10_002)
	}
}

// tmpfsLog is the real log where it stands on a real machine; elsewhere if there is no tmpfs.
func tmpfsLog(b *testing.B) *state.Log {
	dir, err := os.MkdirTemp("/dev/shm", "core-bench-")
	if err != nil {
		dir = b.TempDir()
		b.Logf("no tmpfs: %v", err)
	} else {
		b.Cleanup(func() { os.RemoveAll(dir) })
	}
	l, _, err := state.Open(state.Config{Dir: dir})
	require.NoError(b, err)
	b.Cleanup(func() { l.Close() })
	return l
}

// BenchmarkCommitTransition is steps 2 to 4 of a turn in which one unit changes.
func BenchmarkCommitTransition(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprintf("units=%d", n), func(b *testing.B) {
			specs := server(n)
			w := &bench{load: byName(specs)}
			e := newToyEngine(b, w, tmpfsLog(b), "")
			e.rec = openRecorder(Recorder{Page: make([]byte, RecorderSize), Generation: 1}, w.now)
			for _, s := range specs {
				ask(e, w, OpLoad{Unit: s.Name})
			}
			settleToy(b, e, w)
			b.ReportAllocs()
			start := used()
			defer func() { b.ReportMetric(float64(used()-start)/float64(b.N), "cpu-ns/op") }()
			for i := 0; b.Loop(); i++ {
				t := unit.Event(unit.Start{})
				if i%2 == 1 {
					t = unit.Stop{}
				}
				w.inputs = append(w.inputs, sys.Input{Unit: name(0), Body: t})
				if _, err := e.Step(); err != nil {
					b.Fatal(err)
				}
				if i%256 == 0 {
					e.maintain()
				}
			}
		})
	}
}

func byName(specs []*unit.Spec) func(unit.Name) *unit.Spec {
	m := make(map[unit.Name]*unit.Spec, len(specs))
	for _, s := range specs {
		m[s.Name] = s
	}
	return func(n unit.Name) *unit.Spec {
		if s := m[n]; s != nil {
			return s
		}
		return &unit.Spec{Name: n, Load: unit.LoadNotFound}
	}
}

func BenchmarkRecover10000(b *testing.B) {
	specs := server(10_000)
	w := &bench{load: byName(specs)}
	store := new(statetest.Mem)
	e := newToyEngine(b, w, store, "multi-user.target")
	settleToy(b, e, w)
	require.Len(b, e.list, 10_003)
	b.ReportAllocs()
	for b.Loop() {
		w := &bench{load: byName(specs)}
		e := newToyEngine(b, w, store, "multi-user.target")
		require.Equal(b, unit.Active, e.lookup("multi-user.target").state.Active)
	}
}

func BenchmarkPublish1000(b *testing.B) {
	e, _ := graphOf(b, server(1000))
	b.ReportAllocs()
	for b.Loop() {
		e.pub.changed(5)
		e.publishView()
	}
}
