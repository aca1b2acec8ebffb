package cli

import (
	"math"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// field is one member of a JSON object; fields keep their order.
type field struct {
	name  string
	value any
}

// printJSON prints an array of objects. It writes JSON by hand, because D-Bus values are a short list
// of types and encoding/json would be a quarter of the program.
func (a *app) printJSON(rows [][]field) {
	var b strings.Builder
	b.WriteByte('[')
	for i, row := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('{')
		for j, f := range row {
			if j > 0 {
				b.WriteByte(',')
			}
			jsonString(&b, f.name)
			b.WriteByte(':')
			jsonValue(&b, f.value)
		}
		b.WriteByte('}')
	}
	b.WriteString("]\n")
	a.printf("%s", b.String())
}

func jsonValue(b *strings.Builder, v any) {
	switch x := v.(type) {
	case string:
		jsonString(b, x)
	case dbus.ObjectPath:
		jsonString(b, string(x))
	case bool:
		b.WriteString(strconv.FormatBool(x))
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			b.WriteString("null")
			return
		}
		b.WriteString(strconv.FormatFloat(x, 'g', -1, 64))
	case uint64:
		if x == math.MaxUint64 { // not known, or no limit
			b.WriteString("null")
			return
		}
		b.WriteString(strconv.FormatUint(x, 10))
	case dbus.Variant:
		jsonValue(b, x.Value())
	case []string:
		jsonArray(b, len(x), func(i int) any { return x[i] })
	case []byte:
		jsonArray(b, len(x), func(i int) any { return x[i] })
	case []any:
		jsonArray(b, len(x), func(i int) any { return x[i] })
	case wire.Struct:
		jsonArray(b, len(x), func(i int) any { return x[i] })
	case byte, int16, uint16, int32, uint32, int64:
		b.WriteString(scalar(x))
	default:
		b.WriteString("null")
	}
}

func jsonArray(b *strings.Builder, n int, at func(int) any) {
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		jsonValue(b, at(i))
	}
	b.WriteByte(']')
}

// jsonString quotes as RFC 8259 asks; control characters are escaped, all else is UTF-8.
func jsonString(b *strings.Builder, s string) {
	const hexDigits = "0123456789abcdef"
	b.WriteByte('"')
	for _, r := range s { // bytes that are not UTF-8 become U+FFFD
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			b.WriteString("\\u00")
			b.WriteByte(hexDigits[r>>4])
			b.WriteByte(hexDigits[r&15])
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
