package linux

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestPageOutlivesTheCore: the next core finds what this one wrote, and what is not such a page is replaced.
func TestPageOutlivesTheCore(t *testing.T) {
	f := newFakeInit(t)
	open := func() (*World, []byte) {
		w, err := New(Config{Init: f.client})
		require.NoError(t, err)
		page, err := w.Page("recorder", 4096)
		require.NoError(t, err)
		require.Len(t, page, 4096)
		return w, page
	}
	again := func(w *World) {
		require.NoError(t, w.Close())
		f.disconnect(t)
		f.connect(t)
	}
	w, page := open()
	copy(page[100:], "the last words")
	h := w.fds["recorder"]
	require.ErrorIs(t, unix.Ftruncate(h.fd, 10), unix.EPERM, "nobody makes it smaller under our hands")
	again(w)
	w, page = open()
	require.Equal(t, "the last words", string(page[100:114]))
	again(w)

	fd, err := unix.MemfdCreate("other", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	closeFD(f.kept["recorder"])
	f.put("recorder", fd)
	w, page = open()
	require.Zero(t, page[100])
	page[100] = 1
	again(w)
	w, page = open()
	require.Equal(t, byte(1), page[100])
	require.NoError(t, w.Close())
}
