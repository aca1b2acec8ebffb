package core

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

// bigService is as long as a distribution's: Debian's have 25 lines in the median, 30 settings with what is implied.
const bigService = `[Unit]
Description=Server %d, which is one of very many
Documentation=man:server(8) https://example.org/documentation/server
After=network.target remote-fs.target nss-lookup.target
Wants=network.target
ConditionPathExists=!/etc/server/not-to-be-run
StartLimitIntervalSec=0
[Service]
Type=exec
EnvironmentFile=-/etc/default/server
Environment=LANG=C.UTF-8 SERVER_NUMBER=%d
ExecStartPre=/bin/pre -t -q -g 'daemon on; master_process on;'
ExecStart=/usr/sbin/server -g 'daemon on; master_process on;' --number %d
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
KillSignal=SIGQUIT
TimeoutStopSec=5
Restart=on-failure
RestartSec=2s
User=www-data
RuntimeDirectory=server-%d
LimitNOFILE=65536
OOMScoreAdjust=-500
[Install]
WantedBy=multi-user.target
`

// manyServices are n services as a loader gives them, wanted by default.target and up after a boot on log.
func manyServices(tb testing.TB, n int, log state.Store) (*Engine, *bench) {
	files := map[string]string{"sysinit.target": "[Unit]\n", "basic.target": "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n",
		"shutdown.target": "[Unit]\nDefaultDependencies=no\n", "network.target": "[Unit]\n", "remote-fs.target": "[Unit]\n", "nss-lookup.target": "[Unit]\n"}
	var wants strings.Builder
	for i := range n {
		files[fmt.Sprintf("server-%d.service", i)] = fmt.Sprintf(bigService, i, i, i, i)
		fmt.Fprintf(&wants, "Wants=server-%d.service\n", i)
	}
	files["default.target"] = "[Unit]\n" + wants.String()
	types := realTypes()
	b := &bench{now: 100 * time.Second}
	load := fileLoader(files, types)
	b.load = func(n unit.Name) *unit.Spec { return load(n) }
	e := recovered(tb, b, log, "default.target")
	for range 3000 {
		more, err := e.Step()
		require.NoError(tb, err)
		playHost(b)
		if b.now += time.Millisecond; !more && len(b.inputs) == 0 {
			break
		}
	}
	return e, b
}

func recovered(tb testing.TB, b *bench, log state.Store, boot unit.Name) *Engine {
	e, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: log,
		Types: realTypes(), Boot: Boot{Unit: boot, Mode: unit.ModeReplace}, Spread: spread, Observe: func(Event) {}, Seed: [16]byte{1}})
	require.NoError(tb, err)
	return e
}

// spread is Config.Spread with two goroutines.
func spread(n int, do func(int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

// TestSpread: a recovery on several processors gives what one on a single one gives, also of records that cannot be read.
func TestSpread(t *testing.T) {
	dir := t.TempDir()
	log, _, err := state.Open(state.Config{Dir: dir})
	require.NoError(t, err)
	e, w := manyServices(t, 300, log)
	now := w.now
	require.NoError(t, log.Commit([]state.Record{
		{Segment: state.Units, Key: "server-7.service", Version: unitVersion, Data: []byte{0xff}},
		{Segment: state.Specs, Key: "server-8.service", Version: specVersion, Data: []byte{0xff}},
		{Segment: state.Units, Key: "server-9.service"},
		{Segment: state.Specs, Key: "server-10.service"},
		{Segment: state.Units, Key: "server-11.service", Version: unitVersion, Data: encodedWithSnapshot(e.lookup("server-11.service"), []byte{0xff})},
	}))
	require.NoError(t, log.Close())
	told := make([][]string, 2)
	views := make([][]UnitView, 2)
	for i, spread := range []func(int, func(int)){nil, spread} {
		own := t.TempDir() // each writes what it could not read
		require.NoError(t, os.CopyFS(own, os.DirFS(dir)))
		log, _, err := state.Open(state.Config{Dir: own})
		require.NoError(t, err)
		b := &bench{now: now}
		e, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: log,
			Types: realTypes(), Observe: b.observe, Seed: [16]byte{1}, Spread: spread})
		require.NoError(t, err)
		for u := range e.View().Units {
			v := *u
			v.Relations, v.Type = nil, nil // functions
			views[i] = append(views[i], v)
		}
		_, err = e.Step()
		require.NoError(t, err)
		told[i] = b.told
		require.NoError(t, log.Close())
	}
	require.Equal(t, told[0], told[1])
	require.NotEmpty(t, told[0])
	require.Equal(t, views[0], views[1])
}

// encodedWithSnapshot is x's record with another snapshot.
func encodedWithSnapshot(x *entry, snapshot []byte) []byte {
	var e Engine
	e.snapshot = snapshot
	var enc record.Encoder
	e.encodeUnit(&enc, x)
	return enc.Clone()
}

// used is the processor time of this process: on a busy machine the time on the clock says nothing.
func used() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkRecoverFromLog is what a core does from its start to its first answer, beside the world: open the log, recover, turn once.
func BenchmarkRecoverFromLog(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("units=%d", n), func(b *testing.B) {
			dir, err := os.MkdirTemp("/dev/shm", "core-recover-")
			require.NoError(b, err)
			defer os.RemoveAll(dir)
			log, _, err := state.Open(state.Config{Dir: dir})
			require.NoError(b, err)
			e, w := manyServices(b, n, log)
			for e.maintain() {
			}
			now := w.now
			require.NoError(b, log.Close())
			e, w = nil, nil
			runtime.GC()
			start := used()
			for b.Loop() {
				log, _, err := state.Open(state.Config{Dir: dir})
				require.NoError(b, err)
				w := &bench{now: now, deaf: true}
				e := recovered(b, w, log, "default.target")
				_, err = e.Step()
				require.NoError(b, err)
				require.NoError(b, log.Close())
			}
			b.ReportMetric(float64(used()-start)/float64(b.N)/1e6, "cpu-ms/op")
		})
	}
}

// TestRecoveredMemory: a core that recovered needs as much memory as one that never crashed, but for 10 %.
func TestRecoveredMemory(t *testing.T) {
	for _, n := range []int{1000, 10_000} {
		t.Run(fmt.Sprintf("units=%d", n), func(t *testing.T) { testRecoveredMemory(t, n) })
	}
}

func testRecoveredMemory(t *testing.T, n int) {
	if n > 1000 && testing.Short() {
		t.Skip("booting 10,000 units takes seconds")
	}
	dir := t.TempDir()
	open := func() *state.Log {
		log, _, err := state.Open(state.Config{Dir: dir})
		require.NoError(t, err)
		return log
	}
	before := heapInUse()
	log := open()
	e, w := manyServices(t, n, log)
	for e.maintain() {
	}
	w.load, w.events, w.told = nil, nil, nil // the loader's files are the test's
	first := heapInUse() - before
	now := w.now
	require.NoError(t, log.Close())
	runtime.KeepAlive(e)
	e, w, log = nil, nil, nil

	before = heapInUse()
	log = open()
	w = &bench{now: now}
	e = recovered(t, w, log, "default.target")
	for range 20 {
		_, err := e.Step()
		require.NoError(t, err)
		playHost(w)
	}
	again := heapInUse() - before
	require.Equal(t, unit.Active, e.lookup("default.target").state.Active)
	require.Equal(t, unit.Active, e.lookup(unit.Name(fmt.Sprintf("server-%d.service", n-1))).state.Active)
	t.Logf("%d services: %d KB, and %d KB recovered", n, first>>10, again>>10)
	require.Less(t, again, first+first/10)
	runtime.KeepAlive(e)
	require.NoError(t, log.Close())
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
