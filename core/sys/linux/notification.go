package linux

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/sysmaster-go/sysmaster/unit"
)

// notifyFields bounds the lines of one notification that are looked at.
const notifyFields = 64

// ParseNotification reads the KEY=VALUE lines of an sd_notify(3) message. Lines without
// "=", with an empty or unprintable key, or with a value that is not text are left out, and
// so is everything behind the 64th line. A NUL at the end, which some senders add, is ignored.
func ParseNotification(b []byte) []unit.Field {
	b = bytes.TrimRight(b, "\x00")
	var fields []unit.Field
	for len(b) > 0 && len(fields) < notifyFields {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte{'\n'})
		key, val, ok := bytes.Cut(line, []byte{'='})
		if ok && validKey(key) && utf8.Valid(val) && bytes.IndexByte(val, 0) < 0 {
			fields = append(fields, unit.Field{Key: string(key), Value: string(val)})
		}
	}
	return fields
}

func validKey(key []byte) bool {
	for _, c := range key {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(key) > 0
}

func has(fields []unit.Field, key, val string) bool {
	for _, f := range fields {
		if f.Key == key && f.Value == val {
			return true
		}
	}
	return false
}

// value is the key's last value, or otherwise.
func value(fields []unit.Field, key, otherwise string) string {
	for _, f := range fields {
		if f.Key == key && f.Value != "" {
			otherwise = f.Value
		}
	}
	return otherwise
}

func trimSpace(b []byte) []byte { return []byte(strings.TrimSpace(string(b))) }
