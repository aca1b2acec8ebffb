package linux

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/core/sys/linux/spawn"
	"github.com/sysmaster-go/sysmaster/unit"
)

func TestRemains(t *testing.T) {
	for _, grouped := range []bool{true, false} {
		cfg := Config{}
		if grouped {
			cfg = withGroups(t, cfg)
		}
		w := newWorld(t, cfg)
		in := sys.Intent{Unit: "remains.service", CGroup: "system.slice/remains.service"}
		require.Equal(t, sys.Remains{}, w.Remains(in), "no group, no processes")
		old := orphan(t, spawn.MarkEnv+"=remains.service/7 123", "INVOCATION_ID=00000000000000000000000000000001")
		last := orphan(t, spawn.MarkEnv+"=remains.service/4294967301 456", "INVOCATION_ID=00000000000000000000000000000002")
		if grouped {
			_, err := cfg.CGroup.Create(in.CGroup, nil)
			require.NoError(t, err)
			for _, p := range []unit.Proc{old, last} {
				require.NoError(t, cfg.CGroup.Attach(in.CGroup, p.PID))
			}
		}
		w.marks = nil
		require.Equal(t, sys.Remains{Newest: 4294967301}, w.Remains(in))
		marked, err := w.Marked()
		require.NoError(t, err)
		require.Contains(t, marked, Marked{"remains.service", [16]byte{15: 2}}, "of the newest")
		in.Known = []unit.Proc{{PID: old.PID, Start: old.Start + 1}}
		require.False(t, w.Remains(in).Known, "another process with the number")
		in.Known = []unit.Proc{old}
		require.True(t, w.Remains(in).Known)
		in.Known = nil
		require.Equal(t, uint64(0), w.Remains(sys.Intent{Unit: "ns.service", CGroup: "system.slice/other.service"}).Newest)
		if grouped {
			stranger := orphan(t)
			require.NoError(t, cfg.CGroup.Attach(in.CGroup, stranger.PID))
			require.Equal(t, sys.Remains{Newest: 4294967301, Nameless: true}, w.Remains(in))
			require.NoError(t, cfg.CGroup.Kill(in.CGroup))
			awaitState(t, w, func() bool { return !alive(old) && !alive(last) && !alive(stranger) })
			require.NoError(t, cfg.CGroup.Remove(in.CGroup))
		}
	}
}
