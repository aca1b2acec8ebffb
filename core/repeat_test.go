package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

func sampleAsked() *asked {
	return &asked{repeatKey: repeatKey{1000, RequestID{1, 2, 3}}, what: 1 << 63, order: 7, at: time.Hour, known: true, stored: true,
		resp: Response{Job: 4, Unit: "a.service", Result: unit.JobTimeout}}
}

func TestAskedRoundTrip(t *testing.T) {
	for _, err := range append(reasons(), &storedError{"something else", nil}) {
		want := sampleAsked()
		if want.resp.Err = err; err != nil {
			want.resp.Err = &RequestError{Unit: "b.service", Err: err, Detail: "because"}
		}
		var enc record.Encoder
		encodeAsked(&enc, want)
		enc.String(200, "a field of tomorrow")
		k, ok := parseRepeatKey(want.record())
		require.True(t, ok)
		got := &asked{repeatKey: k, stored: true}
		require.NoError(t, decodeAsked(enc.Data(), got))
		require.Contains(t, string(got.unknown), "tomorrow")
		got.unknown = nil
		if err != nil {
			require.Equal(t, want.resp.Err.Error(), got.resp.Err.Error())
			got.resp.Err = want.resp.Err
		}
		require.Equal(t, want, got)
	}
}

// TestEveryReasonIsStored: an error that is answered keeps its meaning across a crash.
func TestEveryReasonIsStored(t *testing.T) {
	for _, want := range reasons()[1:] {
		a := sampleAsked()
		a.resp.Err = want
		var enc record.Encoder
		encodeAsked(&enc, a)
		got := new(asked)
		require.NoError(t, decodeAsked(enc.Data(), got))
		require.ErrorIs(t, got.resp.Err, want)
		require.Equal(t, want.Error(), got.resp.Err.Error())
	}
}

func FuzzDecodeAsked(f *testing.F) {
	var enc record.Encoder
	encodeAsked(&enc, sampleAsked())
	f.Add(enc.Clone())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		a := new(asked)
		if decodeAsked(data, a) != nil {
			return
		}
		var enc record.Encoder
		encodeAsked(&enc, a)
		b := new(asked)
		require.NoError(t, decodeAsked(enc.Data(), b))
		if a.resp.Err != nil {
			require.Equal(t, a.resp.Err.Error(), b.resp.Err.Error())
		}
	})
}

// askAs queues a request of a user with a number.
func askAs(b *bench, uid int, id RequestID, op any) *Response {
	r := &Response{Err: errNoAnswer}
	b.inputs = append(b.inputs, sys.Input{Body: sys.Request{Body: &Request{ID: id, Caller: Caller{UID: uid}, Op: op, Reply: func(got Response) { *r = got }}}})
	return r
}

func TestRequestsAge(t *testing.T) {
	e, b := loaded(t, "a.service:", nil)
	askAs(b, 0, RequestID{1}, OpJob{Unit: "a.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	b.now += RequestKept
	askAs(b, 0, RequestID{2}, OpResetFailed{})
	settleToy(t, e, b)
	require.Equal(t, 2, e.Remembered())
	b.now += time.Second
	askAs(b, 0, RequestID{3}, OpResetFailed{})
	settleToy(t, e, b)
	require.Equal(t, 2, e.Remembered(), "the first is forgotten")
	n := 0
	_, err := e.cfg.Store.Load(func(r state.Record) error {
		if r.Segment == state.Meta && r.Key != metaKey {
			n++
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 2, n, "also in the store")
}

func TestRequestsAreShared(t *testing.T) {
	p := newRepeats()
	for i := range 3 * maxRepeats {
		id := RequestID{byte(i), byte(i >> 8)}
		a := p.add(repeatKey{1000 + i%3/2, id}, 0, 0) // one user sends twice as many
		a.known = i%2 == 0
	}
	require.Len(t, p.list, maxRepeats)
	count := map[int]int{}
	for _, a := range p.list {
		count[a.uid]++
	}
	require.InDelta(t, count[1000], count[1001], 2, "whoever sends more has no more")
	require.Equal(t, len(p.list), len(p.byKey))
}

// TestSameRequestTwiceAtOnce: the second one comes while the first still waits for files.
func TestSameRequestTwiceAtOnce(t *testing.T) {
	specs := parse(t, "a.service:")
	b := &bench{}
	e := newToyEngine(t, b, new(statetest.Mem), "")
	op := OpJob{Unit: "a.service", Type: unit.JobStart, Mode: unit.ModeReplace}
	first := askAs(b, 0, RequestID{1}, op)
	second := askAs(b, 0, RequestID{1}, op)
	settleToy(t, e, b)
	require.Equal(t, errNoAnswer, second.Err)
	for range maxWaiters {
		askAs(b, 0, RequestID{1}, op)
	}
	tooMany := askAs(b, 0, RequestID{1}, op)
	settleToy(t, e, b)
	require.ErrorIs(t, tooMany.Err, ErrTooManyWaiters)
	b.inputs = append(b.inputs, sys.Input{Body: sys.Loaded{Seq: 1, Specs: []*unit.Spec{specs["a.service"]}}})
	settleToy(t, e, b)
	require.NoError(t, first.Err)
	require.NotZero(t, first.Job)
	require.Equal(t, first, second)
}
