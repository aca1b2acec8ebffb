package record_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/sysmaster-go/sysmaster/state/record"
)

type level uint8

type sample struct {
	level   level
	exit    int32
	big     uint64
	ok      bool
	name    string
	list    []string
	blob    []byte
	n       int
	nested  []sample
	unknown record.Unknown
}

func (s *sample) encode(e *record.Encoder) {
	e.OptUint(1, uint64(s.level))
	e.OptInt(2, int64(s.exit))
	e.OptUint(3, s.big)
	e.OptBool(4, s.ok)
	e.OptString(5, s.name)
	e.Strings(6, s.list)
	e.OptBytes(7, s.blob)
	e.OptUint(8, uint64(s.n))
	for i := range s.nested {
		e.Message(9, s.nested[i].encode)
	}
	e.Raw(s.unknown)
}

func (s *sample) field(f record.Field) error {
	switch f.Tag {
	case 1:
		return record.Uint(f, &s.level)
	case 2:
		return record.Int(f, &s.exit)
	case 3:
		return record.Uint(f, &s.big)
	case 4:
		return record.Bool(f, &s.ok)
	case 5:
		return record.String(f, &s.name)
	case 6:
		return record.Append(f, &s.list)
	case 7:
		return record.Bytes(f, &s.blob)
	case 8:
		return record.Count(f, &s.n)
	case 9:
		var in sample
		if err := f.Message(in.field); err != nil {
			return err
		}
		s.nested = append(s.nested, in)
		return nil
	}
	s.unknown.Keep(f)
	return nil
}

func full() sample {
	return sample{
		level: 255, exit: math.MinInt32, big: math.MaxUint64, ok: true, name: "a\x00\xff",
		list: []string{"", "b"}, blob: []byte{0}, n: 300,
		nested: []sample{{name: strings.Repeat("x", 127)}, {name: strings.Repeat("y", 20000), nested: []sample{{exit: -1}}}, {}},
	}
}

func TestRoundTrip(t *testing.T) {
	in := full()
	var e record.Encoder
	in.encode(&e)
	var out sample
	if err := record.Decode(e.Data(), out.field); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", out), fmt.Sprintf("%+v", in); got != want {
		t.Errorf("Decode(Encode(x)) = %s; want %s", got, want)
	}
	first := e.Clone()
	e.Reset()
	out.encode(&e)
	if !bytes.Equal(first, e.Data()) {
		t.Error("encoding twice gives different bytes")
	}
}

func TestUnknownFieldsAreKept(t *testing.T) {
	var e record.Encoder
	e.String(5, "n")
	e.Int(100, -5)
	e.Message(101, func(e *record.Encoder) { e.Uint(1, 1) })
	e.Uint(102, 7)
	data := append(e.Clone(), 103<<3&0x7f|5|0x80, 103>>4, 2, 'h', 'i') // a kind of tomorrow
	var s sample
	if err := record.Decode(data, s.field); err != nil {
		t.Fatal(err)
	}
	e.Reset()
	s.encode(&e)
	if !bytes.Equal(e.Data(), data) {
		t.Errorf("rewritten = %x; want %x", e.Data(), data)
	}
}

func TestBadRecords(t *testing.T) {
	for name, data := range map[string]string{
		"key cut":            "\x80",
		"key too long":       "\x88\x00\x01",
		"tag 0":              "\x00\x01",
		"tag too great":      "\x80\x80\x80\x80\x10\x01",
		"number cut":         "\x08\x80",
		"number missing":     "\x08",
		"number overflows":   "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
		"number overlong":    "\x08\x81\x00",
		"content too long":   "\x0a\x05abc",
		"content far beyond": "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"reserved cut":       "\x0f\x02a",
	} {
		err := record.Valid([]byte(data))
		var syn *record.SyntaxError
		if !errors.As(err, &syn) {
			t.Errorf("%s: Valid(%q) = %v; want a SyntaxError", name, data, err)
		}
	}
}

func TestWrongKindAndRange(t *testing.T) {
	var e record.Encoder
	e.Uint(1, 256)
	e.Int(2, math.MaxInt32+1)
	e.Uint(3, math.MaxUint64)
	e.String(4, "x")
	var (
		u8  uint8
		i32 int32
		n   int
		s   string
		b   bool
	)
	err := record.Decode(e.Data(), func(f record.Field) error {
		tries := map[uint32][]error{
			1: {record.Uint(f, &u8), record.Int(f, &i32), record.String(f, &s), record.Bool(f, &b)},
			2: {record.Int(f, &i32), record.Uint(f, &u8), record.Count(f, &n)},
			3: {record.Count(f, &n), f.Message(nil)},
			4: {record.Uint(f, &u8), f.Message(nil)},
		}
		for i, err := range tries[f.Tag] {
			var kind *record.KindError
			if !errors.As(err, &kind) || kind.Tag != f.Tag {
				t.Errorf("field %d, try %d: %v; want a KindError", f.Tag, i, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFunctionsErrorIsReturned(t *testing.T) {
	stop := errors.New("stop")
	var e record.Encoder
	e.Uint(1, 1)
	if err := record.Decode(e.Data(), func(record.Field) error { return stop }); err != stop {
		t.Errorf("Decode = %v; want %v", err, stop)
	}
}

func TestMisusePanics(t *testing.T) {
	for name, fn := range map[string]func(*record.Encoder){
		"tag 0":        func(e *record.Encoder) { e.Uint(0, 1) },
		"tag too big":  func(e *record.Encoder) { e.Uint(record.MaxTag+1, 1) },
		"open message": func(e *record.Encoder) { e.Begin(1); e.Data() },
		"wrong order": func(e *record.Encoder) {
			outer := e.Begin(1)
			e.Begin(2)
			e.End(outer)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			fn(new(record.Encoder))
		}()
	}
}

func TestNoAllocations(t *testing.T) {
	in := full()
	in.nested = in.nested[:1]
	var e record.Encoder
	in.encode(&e)
	var sum uint64
	got := testing.AllocsPerRun(100, func() {
		e.Reset()
		in.encode(&e)
		_ = record.Decode(e.Data(), func(f record.Field) error {
			if v, err := f.Uint(); err == nil {
				sum += v
			}
			return nil
		})
	})
	if got > 0 {
		t.Errorf("allocations per record = %v; want 0", got)
	}
}

// FuzzDecode: no bytes make the decoder panic, and what it accepts is written back byte for byte.
func FuzzDecode(f *testing.F) {
	in := full()
	var e record.Encoder
	in.encode(&e)
	f.Add(e.Clone())
	f.Add([]byte("\x08\x01\x0a\x01x\x0f\x02hi"))
	f.Add([]byte("\x80\x80\x80\x80\x10\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e record.Encoder
		err := record.Decode(data, func(f record.Field) error {
			e.Field(f)
			return nil
		})
		if err == nil && !bytes.Equal(e.Data(), data) {
			t.Fatalf("rewritten = %x; want %x", e.Data(), data)
		}
		if err != nil && !bytes.HasPrefix(data, e.Data()) {
			t.Fatalf("%x is no prefix of %x", e.Data(), data)
		}
		same(t, data)
		var s sample
		if record.Decode(data, s.field) != nil {
			return
		}
		e.Reset()
		s.encode(&e)
		var again sample
		if err := record.Decode(e.Data(), again.field); err != nil {
			t.Fatalf("cannot read own bytes: %v", err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	in := full()
	in.nested = in.nested[:1]
	var e record.Encoder
	b.ReportAllocs()
	for b.Loop() {
		e.Reset()
		in.encode(&e)
	}
}

func ExampleDecode() {
	var e record.Encoder
	e.String(1, "nginx.service")
	e.Uint(2, 4711)
	e.Uint(99, 1) // a field that this reader does not know

	var (
		name    string
		pid     uint32
		unknown record.Unknown
	)
	err := record.Decode(e.Data(), func(f record.Field) error {
		switch f.Tag {
		case 1:
			return record.String(f, &name)
		case 2:
			return record.Uint(f, &pid)
		}
		unknown.Keep(f)
		return nil
	})
	fmt.Println(name, pid, len(unknown), err)
	// Output: nginx.service 4711 3 <nil>
}

// same: a Reader gives what Decode gives, with the same error, here and in the messages within.
func same(t *testing.T, data []byte) {
	t.Helper()
	r := record.NewReader(string(data))
	err := record.Decode(data, func(f record.Field) error {
		if !r.Next() || r.Tag() != f.Tag {
			t.Fatalf("Next at field %d = %d, %v", f.Tag, r.Tag(), r.Err())
		}
		switch f.Kind {
		case record.KindUint:
			want, _ := f.Uint()
			if got := r.Uint(math.MaxUint64); got != want {
				t.Fatalf("Uint = %d; want %d", got, want)
			}
		case record.KindInt:
			want, _ := f.Int()
			if got := r.Int(); got != want {
				t.Fatalf("Int = %d; want %d", got, want)
			}
		case record.KindBytes:
			want, _ := f.Str()
			if got := r.String(); got != want {
				t.Fatalf("String = %q; want %q", got, want)
			}
		case record.KindMessage:
			content, _ := f.Content()
			same(t, content)
			m := r.Message()
			for m.Next() {
			}
			if want := record.Valid(content); fmt.Sprint(m.Err()) != fmt.Sprint(want) {
				t.Fatalf("Message's error = %v; want %v", m.Err(), want)
			}
		}
		return nil
	})
	if r.Next() || fmt.Sprint(r.Err()) != fmt.Sprint(err) {
		t.Fatalf("Err = %v; want %v", r.Err(), err)
	}
}

func TestReader(t *testing.T) {
	in := full()
	var e record.Encoder
	in.encode(&e)
	for n := range e.Len() + 1 {
		same(t, e.Data()[:n])
	}
	e.Reset()
	e.Uint(1, 300)
	e.String(2, "x")
	for _, ask := range []func(*record.Reader){
		func(r *record.Reader) { r.Uint(255) }, func(r *record.Reader) { r.Int() },
		func(r *record.Reader) { _ = r.String() }, func(r *record.Reader) { m := r.Message(); m.Next() },
	} {
		r := record.NewReader(string(e.Data()))
		r.Next()
		ask(&r)
		var kind *record.KindError
		if r.Next() || !errors.As(r.Err(), &kind) || kind.Tag != 1 {
			t.Errorf("Err = %v; want a KindError of field 1", r.Err())
		}
	}
}
