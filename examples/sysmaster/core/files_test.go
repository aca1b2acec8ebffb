package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
)

// usualService is as long as a distribution's: Debian's have 25 lines in the median.
const usualService = `[Unit]
Description=Server %d, which is one of very many
Documentation=man:server(8) https://example.org/documentation/server
After=network.target remote-fs.target nss-lookup.target
Wants=network.target
ConditionPathExists=!/etc/server/not-to-be-run

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
LimitNOFILE=65536
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
`

// manyFiles are n services in a directory, and their names.
func manyFiles(tb testing.TB, n int) (dir string, names []unit.Name) {
	dir = tb.TempDir()
	for i := range n {
		name := fmt.Sprintf("server-%d.service", i)
		require.NoError(tb, os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, usualService, i, i, i), 0o644))
		names = append(names, unit.Name(name))
	}
	return dir, names
}

// BenchmarkLoad: unit files to specifications, at a start and again at a daemon-reload with one file changed.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		dir, names := manyFiles(b, n)
		con := newConsole(false, os.Stderr)
		b.Run(fmt.Sprintf("first,units=%d", n), func(b *testing.B) {
			before := heapAlloc()
			var specs []*unit.Spec
			for b.Loop() {
				specs = newFiles([]string{dir}, unitTypes(false), con).load(sys.Load{Names: names})
			}
			b.ReportMetric(float64(heapAlloc()-before)/float64(n), "B-kept/unit")
			require.Equal(b, unit.LoadLoaded, specs[n-1].Load)
			runtime.KeepAlive(specs)
		})
		b.Run(fmt.Sprintf("again,units=%d", n), func(b *testing.B) {
			f := newFiles([]string{dir}, unitTypes(false), con)
			f.loader = unitfile.NewLoader(unitfile.Config{FS: f.fs, Dirs: f.dirs, Facts: f.facts, Types: f.types,
				Now: func() time.Time { return time.Now().Add(time.Hour) }}) // the files are a moment old
			f.load(sys.Load{Names: names})
			for i := 0; b.Loop(); i++ {
				require.NoError(b, os.WriteFile(filepath.Join(dir, string(names[7])), fmt.Appendf(nil, usualService, i, i, i), 0o644))
				f.load(sys.Load{Names: names, Refresh: true})
			}
		})
	}
}

func heapAlloc() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
