package sim_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sim"
)

// TestCorpus replays what once failed. To add one, save the scenario that a failing run prints.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	h := host()
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			s, err := sim.ParseScenario(data)
			require.NoError(t, err)
			require.NotEmpty(t, s.Note, "say what it found")
			_, err = h.Play(s)
			require.NoError(t, err)
			s.Crashes = nil
			_, err = h.CrashEverywhere(s, sim.Everywhere{Differs: true, Every: 3})
			require.NoError(t, err)
		})
	}
}

func FuzzParseScenario(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := sim.ParseScenario(data)
		if err != nil {
			return
		}
		out, err := s.JSON()
		require.NoError(t, err)
		_, err = sim.ParseScenario(out)
		require.NoError(t, err, "%s", out)
	})
}
