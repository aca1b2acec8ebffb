package fdstore

import (
	"slices"
	"strings"
	"testing"
)

func TestCrashKeys(t *testing.T) {
	c := Crash{Generation: 1 << 63, Time: 1764450000, Cause: CauseHang, Code: 2, Status: 6, PID: 4194303}
	if got, ok := ParseCrash(c.Key()); !ok || got != c || !ValidKey(c.Key()) {
		t.Errorf("ParseCrash(%q) = %+v, %v", c.Key(), got, ok)
	}
	if got, ok := ParseCrash(c.Key() + "/more/of a newer one"); !ok || got != c {
		t.Errorf("ParseCrash with a field behind = %+v, %v", got, ok)
	}
	for _, bad := range []string{"", "crash/", "crash/1/2/3/4/5", "crash/-1/2/3/4/5/6", "crash/1/2/-3/4/5/6", "crash/1/2/256/4/5/6", "crash/1/2/3/4/5/x", "door/1/2/3/4/5/6"} {
		if got, ok := ParseCrash(bad); ok {
			t.Errorf("ParseCrash(%q) = %+v", bad, got)
		}
	}
}

const panicked = "panic: as cores do\n\ngoroutine 7 [running]:\nmain.other()\n\t/x.go:1\n\n" +
	"goroutine 1 [select]:\nmain.engine()\n\t/y.go:2 +0x1\nmain.main()\n\ngoroutine 8 [running]:\nmain.third()\n"

func TestSummary(t *testing.T) {
	want := []string{"panic: as cores do", "goroutine 1 [select]:", "main.engine()", "  /y.go:2 +0x1", "main.main()"}
	if got := Summary(LastWords([]byte(panicked+"\x00\x00")), 8); !slices.Equal(got, want) {
		t.Errorf("Summary = %q; want %q", got, want)
	}
	if got := Summary([]byte(panicked), 2); !slices.Equal(got, want[:2]) {
		t.Errorf("Summary of 2 lines = %q", got)
	}
	for _, none := range []string{"", "\n\n", "\x00panic: later"} {
		if got := Summary(LastWords([]byte(none)), 8); len(got) != 0 {
			t.Errorf("Summary(%q) = %q", none, got)
		}
	}
}

func FuzzLastWords(f *testing.F) {
	f.Add([]byte(panicked))
	f.Add([]byte("\x1b[2J\x9b31m\r\nöä\x7f\ngoroutine 1 [\n"))
	f.Add([]byte(strings.Repeat("x", 500)))
	f.Fuzz(func(t *testing.T, b []byte) {
		words := LastWords(b)
		if len(words) > len(b) {
			t.Fatal("longer than its input")
		}
		lines := Summary(words, 8)
		if len(lines) > 8 {
			t.Fatalf("%d lines", len(lines))
		}
		for _, line := range lines {
			if len(line) > summaryWidth+1 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("line %q", line)
			}
		}
		ParseCrash(string(b))
	})
}
