package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseCPU(t *testing.T) {
	ms, err := parseCPU("1 (a) b) S 0 1 1 0 -1 4194560 1 2 3 4 15 6 7 8 20 0 1 0 4711 0 0\n")
	require.NoError(t, err)
	require.Equal(t, 210.0, ms)
	_, err = parseCPU("1 (a) S")
	require.Error(t, err)
}

func TestParseRollup(t *testing.T) {
	m, err := parseRollup("55-7f ---p 0 00:00 0 [rollup]\nRss:   12 kB\nPss:  7 kB\nPrivate_Clean: 1 kB\nPrivate_Dirty: 2 kB\nAnonymous: 3 kB\n")
	require.NoError(t, err)
	require.Equal(t, 12.0, m["Rss"])
	_, err = parseRollup("Rss: 12 kB\n")
	require.ErrorContains(t, err, "no Pss")
}

func FuzzParseRollup(f *testing.F) {
	f.Add("Rss:   12 kB\nPss:  7 kB\nPrivate_Clean: 1 kB\nPrivate_Dirty: 2 kB\nAnonymous: 3 kB\n")
	f.Add("Rss: -1 kB\n: kB\n")
	f.Fuzz(func(t *testing.T, text string) {
		if m, err := parseRollup(text); err == nil && m["Rss"] < 0 {
			t.Fatalf("parseRollup(%q) = %v; want no negative size", text, m)
		}
	})
}

func TestReport(t *testing.T) {
	results := []Result{
		{Workload: "w", Init: systemdName, Samples: []Sample{{ReadyMS: 10}, {ReadyMS: 40}, {ReadyMS: 20}}},
		{Workload: "w", Init: sysmasterName, Samples: []Sample{{ReadyMS: 4}, {ReadyMS: 6}}},
	}
	for i := range results {
		results[i].Median = median(results[i].Samples)
	}
	r := Report{Results: results, Ratios: ratios(results)}
	require.Equal(t, 20.0, results[0].Median.ReadyMS)
	require.Equal(t, 5.0, results[1].Median.ReadyMS)
	require.Equal(t, 0.25, r.Ratios["w"].ReadyMS)
	var b strings.Builder
	require.NoError(t, r.print(&b))
	require.Equal(t, 4, strings.Count(b.String(), "\n"), b.String())
	require.Contains(t, b.String(), "0.25")
}
