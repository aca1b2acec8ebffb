package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"
)

func frames(t testing.TB, in []byte) ([]*Message, error) {
	r := &Reader{R: bytes.NewReader(in), Max: 1 << 20}
	var out []*Message
	for {
		frame, _, err := r.Next()
		if err != nil {
			return out, err
		}
		m, err := Decode(frame)
		if err == nil {
			err = m.DecodeBody()
		}
		if err != nil {
			return out, err
		}
		out = append(out, m)
	}
}

// samples are messages of all shapes; they seed the fuzzers, too.
func samples() []*Message {
	type pair struct {
		K string
		V dbus.Variant
	}
	return []*Message{
		{Type: dbus.TypeMethodCall, Serial: 1, Path: "/a", Member: "M"},
		{Type: dbus.TypeMethodCall, Serial: 2, Path: "/org/freedesktop/systemd1", Interface: "a.b", Member: "StartUnit",
			Destination: "c.d", Sender: ":1.1", Signature: "ss", Body: []any{"a.service", "replace"}},
		{Type: dbus.TypeMethodReply, Serial: 3, ReplySerial: 2, Signature: "ybnqiuxtdsog",
			Body: []any{byte(1), true, int16(-2), uint16(3), int32(-4), uint32(5), int64(-6), uint64(math.MaxUint64), 0.5, "s", dbus.ObjectPath("/o"), dbus.ParseSignatureMust("a{sv}")}},
		{Type: dbus.TypeMethodReply, Serial: 4, ReplySerial: 2, Signature: "a{sv}",
			Body: []any{[]pair{{"A", dbus.MakeVariant("x")}, {"B", dbus.MakeVariant([]string{"y"})}}}},
		{Type: dbus.TypeError, Serial: 5, ReplySerial: 2, ErrorName: "a.B", Signature: "s", Body: []any{"why"}},
		{Type: dbus.TypeSignal, Serial: 6, Path: "/a", Interface: "a.b", Member: "M", Signature: "a(su)ayasaas",
			Body: []any{[]struct {
				S string
				U uint32
			}{{"x", 1}, {"yy", 2}}, []byte{1, 2}, []string{"a", ""}, [][]string{{"q"}, {}}}},
	}
}

func TestEncodeDecode(t *testing.T) {
	for _, m := range samples() {
		b, err := m.Encode()
		require.NoError(t, err)
		got, err := frames(t, b)
		require.ErrorIs(t, err, io.EOF)
		require.Len(t, got, 1)
		g := *got[0]
		g.order, g.raw = nil, nil
		want := *m
		want.Body, g.Body = nil, nil
		require.Equal(t, want, g)
	}
}

func TestDecodedValues(t *testing.T) {
	b, err := samples()[5].Encode()
	require.NoError(t, err)
	got, err := frames(t, b)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, []any{
		[]any{Struct{"x", uint32(1)}, Struct{"yy", uint32(2)}}, []byte{1, 2}, []string{"a", ""}, []any{[]string{"q"}, []string{}},
	}, got[0].Body)
	b, err = samples()[3].Encode()
	require.NoError(t, err)
	got, err = frames(t, b)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, []any{map[string]dbus.Variant{"A": dbus.MakeVariant("x"), "B": dbus.MakeVariant([]string{"y"})}}, got[0].Body)
}

// TestAgreesWithGodbus: what godbus encodes and decodes, this decoder sees alike.
func TestAgreesWithGodbus(t *testing.T) {
	for _, m := range samples() {
		b, err := m.Encode()
		require.NoError(t, err)
		theirs, err := dbus.DecodeMessage(bytes.NewReader(b))
		require.NoError(t, err)
		got, err := frames(t, b)
		require.ErrorIs(t, err, io.EOF)
		require.Len(t, got[0].Body, len(theirs.Body))
		for i, v := range theirs.Body {
			if reflect.TypeOf(v).Comparable() {
				require.Equal(t, v, got[0].Body[i])
			}
		}
	}
}

func TestMalformedFrames(t *testing.T) {
	good, err := samples()[1].Encode()
	require.NoError(t, err)
	change := func(f func(b []byte)) []byte {
		b := append([]byte(nil), good...)
		f(b)
		return b
	}
	for name, in := range map[string][]byte{
		"byte order":       change(func(b []byte) { b[0] = 'x' }),
		"type 0":           change(func(b []byte) { b[1] = 0 }),
		"version":          change(func(b []byte) { b[3] = 2 }),
		"serial 0":         change(func(b []byte) { copy(b[8:], "\x00\x00\x00\x00") }),
		"body too long":    change(func(b []byte) { copy(b[4:], "\xff\xff\xff\xff") }),
		"header too long":  change(func(b []byte) { copy(b[12:], "\xff\xff\xff\x7f") }),
		"sum overflows":    change(func(b []byte) { copy(b[4:], "\xf8\xff\xff\xff"); copy(b[12:], "\xf8\xff\xff\xff") }),
		"body cut":         change(func(b []byte) { b[4]-- }),
		"string length":    change(func(b []byte) { b[len(b)-12] = 200 }),
		"half a header":    good[:10],
		"half a body":      good[:len(good)-3],
		"nothing but zero": make([]byte, 64),
	} {
		_, err := frames(t, in)
		if errors.Is(err, io.EOF) || err == nil {
			t.Errorf("%s: frame accepted; want an error", name)
		}
	}
}

// TestAllocatesWhatArrives: a frame that claims a megabyte and stops costs kilobytes.
func TestAllocatesWhatArrives(t *testing.T) {
	head := []byte{'l', 1, 0, 1, 0, 0, 15, 0, 1, 0, 0, 0, 0, 0, 0, 0}
	asked := 0
	r := &Reader{R: bytes.NewReader(append(head, make([]byte, 5000)...)), Max: 1 << 20, Reserve: func(n int) error { asked += n; return nil }}
	_, reserved, err := r.Next()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, asked, reserved)
	require.LessOrEqual(t, asked, 8<<10)
}

func TestTypes(t *testing.T) {
	for sig, want := range map[string]string{
		"s": "s", "as": "as", "a{sv}s": "a{sv}", "(s(uu))x": "(s(uu))", "aaay": "aaay", "a(sv)": "a(sv)",
		"": "", "a": "", "(": "", "()": "", "{sv}": "", "a{vs}": "", "a{s}": "", "z": "", "a{sss}": "",
		strings.Repeat("a", 100) + "s": "",
	} {
		one, _, err := NextType(sig)
		if want == "" {
			require.Error(t, err, sig)
			continue
		}
		require.NoError(t, err, sig)
		require.Equal(t, want, one)
	}
}

func TestUnitPaths(t *testing.T) {
	for name, path := range map[string]string{
		"ssh.service": "ssh_2eservice", "-.slice": "_2d_2eslice", "getty@tty1.service": "getty_40tty1_2eservice",
		"9p.mount": "_39p_2emount", `dev-a\x2db.device`: "dev_2da_5cx2db_2edevice",
	} {
		require.Equal(t, UnitPrefix+path, UnitPath(name))
		back, ok := UnitOfPath(UnitPrefix + path)
		require.True(t, ok)
		require.Equal(t, name, back)
	}
	for _, bad := range []string{"", "/x", UnitPrefix, UnitPrefix + "a/b"} {
		_, ok := UnitOfPath(bad)
		require.False(t, ok, bad)
	}
}

func accept(in string, uid int) (out string, fds bool, rest string, err error) {
	var w bytes.Buffer
	r := bufio.NewReader(strings.NewReader(in))
	fds, err = Accept(r, &w, uid, strings.Repeat("ab", 16), true)
	left, _ := io.ReadAll(r)
	return w.String(), fds, string(left), err
}

func TestHandshake(t *testing.T) {
	const ok = "OK abababababababababababababababab\r\n"
	for _, c := range []struct {
		name, in, out, rest string
		fds, good           bool
	}{
		// What systemctl 252 sends in one go.
		{"sd-bus", "\x00AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\nl...", "DATA\r\n" + ok + "AGREE_UNIX_FD\r\n", "l...", true, true},
		{"initial response", "\x00AUTH EXTERNAL 30\r\nBEGIN\r\n", ok, "", false, true},
		{"probe first", "\x00AUTH\r\nAUTH EXTERNAL 30\r\nBEGIN\r\n", "REJECTED EXTERNAL\r\n" + ok, "", false, true},
		{"another user", "\x00AUTH EXTERNAL 31\r\n", "REJECTED EXTERNAL\r\n", "", false, false},
		{"not hex", "\x00AUTH EXTERNAL zz\r\n", "REJECTED EXTERNAL\r\n", "", false, false},
		{"anonymous", "\x00AUTH ANONYMOUS\r\n", "REJECTED EXTERNAL\r\n", "", false, false},
		{"begin too early", "\x00BEGIN\r\n", "", "", false, false},
		{"data too early", "\x00DATA\r\n", "ERROR \"no authentication under way\"\r\n", "", false, false},
		{"cancel", "\x00AUTH EXTERNAL\r\nCANCEL\r\nBEGIN\r\n", "DATA\r\nREJECTED EXTERNAL\r\n", "", false, false},
		{"no zero", "AUTH EXTERNAL\r\n", "", "UTH EXTERNAL\r\n", false, false},
		{"no CR", "\x00AUTH EXTERNAL\n", "", "", false, false},
		{"empty", "", "", "", false, false},
	} {
		out, fds, rest, err := accept(c.in, 0)
		require.Equal(t, c.good, err == nil, "%s: %v", c.name, err)
		require.Equal(t, c.out, out, c.name)
		require.Equal(t, c.rest, rest, c.name)
		require.Equal(t, c.fds, fds, c.name)
	}
	_, _, _, err := accept("\x00"+strings.Repeat("x", 5000), 0)
	require.ErrorIs(t, err, ErrAuth)
	_, _, _, err = accept("\x00"+strings.Repeat("AUTH\r\n", 100), 0)
	require.ErrorIs(t, err, ErrAuth)
}

func TestBothSides(t *testing.T) {
	a, b := net.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := Accept(bufio.NewReader(a), a, 1000, strings.Repeat("0", 32), false)
		done <- err
	}()
	require.NoError(t, Connect(bufio.NewReader(b), b, 1000))
	require.NoError(t, <-done)
}

func FuzzFrame(f *testing.F) {
	for _, m := range samples() {
		b, err := m.Encode()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte("l\x01\x00\x01\x00\x00\x0f\x00\x01\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		ms, _ := frames(t, in)
		for _, m := range ms {
			if m.Type > dbus.TypeSignal || m.Flags > 7 {
				continue // accepted as the specification asks, but never sent
			}
			c := *m
			c.Signature, c.Body = "", nil
			b, err := c.Encode()
			if err != nil {
				continue // names are checked by who uses them
			}
			again, err := frames(t, b)
			require.ErrorIs(t, err, io.EOF)
			require.Len(t, again, 1)
			require.Equal(t, m.Member, again[0].Member)
			require.Equal(t, m.Path, again[0].Path)
		}
	})
}

func FuzzAuth(f *testing.F) {
	f.Add("\x00AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
	f.Add("\x00AUTH EXTERNAL 30\r\nBEGIN\r\n")
	f.Add("\x00AUTH EXTERNAL 31303030\r\nCANCEL\r\nERROR\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		out, _, _, err := accept(in, 1000)
		if err == nil && !strings.Contains(out, "OK ") {
			t.Errorf("Accept(%q) let the client in without OK; it sent %q", in, out)
		}
		if strings.Contains(out, "OK ") && !strings.Contains(in, "EXTERNAL") {
			t.Errorf("Accept(%q) said OK", in)
		}
	})
}
