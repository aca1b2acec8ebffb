package cgroup

import (
	"strconv"
	"strings"
	"testing"
)

func FuzzParsePids(f *testing.F) {
	f.Add([]byte("1\n22\n0\n-1\n"))
	f.Add([]byte("99999999999999999999\n7"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, p := range parsePids(b) {
			if p <= 0 || !strings.Contains(string(b), strconv.Itoa(p)) {
				t.Fatalf("parsePids(%q) has %d", b, p)
			}
		}
	})
}

func FuzzFlatKey(f *testing.F) {
	f.Add([]byte("populated 1\nfrozen 0\n"))
	f.Add([]byte("populated\npopulated x\n"))
	f.Fuzz(func(t *testing.T, b []byte) { flatKey(b, "populated") })
}

func FuzzCollect(f *testing.F) {
	f.Add(make([]byte, 16))
	f.Add(append([]byte{1, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255}, 1, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &Watcher{byWatch: map[int32]string{1: "a"}, byPath: map[string][]int32{"a": {1}}}
		w.collect(b, map[string]bool{})
		appendDirs(-1, b, nil)
	})
}
