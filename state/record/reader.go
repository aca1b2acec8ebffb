package record

// Reader reads a record field by field. The strings that it gives are parts of the one that it was made of: a record of
// many strings is read with one allocation, and is kept as long as any of them is.
//
//	r := record.NewReader(string(data))
//	for r.Next() {
//		switch r.Tag() {
//		case 1:
//			u.name = r.String()
//		case 6:
//			m := r.Message()
//			for m.Next() { ... }
//			r.Fail(m.Err())
//		}
//	}
//	return r.Err()
//
// It ends where Decode would, with the same errors. A value that is asked for as another kind is an error, and zero.
type Reader struct {
	rest string
	at   int // offset of rest in the record
	head head
	text string // content of kinds that have a length
	err  error
}

// NewReader reads the fields of data.
func NewReader(data string) Reader { return Reader{rest: data} }

// Next goes to the next field; false at the end and after an error.
func (r *Reader) Next() bool {
	if b := r.rest; len(b) > 1 && r.err == nil && b[0]|b[1] < 0x80 && b[0]>>kindBits != 0 { // one byte each, as nearly always
		k, end := Kind(b[0]&kindMask), 2
		if k.hasLength() {
			end += int(b[1])
		}
		if end <= len(b) {
			r.head.tag, r.head.kind, r.head.num = uint32(b[0]>>kindBits), k, uint64(b[1])
			r.text, r.rest = b[2:end], b[end:]
			r.at += end
			return true
		}
	}
	return r.next()
}

func (r *Reader) next() bool {
	if r.err != nil || r.rest == "" {
		return false
	}
	h, what := parseHead(r.rest)
	if what != "" {
		r.err = &SyntaxError{Offset: r.at, What: what}
		return false
	}
	r.head, r.text = h, r.rest[h.from:h.end]
	r.rest, r.at = r.rest[h.end:], r.at+h.end
	return true
}

// Tag is the present field's.
func (r *Reader) Tag() uint32 { return r.head.tag }

// Err is the first error, nil if there was none.
func (r *Reader) Err() error { return r.err }

// Fail ends the reading with err, unless that is nil or another error came before.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *Reader) is(k Kind, want string) bool {
	if r.head.kind != k {
		r.mismatch(want)
		return false
	}
	return true
}

func (r *Reader) mismatch(want string) {
	r.Fail(&KindError{Tag: r.head.tag, Kind: r.head.kind, Want: want})
}

// Uint is the present field's value, which is at most most.
func (r *Reader) Uint(most uint64) uint64 {
	if !r.is(KindUint, "uint") {
		return 0
	}
	if r.head.num > most {
		r.mismatch("a smaller number")
		return 0
	}
	return r.head.num
}

// Int is the present field's value.
func (r *Reader) Int() int64 {
	if !r.is(KindInt, "int") {
		return 0
	}
	return unzigzag(r.head.num)
}

// String is the present field's value, a part of what Reader was made of.
func (r *Reader) String() string {
	if !r.is(KindBytes, "bytes") {
		return ""
	}
	return r.text
}

// Message reads the fields within the present one; hand its error on with Fail.
func (r *Reader) Message() Reader {
	if !r.is(KindMessage, "message") {
		return Reader{}
	}
	return Reader{rest: r.text}
}
