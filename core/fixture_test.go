package core

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/service"
	"github.com/sysmaster-go/sysmaster/unit/slice"
	"github.com/sysmaster-go/sysmaster/unit/socket"
	"github.com/sysmaster-go/sysmaster/unit/target"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
)

// A fixture is a directory testdata/recordsN: the log of a core as it once was, and what it says (want.txt). It is
// never changed. When a record gains something worth a fixture of its own, make the next one with
//
//	go test ./core -run TestRecordsOnceWritten -write testdata/records2
//
// and extend fixtureUnits or fixtureEngine before, so that the new fields are not empty in it.
var writeFixture = flag.String("write", "", "write a fixture of today's records into this directory")

// fixtureUnits are unit files that bring each kind into a state worth remembering.
var fixtureUnits = map[string]string{
	"sysinit.target":  "[Unit]\n",
	"basic.target":    "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n",
	"sockets.target":  "[Unit]\n",
	"shutdown.target": "[Unit]\nDefaultDependencies=no\n",
	"default.target": "[Unit]\nDescription=A fixture\nRequires=basic.target\nAfter=basic.target\n" +
		"Wants=plain.service notify.service door.socket again.service prepared.service odd.service gone.service limit.service\n",
	"plain.service": "[Unit]\nDescription=Plain\nConditionPathExists=/etc\n[Service]\nExecStart=/bin/plain --flag \"two words\"\n" +
		"Environment=A=1 \"B=two words\"\nRuntimeDirectory=plain\nSlice=deep-er.slice\nMemoryMax=100M\n",
	"notify.service":   "[Service]\nType=notify\nExecStart=/bin/notify\nWatchdogSec=10s\nTimeoutStartSec=20s\n",
	"again.service":    "[Unit]\nStartLimitBurst=5\nStartLimitIntervalSec=100s\n[Service]\nExecStart=/bin/fail\nRestart=always\nRestartSec=7s\n",
	"prepared.service": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStartPre=/bin/pre\nExecStart=/bin/one\nExecStart=/bin/two\n",
	"door.socket":      "[Socket]\nListenStream=/run/door\nListenStream=127.0.0.1:80\nBacklog=5\nSocketMode=0600\n",
	"door.service":     "[Service]\nExecStart=/bin/door\n",
	"odd.service":      "[Service]\nExecStart=relative\nNoSuchKey=1\n",
	"limit.service":    "[Service]\nExecStart=/bin/fail\nRestart=always\nRestartSec=0\n[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=100s\n",
}

func realTypes() map[unit.Kind]*unit.Type {
	types := make(map[unit.Kind]*unit.Type)
	for _, t := range []unit.Type{service.Type(service.Options{}), socket.Type(), target.Type(), slice.Type()} {
		types[t.Kind] = &t
	}
	return types
}

func fileLoader(files map[string]string, types map[unit.Kind]*unit.Type) func(unit.Name) *unit.Spec {
	tree := fstest.MapFS{}
	for name, text := range files {
		tree["etc/systemd/system/"+name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	facts := unitfile.SystemFacts()
	facts.HostName, facts.MachineID, facts.BootID, facts.KernelRelease = "host", strings.Repeat("a", 32), strings.Repeat("b", 32), "6.1.0"
	return unitfile.NewLoader(unitfile.Config{FS: tree, Facts: facts, Types: types}).Load
}

// playHost answers what a machine would: all goes well, but that what is named fail exits at once and notify says nothing.
func playHost(b *bench) {
	for _, in := range b.acts {
		say := func(ev unit.Event) { b.inputs = append(b.inputs, sys.Input{Unit: in.Unit, Body: ev}) }
		switch f := in.Effect.(type) {
		case sys.Load:
		case sys.Check:
			b.inputs = append(b.inputs, sys.Input{Unit: in.Unit, Body: sys.Checked{Seq: in.Seq, Results: make([]bool, len(f.Conditions))}})
			for i := range f.Conditions {
				b.inputs[len(b.inputs)-1].Body.(sys.Checked).Results[i] = true
			}
		case unit.Spawn:
			if f.Command.Path == "/bin/two" {
				continue // it is never answered
			}
			b.pid++
			p := unit.Proc{PID: 100 + b.pid, Start: uint64(1000 + b.pid)}
			say(unit.Spawned{Seq: in.Seq, Role: f.Role, Proc: p})
			say(unit.Execed{Seq: in.Seq})
			switch f.Command.Path {
			case "/bin/fail":
				say(unit.Exited{Proc: p, Exit: unit.Exit{Code: unit.ExitExited, Status: 1}})
				say(unit.CgroupEmpty{})
			case "/bin/pre", "/bin/one":
				say(unit.Exited{Proc: p, Exit: unit.Exit{Code: unit.ExitExited}})
			}
		case unit.WatchPath, unit.UnwatchPath, unit.WatchFD, unit.UnwatchFD:
		default:
			say(unit.Done{Seq: in.Seq})
		}
	}
	b.acts = nil
}

// fixtureEngine brings an engine on store into the state of the fixture: what the kinds do by themselves, and one
// unit that has all that an entry can have.
func fixtureEngine(t *testing.T, store state.Store) *Engine {
	types := realTypes()
	b := &bench{load: fileLoader(fixtureUnits, types), now: 100 * time.Second}
	e, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: store,
		Types: types, Boot: Boot{Unit: "default.target", Mode: unit.ModeReplace}, Observe: b.observe, Seed: [16]byte{1, 2, 3}})
	require.NoError(t, err)
	for range 200 {
		_, err := e.Step()
		require.NoError(t, err)
		playHost(b)
		b.now += 10 * time.Millisecond
	}
	x := e.lookup("door.service")
	for i, f := range sampleEffects() {
		x.pending = append(x.pending, unit.Emitted{Seq: uint64(i + 1), Effect: f})
	}
	x.seq, x.invocation, x.cgroup = 99, [16]byte{1, 2, 3}, "system.slice/door.service"
	x.timers = []timer{{id: "state", at: time.Second}, {id: "watchdog", at: time.Minute}}
	x.changes = sampleChanges()
	x.starts, x.limited, x.condition, x.assert = []time.Duration{5, 6}, true, false, false
	x.job = &job{id: 4, x: x, typ: unit.JobRestart, running: true, irreversible: true, ignoreOrder: true, began: 1, deadline: 2, checking: true}
	for i, s := range x.times.all() {
		*s = unit.Stamp{Real: time.Duration(i + 1), Mono: time.Duration(i + 2), Boot: time.Duration(i + 3)}
	}
	e.touch(x)
	e.exitCode, e.shutdown = 9, &sys.Shutdown{Verb: "exit", Code: 3}
	e.parked = append(e.parked, jobLater{unit: "door.service", typ: unit.JobStop, mode: unit.ModeReplace, why: "a fixture", by: Cause{Kind: CauseUnit, Unit: "plain.service", Rel: unit.OnFailure, Change: 3}})
	for i, resp := range []Response{{Job: 4, Unit: "door.service"}, {Job: 3, Unit: "plain.service", Result: unit.JobTimeout},
		{Unit: "gone.service", Err: &RequestError{Unit: "gone.service", Err: ErrNoSuchUnit, Detail: "why"}}, {Err: errNoAnswer}} {
		a := e.repeats.add(repeatKey{1000 * i, RequestID{1, 2, byte(i)}}, 1<<60+uint64(i), e.now.Mono)
		a.known, a.resp = true, resp
		e.repeats.touch(a)
	}
	e.metaDirty = true
	require.True(t, e.commit())
	return e
}

// said is everything that a store's records say, one line for each value that is not zero, so that what later versions add
// changes nothing.
func said(t *testing.T, recs []state.Record) []string {
	t.Helper()
	var lines []string
	types := realTypes()
	specs := make(map[string]*unit.Spec)
	for _, r := range recs {
		switch r.Segment {
		case state.Meta:
			if k, ok := parseRepeatKey(r.Key); ok {
				lines = append(lines, saidAsked(t, k, r.Data))
				continue
			}
			e := &Engine{}
			require.NoError(t, e.decodeMeta(r.Data))
			require.Empty(t, e.unknown, "of our own version nothing is unknown")
			lines = tell(lines, "engine", reflect.ValueOf(struct {
				NextJob         JobID
				Invocation      uint64
				Started, Booted bool
				ExitCode        int
				Shutdown        *sys.Shutdown
			}{e.nextJob, e.invocation, e.started, e.booted, e.exitCode, e.shutdown}))
			for i, l := range e.later {
				lines = append(lines, fmt.Sprintf("engine.later[%d] %s %v %v %s", i, l.unit, l.typ, l.mode, l.why))
				if l.by != (Cause{}) {
					lines = append(lines, fmt.Sprintf("engine.later[%d] because %v", i, saidCause(&l.by)))
				}
			}
		case state.Specs:
			s, err := decodeSpec(r.Data)
			require.NoError(t, err, r.Key)
			specs[r.Key] = s
			lines = tell(lines, r.Key+".spec", reflect.ValueOf(s))
		}
	}
	for _, r := range recs {
		if r.Segment != state.Units {
			continue
		}
		x := &entry{name: unit.Name(r.Key)}
		s, err := decodeUnit(r.Data, x, nil)
		require.NoError(t, err, r.Key)
		require.Empty(t, x.unknown)
		require.Empty(t, x.asRead)
		if s.hasUnit {
			u, err := types[x.name.Kind()].Restore(specs[r.Key], s.version, s.snapshot)
			require.NoError(t, err, r.Key)
			x.state = u.State()
			if h, ok := u.(unit.ProcHolder); ok {
				h.Procs(func(role string, p unit.Proc) { x.procs = append(x.procs, ProcView{role, p}) })
			}
		}
		lines = tellUnit(lines, x)
	}
	return lines
}

func saidAsked(t *testing.T, k repeatKey, data []byte) string {
	a := &asked{repeatKey: k}
	require.NoError(t, decodeAsked(data, a))
	require.Empty(t, a.unknown)
	return fmt.Sprintf("request %d %x what=%x order=%d at=%v job=%d unit=%s result=%v err=%v", k.uid, k.id, a.what, a.order, a.at,
		a.resp.Job, a.resp.Unit, a.resp.Result, a.resp.Err)
}

func saidCause(c *Cause) string {
	return fmt.Sprintf("%v rel=%v code=%d change=%d pid=%d status=%d unit=%s text=%q caller=%v", c.Kind, c.Rel, c.Code, c.Change, c.PID, c.Status, c.Unit, c.Text, c.Caller)
}

func tellUnit(lines []string, x *entry) []string {
	n := string(x.name)
	lines = append(lines, fmt.Sprintf("%s condition=%v assert=%v", n, x.condition, x.assert))
	lines = tell(lines, n, reflect.ValueOf(struct {
		Load       unit.LoadState
		Reason     string
		State      unit.State
		Seq        uint64
		Starts     []time.Duration
		Limited    bool
		Invocation [16]byte
		Times      Times
		Cgroup     string
		Procs      []ProcView
		Pending    []unit.Emitted
	}{x.load, x.reason, x.state, x.seq, x.starts, x.limited, x.invocation, x.times, x.cgroup, x.procs, x.pending}))
	for _, t := range x.timers {
		lines = append(lines, fmt.Sprintf("%s.timer %s %v", n, t.id, t.at))
	}
	for _, c := range x.changes {
		lines = append(lines, fmt.Sprintf("%s.change %d %v %v %v result=%v state=%v idle=%v starts=%d signal=%d job=%d real=%v mono=%v ended=%v detail=%q", n,
			c.N, c.Kind, c.Type, c.Mode, c.Result, c.State, c.Idle, c.Starts, c.Status, c.Job, c.Real, c.Mono, c.Ended, c.Detail),
			fmt.Sprintf("%s.change %d because %s", n, c.N, saidCause(&c.By)))
	}
	if j := x.job; j != nil {
		lines = append(lines, fmt.Sprintf("%s.job %d %v running=%v irreversible=%v ignoreOrder=%v began=%v deadline=%v checking=%v",
			n, j.id, j.typ, j.running, j.irreversible, j.ignoreOrder, j.began, j.deadline, j.checking))
	}
	return lines
}

// tell appends a line for each part of v that is not zero.
func tell(lines []string, path string, v reflect.Value) []string {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return tell(lines, path, v.Elem())
		}
	case reflect.Interface:
		return tell(lines, path+"("+v.Elem().Type().String()+")", v.Elem())
	case reflect.Struct:
		lines = append(lines, path)
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				lines = tell(lines, path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			lines = tell(lines, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.String:
		return append(lines, fmt.Sprintf("%s %q", path, v.String()))
	case reflect.Array:
		return append(lines, fmt.Sprintf("%s %x", path, v.Interface()))
	default:
		return append(lines, fmt.Sprintf("%s %v", path, v))
	}
	return lines
}

// recordsOf reads a fixture, or whatever a log has.
func recordsOf(t *testing.T, dir string) (recs []state.Record) {
	t.Helper()
	fs := &statetest.FS{}
	files, err := filepath.Glob(filepath.Join(dir, "*.[0-9]*"))
	require.NoError(t, err)
	require.NotEmpty(t, files, dir)
	for _, f := range files {
		data, err := os.ReadFile(f)
		require.NoError(t, err)
		fs.Put(filepath.Base(f), data)
	}
	l, rep, err := state.Open(state.Config{FS: fs})
	require.NoError(t, err)
	require.True(t, rep.Clean(), rep.Problems)
	return loadAll(t, l)
}

func loadAll(t *testing.T, s state.Store) (recs []state.Record) {
	t.Helper()
	_, err := s.Load(func(r state.Record) error {
		r.Data = bytes.Clone(r.Data)
		recs = append(recs, r)
		return nil
	})
	require.NoError(t, err)
	return recs
}

func write(t *testing.T, dir string) {
	require.NoDirExists(t, dir, "a fixture is never changed")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	l, _, err := state.Open(state.Config{Dir: dir, Salt: 1, Reserve: -1})
	require.NoError(t, err)
	fixtureEngine(t, l)
	require.NoError(t, l.Close())
	require.NoError(t, os.Remove(filepath.Join(dir, "lock")))
	text := strings.Join(said(t, recordsOf(t, dir)), "\n") + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "want.txt"), []byte(text), 0o644))
}

func fixtures(t *testing.T) []string {
	dirs, err := filepath.Glob("testdata/records*")
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	return dirs
}

// TestRecordsOnceWritten: whatever a core wrote once is read as it was meant.
func TestRecordsOnceWritten(t *testing.T) {
	if *writeFixture != "" {
		write(t, *writeFixture)
	}
	for _, dir := range fixtures(t) {
		want, err := os.ReadFile(filepath.Join(dir, "want.txt"))
		require.NoError(t, err)
		require.ElementsMatch(t, strings.Split(strings.TrimSuffix(string(want), "\n"), "\n"), said(t, recordsOf(t, dir)), dir)
	}
}

// TestOlderCoreReadsWhatWeWrite: after a roll-back the older core reads records that this one wrote. Each field that it
// knows is still there, with the same number, kind and meaning, in what this one writes for the same state.
func TestOlderCoreReadsWhatWeWrite(t *testing.T) {
	for _, dir := range fixtures(t) {
		for _, r := range recordsOf(t, dir) {
			requireFields(t, dir+" "+r.Segment.String()+" "+r.Key, r.Data, reencode(t, r), nil)
		}
	}
}

// TestNewerFieldsSurvive: an older core may run for a while after a newer one. What the newer one wrote and this one does
// not know is still there afterwards, in each record and at each level within.
func TestNewerFieldsSurvive(t *testing.T) {
	for _, dir := range fixtures(t) {
		tried := map[string]int{}
		for _, r := range recordsOf(t, dir) {
			n := 0
			r.Data = addNewer(t, r, r.Data, nil, &n, tried)
			got := reencode(t, r)
			for i := range n {
				require.Contains(t, string(got), newerText(i), "%s %s: field %d of %d", r.Segment, r.Key, i, n)
			}
		}
		for _, level := range []string{"units", "units/4", "units/4/10", "units/5", "units/6", "units/8", "meta", "meta/5"} {
			require.NotZero(t, tried[level], "the fixture has no %s: %v", level, tried)
		}
	}
}

// reencode decodes a record and writes it as the engine would. A specification is never written again: who changes
// it has read the files, and then it is a new one.
func reencode(t *testing.T, r state.Record) []byte {
	t.Helper()
	var enc record.Encoder
	switch r.Segment {
	case state.Meta:
		if k, ok := parseRepeatKey(r.Key); ok {
			a := &asked{repeatKey: k}
			require.NoError(t, decodeAsked(r.Data, a))
			encodeAsked(&enc, a)
			break
		}
		e := &Engine{}
		require.NoError(t, e.decodeMeta(r.Data))
		e.encodeMeta(&enc)
	case state.Units:
		x := &entry{name: unit.Name(r.Key)}
		s, err := decodeUnit(r.Data, x, nil)
		require.NoError(t, err)
		x.saved = s
		(&Engine{}).encodeUnit(&enc, x)
	case state.Specs:
		s, err := decodeSpec(r.Data)
		require.NoError(t, err)
		enc.Raw(encodeSpec(s))
	}
	return enc.Clone()
}

func newerText(i int) string { return fmt.Sprintf("a field of tomorrow, number %d.", i) }

// rewritten are messages that are written anew as a whole: a stamp when its time comes, the state of a unit without a
// machine, a start that was asked for and is done in the next turn. Specifications are not written again.
var rewritten = []string{"units/8/", "units/14", "meta/7", "specs"}

// addNewer adds a field to a message and to all within.
func addNewer(t *testing.T, r state.Record, data []byte, path []uint32, n *int, tried map[string]int) []byte {
	level := r.Segment.String()
	for _, tag := range path {
		level += fmt.Sprint("/", tag)
	}
	for _, w := range rewritten {
		if strings.HasPrefix(level, w) {
			return data
		}
	}
	var enc record.Encoder
	require.NoError(t, record.Decode(data, func(f record.Field) error {
		if f.Kind != record.KindMessage {
			enc.Field(f)
			return nil
		}
		inner, err := f.Content()
		m := enc.Begin(f.Tag)
		enc.Raw(addNewer(t, r, inner, append(path, f.Tag), n, tried))
		enc.End(m)
		return err
	}))
	enc.String(5000, newerText(*n))
	*n++
	tried[level]++
	return enc.Clone()
}

// requireFields compares: every field of old is in now, in order.
func requireFields(t *testing.T, what string, old, now []byte, path []uint32) {
	t.Helper()
	have := map[uint32][]record.Field{}
	require.NoError(t, record.Decode(now, func(f record.Field) error {
		have[f.Tag] = append(have[f.Tag], f)
		return nil
	}))
	require.NoError(t, record.Decode(old, func(f record.Field) error {
		at := fmt.Sprint(what, " ", append(path, f.Tag))
		require.NotEmpty(t, have[f.Tag], at)
		g := have[f.Tag][0]
		have[f.Tag] = have[f.Tag][1:]
		require.Equal(t, f.Kind, g.Kind, at)
		if f.Kind == record.KindMessage {
			a, _ := f.Content()
			b, _ := g.Content()
			requireFields(t, what, a, b, append(path, f.Tag))
			return nil
		}
		var a, b record.Encoder
		a.Field(f)
		b.Field(g)
		require.Equal(t, a.Data(), b.Data(), at)
		return nil
	}))
}

// TestSpecsAreNotWrittenAgain: a whole start of this core on a store of a newer one leaves specifications as they are.
func TestSpecsAreNotWrittenAgain(t *testing.T) {
	for _, dir := range fixtures(t) {
		store := new(statetest.Mem)
		recs := recordsOf(t, dir)
		for i := range recs {
			if recs[i].Segment == state.Specs {
				var enc record.Encoder
				enc.Raw(recs[i].Data)
				enc.String(5000, newerText(i))
				recs[i].Data = enc.Clone()
			}
		}
		require.NoError(t, store.Commit(recs))
		b := &bench{now: 200 * time.Second, probe: func(sys.Intent) sys.Outcome { return sys.Outcome{State: sys.Done} }}
		e, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: store, Types: realTypes(), Observe: b.observe})
		require.NoError(t, err)
		for _, x := range e.list {
			e.touch(x)
		}
		for range 20 {
			_, err = e.Step()
			require.NoError(t, err)
		}
		for i, r := range loadAll(t, store) {
			if r.Segment == state.Specs {
				require.True(t, bytes.Contains(r.Data, []byte("a field of tomorrow")), "%d %s", i, r.Key)
			}
		}
	}
}
