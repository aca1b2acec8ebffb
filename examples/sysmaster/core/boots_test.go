package main

import "testing"

func TestBootRecord(t *testing.T) {
	var r bootRecord
	boot := func(id string, wantBefore int) {
		t.Helper()
		for range 3 { // each of its cores
			next, err := parseBoots(r.begun(id).text())
			if err != nil || next.before != wantBefore {
				t.Fatalf("boot %s: %+v, %v; want %d failed before", id, next, err, wantBefore)
			}
			r = next
		}
	}
	boot("a", 0)
	boot("b", 1)
	boot("c", 2)
	r = r.good()
	boot("c", 2) // a core that dies after a good boot makes it no bad one
	if r.attempts != 0 {
		t.Errorf("attempts = %d after a good boot; want 0", r.attempts)
	}
	boot("d", 0)
	boot("e", 1)
	for _, bad := range []string{"", "1", "1 2", "x 1 id", "1 x id", "-1 0 id", "1 2 3 4"} {
		if r, err := parseBoots(bad); err == nil {
			t.Errorf("parseBoots(%q) = %+v; want an error", bad, r)
		}
	}
}

func TestRescueAfterFailedBoots(t *testing.T) {
	b := &boots{con: &console{}, rec: bootRecord{attempts: 4, before: 3, id: "x"}}
	for limit, want := range map[int]string{0: "default.target", 4: "default.target", 3: "rescue.target", 1: "rescue.target", -1: "default.target"} {
		if got := b.rescue("default.target", limit); string(got) != want {
			t.Errorf("rescue with limit %d = %s; want %s", limit, got, want)
		}
	}
}
