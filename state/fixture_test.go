package state_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/statetest"
)

// TestFormatsOnceWritten: each directory of testdata was written by a program of that format and is never changed. Whatever
// the format is today, it is read, and compaction brings it up to date.
func TestFormatsOnceWritten(t *testing.T) {
	dirs, err := filepath.Glob("testdata/format*")
	if err != nil || len(dirs) != state.Format {
		t.Fatalf("%d fixtures, %v; want one for each format up to %d", len(dirs), err, state.Format)
	}
	for _, dir := range dirs {
		fs := &statetest.FS{}
		text := ""
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if e.Name() == "want.txt" {
				text = string(data)
				continue
			}
			fs.Put(e.Name(), data)
		}
		l, rep := open(t, small(fs))
		m, _ := load(t, l)
		if m.String()+"\n" != text || !rep.Clean() {
			t.Errorf("%s: %v\n got %s\nwant %s", dir, rep.Problems, m, text)
		}
		for i := range 60 {
			recs := []state.Record{unit("new", string(make([]byte, 100+i)))}
			commit(t, l, recs...)
			m = m.apply(recs)
		}
		maintain(t, l)
		next, rep := open(t, small(fs.Restart()))
		got, _ := load(t, next)
		want(t, dir+", brought up to date", got, m)
		if !rep.Clean() {
			t.Errorf("%s, brought up to date: %v", dir, rep.Problems)
		}
	}
}
