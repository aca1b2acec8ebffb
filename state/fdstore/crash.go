package fdstore

import (
	"bytes"
	"strconv"
	"strings"
)

// CrashSize is how many bytes of its last words a core can leave.
const CrashSize = 256 << 10

// Crash is a core's death, as the key of its last words tells: CrashPrefix and the
// fields as decimal numbers, in this order, with "/" between them.
type Crash struct {
	Generation uint64
	Time       int64 // seconds since 1970
	Cause      Cause
	Code       int32 // si_code of its end (waitid(2))
	Status     int32 // exit status or signal
	PID        int32
}

// Key is what the last words are kept under.
func (c Crash) Key() string {
	key := CrashPrefix + strconv.FormatUint(c.Generation, 10)
	for _, n := range [...]int64{c.Time, int64(c.Cause), int64(c.Code), int64(c.Status), int64(c.PID)} {
		key += "/" + strconv.FormatInt(n, 10)
	}
	return key
}

// ParseCrash reads a key; false: it is not one of last words. Fields of a newer version,
// behind those known, are skipped.
func ParseCrash(key string) (Crash, bool) {
	rest, ok := strings.CutPrefix(key, CrashPrefix)
	fields := strings.SplitN(rest, "/", 7)
	if !ok || len(fields) < 6 {
		return Crash{}, false
	}
	generation, err := strconv.ParseUint(fields[0], 10, 64)
	if err != nil {
		return Crash{}, false
	}
	var n [5]int64
	for i, bits := range [...]int{64, 9, 32, 32, 32} { // a Cause is 8 bits, without a sign
		if n[i], err = strconv.ParseInt(fields[i+1], 10, bits); err != nil {
			return Crash{}, false
		}
	}
	if n[1] < 0 {
		return Crash{}, false
	}
	return Crash{generation, n[0], Cause(n[1]), int32(n[2]), int32(n[3]), int32(n[4])}, true
}

// LastWords makes what a dead core wrote safe to print: printable ASCII, tabs and line feeds stay,
// all else becomes "?". It ends at the first zero byte, where nothing was written.
func LastWords(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	out := make([]byte, len(b))
	for i, c := range b {
		if out[i] = c; c != '\n' && c != '\t' && (c < ' ' || c > '~') {
			out[i] = '?'
		}
	}
	return out
}

const summaryWidth = 120

// Summary picks from LastWords what a person should see at once: the reason, which is
// the first lines up to an empty one, and the head of the first goroutine, which is the engine's. At
// most max lines, each of at most 120 bytes.
func Summary(words []byte, max int) []string {
	var lines []string
	add := func(text string, limit int) {
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, " \t\r\n")
			if line == "" || len(lines) >= limit {
				return
			}
			line = strings.ReplaceAll(line, "\t", "  ")
			lines = append(lines, line[:min(len(line), summaryWidth)])
		}
	}
	text := string(words)
	add(strings.TrimLeft(text, "\n"), min(3, max))
	for _, head := range [...]string{"goroutine 1 [", "goroutine 1 gp="} {
		if i := strings.Index(text, "\n"+head); i >= 0 {
			add(text[i+1:], max)
			break
		}
	}
	return lines
}
