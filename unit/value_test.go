package unit

import (
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseBool(t *testing.T) {
	for _, s := range []string{"1", "yes", "Y", "TRUE", "t", "on", "oN"} {
		b, err := ParseBool(s)
		require.NoError(t, err, s)
		require.True(t, b, s)
	}
	for _, s := range []string{"0", "no", "N", "False", "f", "off"} {
		b, err := ParseBool(s)
		require.NoError(t, err, s)
		require.False(t, b, s)
	}
	for _, s := range []string{"", "maybe", `"yes"`, "2", "yes ", "enable"} {
		_, err := ParseBool(s)
		require.Error(t, err, s)
	}
}

const usec = time.Microsecond

// Measured with systemd-analyze timespan of systemd 252; wrong ones have -1.
var timespans = []struct {
	in   string
	want time.Duration
}{
	{"0", 0}, {"5", 5e6 * usec}, {"90s", 90e6 * usec}, {"1min 30s", 90e6 * usec}, {"1min30s", 90e6 * usec},
	{"1.5h", 5400e6 * usec}, {".5s", 5e5 * usec}, {"+5", 5e6 * usec}, {"1h 1h", 7200e6 * usec}, {"5 s", 5e6 * usec},
	{" 5", 5e6 * usec}, {"infinity", Infinity}, {" infinity ", Infinity}, {"1y", 31557600e6 * usec},
	{"2months", 2 * 2629800e6 * usec}, {"1M", 2629800e6 * usec}, {"1m", 60e6 * usec}, {"100ms", 1e5 * usec},
	{"7us", 7 * usec}, {"7µs", 7 * usec}, {"1w", 604800e6 * usec}, {"3days 2 hours", 266400e6 * usec},
	{"0.0000001s", 0}, {"1.23456789s", 1234567 * usec}, {"12.34 .56", 12900000 * usec}, {"12.34s.56", 12900000 * usec},
	{"1minutes", 60e6 * usec}, {"1hr", 3600e6 * usec}, {"5minute", 300e6 * usec}, {"1 +1", 2e6 * usec},
	{"", -1}, {"   ", -1}, {"-5", -1}, {"5x", -1}, {"s", -1}, {"1.s", -1}, {"1.-2", -1}, {"12.34.56", -1}, {"+.5", -1},
	{"1 infinity", -1}, {"5sfoo", -1}, {"1e3", -1}, {"0x10", -1}, {"5S", -1}, {"99999999999999999999", -1}, {"1,5s", -1},
	{"600000y", -1}, {"--5", -1}, {"5 -3", -1}, {"\"5\"", -1},
}

func TestParseTimespan(t *testing.T) {
	for _, c := range timespans {
		got, err := ParseTimespan(c.in)
		if c.want < 0 {
			require.Error(t, err, "ParseTimespan(%q)", c.in)
			continue
		}
		require.NoError(t, err, "ParseTimespan(%q)", c.in)
		require.Equal(t, c.want, got, "ParseTimespan(%q)", c.in)
	}
	got, err := ParseTimespan("500y") // more than a Duration holds
	require.NoError(t, err)
	require.Equal(t, Infinity, got)
}

// TestTimespanAgainstSystemd compares with systemd-analyze on the same input.
func TestTimespanAgainstSystemd(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: nothing to compare with")
	}
	for _, c := range timespans {
		if strings.HasPrefix(c.in, "-") {
			continue // the tool takes it for an option
		}
		out, err := exec.Command(tool, "timespan", c.in).Output()
		got, ours := ParseTimespan(c.in)
		require.Equal(t, err == nil, ours == nil, "%q: systemd-analyze says %v, ParseTimespan says %v", c.in, err, ours)
		if err != nil || got == Infinity {
			continue
		}
		require.Contains(t, string(out), "s: "+strconv.FormatInt(got.Microseconds(), 10)+"\n", "timespan %q", c.in)
	}
}

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		in   string
		want uint64
	}{
		{"0", 0}, {"4096", 4096}, {"4096B", 4096}, {"64K", 64 << 10}, {"8M", 8 << 20}, {"1.5G", 3 << 29}, {"1 G", 1 << 30},
		{"1G 512M", 3 << 29}, {"1G512", 1<<30 + 512}, {"2T", 2 << 40}, {"1P", 1 << 50}, {"15E", 15 << 60}, {"infinity", math.MaxUint64}, {"0.5K", 512},
	} {
		got, err := ParseSize(c.in)
		require.NoError(t, err, "ParseSize(%q)", c.in)
		require.Equal(t, c.want, got, "ParseSize(%q)", c.in)
	}
	for _, s := range []string{"", " ", "100MB", "16E", "-1", "K", "1k", "1GG", "512M 1G", "1.K", "99999999999999999999", "ten", "1 2 3"} {
		_, err := ParseSize(s)
		require.Error(t, err, "ParseSize(%q)", s)
	}
}

func TestParseMode(t *testing.T) {
	for in, want := range map[string]uint32{"0": 0, "777": 0o777, "0777": 0o777, "02755": 0o2755, "7777": 0o7777, "0o644": 0o644} {
		got, err := ParseMode(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, s := range []string{"", "8", "10000", "0o", "-1", "+7", "u=rw", "7777777777777777777"} {
		_, err := ParseMode(s)
		require.Error(t, err, s)
	}
}

func TestParseSignal(t *testing.T) {
	for in, want := range map[string]int{"TERM": 15, "SIGTERM": 15, "9": 9, "SIGRTMIN+3": 37, "RTMIN": 34, "RTMAX-1": 63, "RTMAX": 64, "64": 64, "SIGPOLL": 29} {
		got, err := ParseSignal(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, s := range []string{"", "SIG", "0", "65", "-1", "term", "RTMIN+31", "RTMIN-1", "RTMIN+", "SIG9", "SIGSIGTERM"} {
		_, err := ParseSignal(s)
		require.Error(t, err, s)
	}
	for n := 1; n <= 64; n++ {
		if n == 32 || n == 33 {
			continue // glibc keeps these two, they have no name
		}
		back, err := ParseSignal(SignalName(n))
		require.NoError(t, err)
		require.Equal(t, n, back, SignalName(n))
	}
	require.Equal(t, "SIGTERM", SignalName(15))
	require.Equal(t, "SIGRTMIN+1", SignalName(35))
	require.Equal(t, "99", SignalName(99))
}

func TestParsePath(t *testing.T) {
	for in, want := range map[string]string{"/": "/", "//": "/", "/a//b/": "/a/b", "/a/./b": "/a/b", "/./": "/", "/a b": "/a b", "/..a": "/..a"} {
		got, err := ParsePath(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, s := range []string{"", "a", "./a", "/a/..", "/../a", "/a\x00b", "/\xff", "/" + strings.Repeat("x", 256), strings.Repeat("/xx", 2000)} {
		_, err := ParsePath(s)
		require.Error(t, err, s)
	}
}

func TestSplitWords(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"", nil}, {"  \t", nil}, {"a b\tc", []string{"a", "b", "c"}}, {`a"b c"d`, []string{"ab cd"}}, {`"a"'b'c`, []string{"abc"}},
		{`""`, []string{""}}, {`a "" b`, []string{"a", "", "b"}}, {`'a"b'`, []string{`a"b`}}, {`\x41\102\u00e9\U0001F600`, []string{"ABé😀"}},
		{`a\sb`, []string{"a b"}}, {`"a\tb"`, []string{"a\tb"}}, {`'\''`, []string{"'"}}, {`\d`, []string{`\d`}}, {`\x00`, []string{`\x00`}},
		{`\x4`, []string{`\x4`}}, {`\777`, []string{`\777`}}, {`\ud800`, []string{`\ud800`}}, {`a\`, []string{`a\`}}, {`a\\ b`, []string{`a\`, "b"}}, {`\;`, []string{`\;`}},
		{`\xff`, []string{"\xff"}}, {`x\ y`, []string{`x\`, "y"}},
	} {
		got, err := SplitWords(c.in)
		require.NoError(t, err, "SplitWords(%q)", c.in)
		require.Equal(t, c.want, got, "SplitWords(%q)", c.in)
	}
	for _, s := range []string{`"`, `a 'b`, `"a\"`} {
		_, err := SplitWords(s)
		require.ErrorIs(t, err, ErrQuote, s)
	}
	require.Equal(t, `\d`, UnknownEscape(`a \n \d`))
	require.Equal(t, `\`, UnknownEscape(`a\`))
	require.Empty(t, UnknownEscape(`\\d \x41 \s`))
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{"": "", "a/b": "a-b", "a-b": `a\x2db`, ".x": `\x2ex`, "x.y": "x.y", "é@": `\xc3\xa9\x40`, "/": "-", `\`: `\x5c`} {
		require.Equal(t, want, Escape(in), in)
		back, err := Unescape(want)
		require.NoError(t, err)
		require.Equal(t, in, back)
	}
	for in, want := range map[string]string{"/": "-", "": "-", "//a//b/": "a-b", "/a-b": `a\x2db`, "/.x": `\x2ex`, "a/b": "a-b"} {
		got, err := PathEscape(in)
		require.NoError(t, err)
		require.Equal(t, want, got, in)
	}
	for _, s := range []string{"/a/..", "..", "/a/../b"} {
		_, err := PathEscape(s)
		require.Error(t, err, s)
	}
	for in, want := range map[string]string{"-": "/", "a-b": "/a/b", `a\x2db`: "/a-b"} {
		got, err := PathUnescape(in)
		require.NoError(t, err)
		require.Equal(t, want, got, in)
	}
	for _, s := range []string{"", "-a", "a-", "a--b", `a\x0`, `a\x00`, `a-\x2e\x2e`, `\y41`} {
		_, err := PathUnescape(s)
		require.ErrorIs(t, err, ErrEscape, s)
	}
}

// TestEscapeAgainstSystemd compares with systemd-escape on the same input.
func TestEscapeAgainstSystemd(t *testing.T) {
	tool, err := exec.LookPath("systemd-escape")
	if err != nil {
		t.Skip("systemd-escape is not installed: nothing to compare with")
	}
	inputs := []string{"a/b", "a-b", ".x", "x.y", "é@", "/", `\`, "a b", "/dev//sda1/", "/a/.b", "a:b_c", "..", "/a/../b", "/./a", "x/./y", "~+=%", "a\tb", "/.", "-", `\x2d`, "a--b", `a\x2`}
	for _, s := range inputs {
		out, err := exec.Command(tool, "--", s).Output()
		require.NoError(t, err)
		require.Equal(t, strings.TrimSuffix(string(out), "\n"), Escape(s), "systemd-escape %q", s)

		out, err = exec.Command(tool, "--path", "--", s).Output()
		got, ours := PathEscape(s)
		require.Equal(t, err == nil, ours == nil, "systemd-escape --path %q: %v; PathEscape: %v", s, err, ours)
		require.Equal(t, strings.TrimSuffix(string(out), "\n"), got, "systemd-escape --path %q", s)

		out, err = exec.Command(tool, "--unescape", "--", s).Output()
		got, ours = Unescape(s)
		require.Equal(t, err == nil, ours == nil, "systemd-escape --unescape %q: %v; Unescape: %v", s, err, ours)
		require.Equal(t, strings.TrimSuffix(string(out), "\n"), got, "systemd-escape --unescape %q", s)

		out, err = exec.Command(tool, "--unescape", "--path", "--", s).Output()
		got, ours = PathUnescape(s)
		require.Equal(t, err == nil, ours == nil, "systemd-escape --unescape --path %q: %v; PathUnescape: %v", s, err, ours)
		require.Equal(t, strings.TrimSuffix(string(out), "\n"), got, "systemd-escape --unescape --path %q", s)
	}
}

func applyCommon(c *Common, assignment string) error {
	k, v, _ := strings.Cut(assignment, "=")
	key := NewKeySet(CommonKeys(), InstallKeys()).Lookup("Unit", k)
	if key == nil {
		return fmt.Errorf("no key %s", k)
	}
	return key.Apply(c, v)
}

func TestCommonKeys(t *testing.T) {
	keys := NewKeySet(CommonKeys(), InstallKeys(), ServiceCompatKeys())
	count := 0
	for _, k := range keys.Keys() {
		require.NotEmpty(t, k.Doc, k.Name)
		require.NotEmpty(t, k.Syntax, k.Name)
		if k.Section == "Unit" {
			count++
		}
	}
	require.Equal(t, 114, count, "systemd 252 knows 113 keys of [Unit]; it forgot AssertFirmware")

	c := NewCommon()
	for _, a := range []string{
		"JobTimeoutSec=0", "JobTimeoutSec=5", "JobRunningTimeoutSec=7", "JobTimeoutSec=9",
		"ConditionPathExists=!/a//b", "AssertHost=| ! x", "ConditionUser=root", "StartLimitBurst=3", "OnFailureIsolate=yes",
		"SuccessAction=exit", "SuccessActionExitStatus=42", "CollectMode=inactive-or-failed", "StartLimitInterval=1min",
	} {
		require.NoError(t, applyCommon(&c, a), a)
	}
	require.Equal(t, 9*time.Second, c.JobTimeout)
	require.Equal(t, 7*time.Second, c.JobRunningTimeout)
	require.Equal(t, ModeIsolate, c.OnFailureJobMode)
	require.Equal(t, 42, c.SuccessActionExit)
	require.Equal(t, time.Minute, c.StartLimitInterval)
	require.Equal(t, []Condition{{Type: "PathExists", Param: "/a/b", Negate: true}, {Type: "Host", Param: "x", Trigger: true, Negate: true, Assert: true}, {Type: "User", Param: "root"}}, c.Conditions)
	require.NoError(t, applyCommon(&c, "ConditionHost="))
	require.Len(t, c.Conditions, 1)
	require.True(t, c.Conditions[0].Assert)

	before := c
	for _, a := range []string{
		"ConditionPathExists=| /a", "ConditionPathExists=a", "StartLimitBurst=-1", "SuccessAction=explode", "SuccessActionExitStatus=256",
		"CollectMode=", "OnFailureJobMode=x", "DefaultDependencies=", "JobTimeoutSec=x", "SourcePath=rel",
	} {
		require.Error(t, applyCommon(&c, a), a)
	}
	require.Equal(t, before, c, "a refused value must change nothing")

	var partial *Partial
	require.ErrorAs(t, applyCommon(&c, "Documentation=man:a(1) nonsense https://x"), &partial)
	require.Equal(t, []string{"man:a(1)", "https://x"}, c.Documentation)
	require.NoError(t, applyCommon(&c, "Documentation="))
	require.Empty(t, c.Documentation)
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"", "a b", `"a b"`, `\x41`, ";", "é\xff", "a\nb", `\`, `'`, "$X %i"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		// Whatever a word is, quoting it brings it back; NUL cannot be written.
		word := strings.ReplaceAll(s, "\x00", "")
		got, err := SplitWords(QuoteWord(word))
		if err != nil || len(got) != 1 || got[0] != word {
			t.Fatalf("SplitWords(QuoteWord(%q)) = %q, %v", word, got, err)
		}
		// What SplitWords yields is stable under quoting and joining.
		words, err := SplitWords(s)
		if err != nil || strings.ContainsRune(s, 0) {
			return
		}
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, QuoteWord(w))
		}
		again, err := SplitWords(strings.Join(quoted, " "))
		if err != nil || fmt.Sprintf("%q", again) != fmt.Sprintf("%q", words) {
			t.Fatalf("SplitWords(%q) = %q; after quoting %q, %v", s, words, again, err)
		}
	})
}

func FuzzValues(f *testing.F) {
	for _, c := range timespans {
		f.Add(c.in)
	}
	for _, s := range []string{"1.5G", "0777", "RTMIN+3", "/a//b", `a\x2db`, "-", "18446744073709551615", "1.99999999999999999999E"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseTimespan(s); err == nil && d < 0 {
			t.Fatalf("ParseTimespan(%q) = %d; want nothing negative", s, d)
		}
		_, _ = ParseSize(s)
		if m, err := ParseMode(s); err == nil && m > 0o7777 {
			t.Fatalf("ParseMode(%q) = %o", s, m)
		}
		if n, err := ParseSignal(s); err == nil && (n < 1 || n > 64) {
			t.Fatalf("ParseSignal(%q) = %d", s, n)
		}
		if p, err := ParsePath(s); err == nil {
			if again, err := ParsePath(p); err != nil || again != p {
				t.Fatalf("ParsePath(%q) = %q, which gives %q, %v", s, p, again, err)
			}
			e, err := PathEscape(p)
			if back, err2 := PathUnescape(e); err != nil || err2 != nil || back != p {
				t.Fatalf("PathUnescape(PathEscape(%q)) = %q, %v, %v", p, back, err, err2)
			}
		}
		if u, err := Unescape(Escape(s)); !strings.ContainsRune(s, 0) && (err != nil || u != s) {
			t.Fatalf("Unescape(Escape(%q)) = %q, %v", s, u, err)
		}
		_ = UnknownEscape(s)
		if c := ParseCondition("Host", s); len(c.Param) > len(s) {
			t.Fatal("a condition grew")
		}
	})
}
