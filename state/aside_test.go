package state

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSetAside: what was there is evidence, the next store is empty, and there is a bound to evidence.
func TestSetAside(t *testing.T) {
	dir := t.TempDir()
	for round := range 5 {
		l, _, err := Open(Config{Dir: dir})
		require.NoError(t, err)
		records := 0
		_, err = l.Load(func(Record) error { records++; return nil })
		require.NoError(t, err)
		require.Zero(t, records, "round %d", round)
		require.NoError(t, l.Commit([]Record{{Segment: Units, Key: "a.service", Data: []byte{1}}}))
		require.NoError(t, l.Close())
		require.NoError(t, os.WriteFile(dir+"/units.9.tmp", nil, 0o600))
		require.NoError(t, SetAside(NewDirFS(dir), 2))
		sets := map[int]bool{}
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			if set := asideSet(e.Name()); set > 0 {
				sets[set] = true
			} else {
				require.Equal(t, lockName, e.Name())
			}
		}
		require.Len(t, sets, min(round+1, 2))
	}
	require.NoError(t, SetAside(NewDirFS(dir), 2), "nothing to set aside")
	require.NoError(t, SetAside(NewDirFS(dir+"/none"), 2))
	require.True(t, slices.Equal([]int{0, 0, 7}, []int{asideSet("log.7"), asideSet("aside.x.log.1"), asideSet("aside.7.log.1")}))
}
