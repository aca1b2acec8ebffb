package unit

import (
	"bytes"
	"testing"
	"time"
)

func TestSnapshotRoundTrip(t *testing.T) {
	e := NewEncoder([]byte("kept"))
	e.Uint(1, 7)
	e.Int(2, -3)
	e.Bool(3, true)
	e.Duration(4, -time.Second)
	e.Str(5, "text")
	e.Proc(6, Proc{42, 99})
	e.FDRef(7, FDRef{"a", "b"})
	e.FDRef(7, FDRef{})
	e.Str(8, "")
	data := e.Data()
	if !bytes.HasPrefix(data, []byte("kept")) {
		t.Fatalf("the buffer's beginning is gone: %q", data)
	}
	d := NewDecoder(data[4:])
	var fds []FDRef
	for d.Next() {
		switch d.Tag() {
		case 1:
			if v := d.Uint(); v != 7 {
				t.Errorf("Uint = %d; want 7", v)
			}
		case 2:
			if v := d.Int(); v != -3 {
				t.Errorf("Int = %d; want -3", v)
			}
		case 4:
			if v := d.Duration(); v != -time.Second {
				t.Errorf("Duration = %v; want -1s", v)
			}
		case 5:
			if v := d.Str(); v != "text" {
				t.Errorf("Str = %q; want text", v)
			}
		case 6:
			if v := d.Proc(); v != (Proc{42, 99}) {
				t.Errorf("Proc = %v; want {42 99}", v)
			}
		case 7:
			fds = append(fds, d.FDRef())
		case 8:
			t.Error("an empty string was written")
		}
	}
	if d.Err() != nil || len(fds) != 2 || fds[0] != (FDRef{"a", "b"}) {
		t.Errorf("Err = %v, FDs = %v", d.Err(), fds)
	}
}

func FuzzSnapshot(f *testing.F) {
	e := NewEncoder(nil)
	e.Proc(1, Proc{1, 2})
	e.Str(2, "x")
	f.Add(e.Data())
	f.Fuzz(func(t *testing.T, data []byte) {
		d := NewDecoder(data)
		for d.Next() {
			switch d.Tag() {
			case 1:
				d.Proc()
			case 2:
				_ = d.Str()
			default:
				_ = d.Int()
			}
		}
	})
}
