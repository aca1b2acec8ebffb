package record

// Walk goes over the fields of a message, to write all of them or to read one: a layout that is the same both
// ways is told once, by a function that calls one method or Walk... function for each field, in the order of
// writing. Zero values are not written. Reading compares each field with each tag of the layout, so that Walk
// is for messages of which there are few; Decode with a switch is for the others.
type Walk struct {
	enc   *Encoder // nil when reading
	in    Field
	item  bool // an element of a list is written: also a zero one
	known bool // the field that is read had its tag
	err   error
}

// Encode writes the fields that layout tells.
func (e *Encoder) Encode(layout func(*Walk)) { layout(&Walk{enc: e}) }

// DecodeWalk reads data by layout. What layout does not tell is skipped, or kept with Walk.Unknown.
func DecodeWalk(data []byte, layout func(*Walk)) error { return Decode(data, reader(layout)) }

// Walk reads the fields of a nested message by layout.
func (f Field) Walk(layout func(*Walk)) error { return f.Message(reader(layout)) }

func reader(layout func(*Walk)) func(Field) error {
	return func(f Field) error {
		w := Walk{in: f}
		layout(&w)
		return w.err
	}
}

// Field is a field of a form of its own: write is called in any case, read if it is there.
func (w *Walk) Field(tag uint32, write func(*Encoder), read func(Field) error) {
	switch {
	case w.enc != nil:
		write(w.enc)
	case w.in.Tag == tag:
		w.known, w.err = true, read(w.in)
	}
}

// Message is a nested message, written also if nothing is in it.
func (w *Walk) Message(tag uint32, layout func(*Walk)) {
	w.Field(tag, func(e *Encoder) {
		m := e.Begin(tag)
		e.Encode(layout)
		e.End(m)
	}, func(f Field) error { return f.Walk(layout) })
}

// Unknown, as the last field, keeps what the layout does not tell, and writes it again.
func (w *Walk) Unknown(u *Unknown) {
	if w.enc != nil {
		w.enc.Raw(*u)
	} else if !w.known {
		u.Keep(w.in)
	}
}

// Bool is a bool.
func (w *Walk) Bool(tag uint32, v *bool) {
	w.Field(tag, func(e *Encoder) {
		if *v || w.item {
			e.Bool(tag, *v)
		}
	}, func(f Field) error { return Bool(f, v) })
}

// WalkUint is an unsigned integer.
func WalkUint[T Unsigned](w *Walk, tag uint32, v *T) {
	w.Field(tag, func(e *Encoder) {
		if *v != 0 || w.item {
			e.Uint(tag, uint64(*v))
		}
	}, func(f Field) error { return Uint(f, v) })
}

// WalkInt is a signed integer.
func WalkInt[T Signed](w *Walk, tag uint32, v *T) {
	w.Field(tag, func(e *Encoder) {
		if *v != 0 || w.item {
			e.Int(tag, int64(*v))
		}
	}, func(f Field) error { return Int(f, v) })
}

// WalkString is a string.
func WalkString[T ~string](w *Walk, tag uint32, v *T) {
	w.Field(tag, func(e *Encoder) {
		if *v != "" || w.item {
			e.String(tag, string(*v))
		}
	}, func(f Field) error { return String(f, v) })
}

// WalkBytes is a string of bytes; what is read is a copy.
func WalkBytes(w *Walk, tag uint32, v *[]byte) {
	w.Field(tag, func(e *Encoder) {
		if len(*v) > 0 || w.item {
			e.Bytes(tag, *v)
		}
	}, func(f Field) error { return Bytes(f, v) })
}

// WalkList is a list: one field for each element, which item tells with the tag it is given. More than
// limit elements are not read: tooMany is the error then.
func WalkList[T any](w *Walk, tag uint32, list *[]T, limit int, tooMany error, item func(w *Walk, tag uint32, v *T)) {
	w.Field(tag, func(*Encoder) {
		w.item = true
		for i := range *list {
			item(w, tag, &(*list)[i])
		}
		w.item = false
	}, func(Field) error {
		if len(*list) >= limit {
			return tooMany
		}
		var v T
		if item(w, tag, &v); w.err == nil {
			*list = append(*list, v)
		}
		return w.err
	})
}
