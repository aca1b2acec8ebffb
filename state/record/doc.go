// Package record is the encoding of what the store keeps: named (numbered) fields, each with its kind, so
// that a reader skips what it does not know and can hand it back unchanged.
//
// Writing. An [Encoder] appends fields to one buffer that is reused; the order of the calls is the order of
// the bytes, so that the same calls give the same bytes:
//
//	var e record.Encoder                  // keep it; Reset empties it without giving the buffer away
//	e.Uint(1, uint64(pid))
//	e.Int(2, exitCode)
//	e.Bool(3, true)
//	e.String(4, "nginx.service")
//	e.Bytes(5, blob)
//	e.Message(6, func(e *record.Encoder) { e.String(1, "ExecStart") })  // nested; or mark := e.Begin(6) ... e.End(mark)
//	e.OptUint(7, n)                       // Opt*: nothing is written for a zero value
//	e.Raw(unknown)                        // what an older reader kept, see below
//	data := e.Data()                      // valid until the next call on e; Clone gives a copy
//
// A list is a field repeated with the same tag, a map is a repeated message (sorted by the writer).
//
// Reading. [Decode] calls a function for each field, in the order they were written:
//
//	var unknown record.Unknown
//	err := record.Decode(data, func(f record.Field) error {
//		switch f.Tag {
//		case 1:
//			return record.Uint(f, &r.Pid)   // any unsigned type, named ones too; an error if it does not fit
//		case 2:
//			return record.Int(f, &r.Exit)   // any signed type
//		case 3:
//			return record.Bool(f, &r.Ok)
//		case 4:
//			return record.String(f, &r.Unit)
//		case 5:
//			return record.Bytes(f, &r.Blob) // copies; f.Bytes() aliases the input
//		case 6:
//			return f.Message(func(f record.Field) error { ... })
//		}
//		unknown.Keep(f)
//		return nil
//	})
//
// A [Walk] tells the layout of a message once, for both ways, where speed does not matter.
//
// The methods f.Uint, f.Int, f.Bool, f.Str and f.Bytes return (value, error) where that reads better.
// An error of the function ends Decode and is returned as it is; every other error is a [*SyntaxError] or a
// [*KindError].
//
// # The bytes
//
//	field = key value
//	key   = uvarint( tag << 3 | kind ), tag 1 .. MaxTag
//	value = uvarint                  for KindUint
//	      | uvarint( zigzag )        for KindInt
//	      | uvarint( length ) bytes  for KindBytes, KindMessage and the reserved kinds 4..7
//
// uvarint is encoding/binary's, in its shortest form: a longer one is refused, so that there is one spelling of
// each record. Reserved kinds have a length, so that a reader of today keeps the fields of tomorrow.
//
// A tag is never used twice for different things, and never with another kind: that is what makes a record
// readable for an older and for a newer program. Nothing in here reads the clock, allocates per field, or uses
// reflection; an Encoder belongs to one goroutine at a time.
package record
