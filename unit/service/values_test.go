package service

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
)

// TestBadValues: a value that makes no sense costs its line, as in systemd, and only where the manual says so the unit.
func TestBadValues(t *testing.T) {
	typ := Type(Options{})
	load := func(text string) *unit.Spec {
		l := unitfile.NewLoader(unitfile.Config{
			FS:   fstest.MapFS{"u/x.service": &fstest.MapFile{Data: []byte("[Service]\n" + text)}},
			Dirs: []string{"/u"}, Types: map[unit.Kind]*unit.Type{unit.KindService: &typ},
		})
		return l.Load("x.service")
	}
	spec := load("Restart=always\nRestart=foo\nTimeoutStopSec=abc\nMemoryMax=lots\nLimitNOFILE=many\nExecStart=/bin/true\n")
	require.Equal(t, unit.LoadLoaded, spec.Load, spec.LoadError)
	require.Len(t, spec.Diags, 4)
	for i, key := range []string{"Service.Restart", "Service.TimeoutStopSec", "Service.MemoryMax", "Service.LimitNOFILE"} {
		require.Equal(t, unit.Warning, spec.Diags[i].Severity)
		require.Equal(t, key, spec.Diags[i].Key)
		require.Equal(t, 3+i, spec.Diags[i].Pos.Line)
	}
	u, err := typ.New(spec)
	require.NoError(t, err)
	require.Equal(t, restartAlways, u.(*Service).cfg.Restart)

	spec = load("ExecStart=relative/path\n")
	require.Equal(t, unit.LoadBadSetting, spec.Load)
	require.Equal(t, "Service.ExecStart", spec.Diags[0].Key)
}
