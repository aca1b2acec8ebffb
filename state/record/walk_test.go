package record_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/state/record"
)

type walked struct {
	n       uint16
	i       int64
	s       string
	b       []byte
	yes     bool
	list    []int64
	parts   []walked
	unknown record.Unknown
}

func (v *walked) layout(w *record.Walk) {
	record.WalkUint(w, 1, &v.n)
	record.WalkInt(w, 2, &v.i)
	record.WalkString(w, 3, &v.s)
	record.WalkBytes(w, 4, &v.b)
	w.Bool(5, &v.yes)
	record.WalkList(w, 6, &v.list, 3, errTooMany, record.WalkInt[int64])
	record.WalkList(w, 7, &v.parts, 3, errTooMany, func(w *record.Walk, tag uint32, p *walked) { w.Message(tag, p.layout) })
	w.Unknown(&v.unknown)
}

var errTooMany = errors.New("too many")

func TestWalk(t *testing.T) {
	var e record.Encoder
	in := walked{n: 1, i: -2, s: "three", b: []byte("4"), yes: true, list: []int64{0, 7, 0}, parts: []walked{{}, {s: "in"}}}
	e.Encode(in.layout)
	var plain record.Encoder
	plain.Uint(1, 1)
	plain.Int(2, -2)
	plain.String(3, "three")
	plain.Bytes(4, []byte("4"))
	plain.Bool(5, true)
	for _, n := range in.list {
		plain.Int(6, n)
	}
	plain.Message(7, func(*record.Encoder) {})
	plain.Message(7, func(e *record.Encoder) { e.String(3, "in") })
	require.Equal(t, plain.Data(), e.Data())
	var out walked
	require.NoError(t, record.DecodeWalk(e.Data(), out.layout))
	require.Equal(t, in, out)

	plain.Uint(9, 9) // of a newer version
	out = walked{}
	require.NoError(t, record.DecodeWalk(plain.Data(), out.layout))
	e.Reset()
	e.Encode(out.layout)
	require.Equal(t, plain.Data(), e.Data())

	plain.Int(6, 1)
	require.ErrorIs(t, record.DecodeWalk(plain.Data(), out.layout), errTooMany)
	plain.Reset()
	plain.String(1, "no number")
	var kind *record.KindError
	require.ErrorAs(t, record.DecodeWalk(plain.Data(), out.layout), &kind)
	plain.Reset()
	plain.Uint(1, 1<<16)
	require.Error(t, record.DecodeWalk(plain.Data(), out.layout), "it does not fit")
}
