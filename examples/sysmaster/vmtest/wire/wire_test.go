package wire_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest/wire"
)

func TestRoundTrip(t *testing.T) {
	var b bytes.Buffer
	in := wire.Answer{ID: 7, Exit: 3, Stdout: []byte("a\nb\x00\xff"), PIDs: []int{1, 2}}
	require.NoError(t, wire.Write(&b, in))
	require.Equal(t, 1, bytes.Count(b.Bytes(), []byte("\n")))
	var out wire.Answer
	require.NoError(t, wire.NewReader(&b).Next(&out))
	require.Equal(t, in, out)
}

func TestReaderGoesOnAfterGarbage(t *testing.T) {
	r := wire.NewReader(strings.NewReader("\r\n{half\n" + strings.Repeat("x", wire.MaxLine+10) + "\n{\"id\":5}\n"))
	var a wire.Answer
	var syntax *wire.SyntaxError
	require.True(t, errors.As(r.Next(&a), &syntax))
	require.ErrorIs(t, r.Next(&a), wire.ErrTooLong)
	require.NoError(t, r.Next(&a))
	require.Equal(t, uint64(5), a.ID)
	require.ErrorIs(t, r.Next(&a), io.EOF)
}

func TestWriteRefusesWhatCannotBeRead(t *testing.T) {
	require.ErrorIs(t, wire.Write(io.Discard, wire.Answer{Stdout: make([]byte, wire.MaxLine)}), wire.ErrTooLong)
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("{\"id\":1,\"op\":\"exec\",\"argv\":[\"true\"]}\n"))
	f.Add([]byte("{\"id\":-1}\n\n[]\nnull\n{"))
	f.Add([]byte("\x00\xff\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := wire.NewReader(bytes.NewReader(b))
		for range bytes.Count(b, []byte("\n")) + 1 {
			var q wire.Request
			var syntax *wire.SyntaxError
			err := r.Next(&q)
			if err != nil && !errors.As(err, &syntax) && !errors.Is(err, wire.ErrTooLong) {
				if !errors.Is(err, io.EOF) {
					t.Fatalf("Next() = %v; want EOF", err)
				}
				return
			}
		}
	})
}
