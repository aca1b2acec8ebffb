package control

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSctlCrashes(t *testing.T) {
	words := "SIGABRT: abort\ngoroutine 1 [select]:\n\tx.go:1\x1b[2J\xff\n" + strings.Repeat("x", 256<<10)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := newMachine(t, Config{Observe: quiet, Crashes: []Crash{
		{Generation: 9, Time: at, Cause: "hang", End: "signal 6", First: "SIGABRT: abort", Words: func() (string, error) { return words, nil }},
		{Generation: 8, Time: at, Cause: "out of memory", End: "signal 9", Words: func() (string, error) { return "", errors.New("gone") }},
	}})
	out, errs, code := m.sctl("crashes")
	require.Zero(t, code, errs)
	require.Contains(t, out, "9      Fri 2026-01-02 03:04:05 UTC hang          signal 6 SIGABRT: abort\n")
	require.Contains(t, out, "8      Fri 2026-01-02 03:04:05 UTC out of memory signal 9 (no last words: who is killed leaves none)\n")
	out, _, code = m.sctl("crashes", "9")
	require.Zero(t, code)
	require.True(t, strings.HasPrefix(out, "SIGABRT: abort\ngoroutine 1 [select]:\n    x.go:1?[2J\uFFFD\nxxx"), "%.100q", out)
	for arg, want := range map[string]string{"8": "gone", "7": "Nothing is kept of core 7.", "x": "is not the number"} {
		_, errs, code = m.sctl("crashes", arg)
		require.NotZero(t, code)
		require.Contains(t, errs, want)
	}
	out, _, _ = m.sctl("crashes", "--json")
	require.Contains(t, out, `"cause":"hang"`)
	m = newMachine(t, Config{Observe: quiet})
	out, _, code = m.sctl("crashes")
	require.Zero(t, code)
	require.Equal(t, "No service manager has crashed.\n", out)
}
