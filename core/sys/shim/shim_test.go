package shim

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func fullPlan() *Plan {
	return &Plan{
		Path: "/bin/x", Search: []string{"/a", "/b"}, Argv: []string{"x", "", "y z"}, Env: []string{"A=1"}, PIDEnv: []string{"LISTEN_PID"},
		Join: true, FDs: 3, NonBlock: true,
		Stdio:  [3]Stdio{{StdioRead, "/in"}, {StdioAppend, "/out"}, {Kind: StdioDup1}},
		TTY:    TTY{Path: "/dev/tty1", Control: true, Force: true, Fail: true, Reset: true, Hangup: true, Clear: true, Rows: 25, Columns: 80},
		Limits: []Limit{{7, 1024, ^uint64(0), "LimitNOFILE"}}, Umask: 0o27, KeepSIGPIPE: true,
		OOMScoreAdjust: Some(-900), CoredumpFilter: Some(7), Nice: Some(-20), Sched: Sched{true, 2, 50, true},
		IOPriority: Some(2<<13 | 4), TimerSlack: Some(50000), Affinity: []byte{1, 0, 0, 0, 0, 0, 0, 0}, Keyring: KeyringShared,
		SetGroups: true, Groups: []int64{4, 24}, GID: Some(33), UID: Some(33),
		Bounding: Some(-1), Ambient: 1 << 62, SecureBits: Some(16), NoNewPrivs: true, Root: "/r", Dir: "/d", DirOptional: true,
	}
}

func TestCodec(t *testing.T) {
	for _, p := range []*Plan{{}, fullPlan()} {
		b, err := p.Encode()
		require.NoError(t, err)
		got, err := Decode(b)
		require.NoError(t, err)
		require.Equal(t, p, got)
		for i := range b {
			_, err := Decode(b[:i])
			require.ErrorIs(t, err, ErrPlan, "%d of %d bytes", i, len(b))
		}
		_, err = Decode(append(b, 0))
		require.ErrorIs(t, err, ErrPlan)
	}
}

// TestCodecKnowsEveryField: a field that code forgets would silently not be applied.
func TestCodecKnowsEveryField(t *testing.T) {
	v := reflect.ValueOf(fullPlan()).Elem()
	var walk func(reflect.Value, string)
	walk = func(v reflect.Value, name string) {
		if v.Kind() == reflect.Struct {
			for i := range v.NumField() {
				walk(v.Field(i), name+"."+v.Type().Field(i).Name)
			}
			return
		}
		require.False(t, v.IsZero(), "fullPlan leaves %s empty", name)
	}
	walk(v, "Plan")
}

func TestCodecRefuses(t *testing.T) {
	for name, p := range map[string]*Plan{
		"NUL":        {Path: "/a\x00b"},
		"umask":      {Umask: 0o1000},
		"stream":     {Stdio: [3]Stdio{{Kind: numStdioKinds}}},
		"keyring":    {Keyring: numKeyringModes},
		"mask":       {Affinity: []byte{1}},
		"fds":        {FDs: -1},
		"long":       {Path: strings.Repeat("a", maxString+1)},
		"many":       {Argv: make([]string, maxList+1)},
		"altogether": {Argv: []string{strings.Repeat("a", maxString), strings.Repeat("a", maxString), strings.Repeat("a", maxString), strings.Repeat("a", maxString)}},
	} {
		_, err := p.Encode()
		require.ErrorIs(t, err, ErrPlan, name)
	}
	b, err := (&Plan{}).Encode()
	require.NoError(t, err)
	b[3]++
	_, err = Decode(b)
	require.ErrorIs(t, err, ErrPlan, "another version")
}

func FuzzDecode(f *testing.F) {
	for _, p := range []*Plan{{}, fullPlan()} {
		b, err := p.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b)
		if err != nil {
			return
		}
		again, err := p.Encode()
		if err != nil || string(again) != string(b) {
			t.Fatalf("Encode(Decode(%q)) = %q, %v", b, again, err)
		}
	})
}

func TestReport(t *testing.T) {
	r := &Report{217, "User", "no such user"}
	require.Equal(t, r, ParseReport(r.encode()))
	require.Equal(t, r, ParseReport(append([]byte{ready}, r.encode()...)))
	require.Nil(t, ParseReport([]byte{ready}))
	require.Equal(t, ExitExec, ParseReport(nil).Status, "killed before the exec")
	long := (&Report{200, strings.Repeat("s", 5000), strings.Repeat("m", 5000)}).encode()
	require.LessOrEqual(t, len(long), MaxReport)
	require.Equal(t, 200, ParseReport(long).Status)
}

func FuzzParseReport(f *testing.F) {
	f.Add([]byte("+"))
	f.Add((&Report{203, "execve", "x"}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r := ParseReport(b); r == nil && string(b) != "+" {
			t.Fatalf("ParseReport(%q) = nil", b)
		}
	})
}

func TestNumbers(t *testing.T) {
	for _, n := range []int64{0, 9, 10, -900, 1<<62 + 1} {
		require.Equal(t, strconv.FormatInt(n, 10), decimal(n))
	}
	for _, n := range []uint64{0, 15, 16, 0x33, ^uint64(0)} {
		require.Equal(t, strconv.FormatUint(n, 16), hexadecimal(n))
	}
}

// TestLinksNextToNothing: each spawn through the shim pays for what it links.
func TestLinksNextToNothing(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		require.NoError(t, err)
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		require.NoError(t, err)
		for _, i := range f.Imports {
			require.Contains(t, []string{`"errors"`, `"runtime"`, `"syscall"`, `"unsafe"`}, i.Path.Value, name)
		}
	}
}
