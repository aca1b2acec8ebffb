package sim_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sim"
)

// replay plays a file of the corpus, and crashes the core elsewhere in it, too.
func replay(h sim.Host, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	s, err := sim.ParseScenario(data)
	if err != nil {
		return err
	}
	if s.Note == "" {
		return errors.New("it does not say what it found")
	}
	if err := h.Replay(s); err != nil {
		return err
	}
	s.Crashes = nil
	_, err = h.CrashEverywhere(s, sim.Everywhere{Differs: true, Every: 3})
	return err
}

// TestCorpus replays what once failed. TestExplore and TestCrashEverywhereInEveryScenario add to it what
// they find.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { require.NoError(t, replay(host(), file)) })
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
