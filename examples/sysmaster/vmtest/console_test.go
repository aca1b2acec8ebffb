package vmtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConsole(t *testing.T) {
	c := newConsole(nil)
	c.add([]byte("one\r\n\x1b[0;32mtw"), false)
	mark := c.Mark()
	found := make(chan error, 1)
	go func() { found <- c.Await(t.Context(), 0, "two") }()
	c.add([]byte("o\x1b[0m\n"), false)
	// "two" is split by no control sequence, only by the writes.
	require.NoError(t, <-found)
	require.Equal(t, "one\ntwo\n", c.Tail(100))
	require.Equal(t, "two\n", c.Tail(6))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.Await(ctx, mark, "one"), context.DeadlineExceeded)
	c.add(nil, true)
	require.ErrorContains(t, c.Await(t.Context(), 0, "three"), "the machine ended")
}

func TestConsoleIsBounded(t *testing.T) {
	c := newConsole(nil)
	for range 3 {
		c.add([]byte(strings.Repeat("x", consoleLimit/2+1)), false)
	}
	require.Len(t, c.Text(), consoleLimit)
	require.Equal(t, 3*(consoleLimit/2+1), c.Mark())
}

func TestPlain(t *testing.T) {
	require.Equal(t, "ab", plain("a\x1b[1;2mb\x1b["))
	require.Equal(t, "a", plain("a\x1b[12"))
}

func FuzzPlain(f *testing.F) {
	f.Add("a\x1b[1;2mb\x1b[")
	f.Fuzz(func(t *testing.T, s string) {
		if got := plain(s); len(got) > len(s) {
			t.Fatalf("plain(%q) = %q; want no more than that", s, got)
		}
	})
}
