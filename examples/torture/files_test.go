package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/service"
	"github.com/sysmaster-go/sysmaster/unit/socket"
	"github.com/sysmaster-go/sysmaster/unit/target"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
)

// TestFilesLoad: the manager takes every unit file, and finds nothing to say of it.
func TestFilesLoad(t *testing.T) {
	list := fleet(40, 50, 2, rand.New(rand.NewPCG(1, 1)))
	tree := fstest.MapFS{}
	for name, text := range files(list, "/usr/bin/torture", "/run/torture") {
		tree["run/systemd/system/"+name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	types := map[unit.Kind]*unit.Type{}
	for _, k := range []unit.Type{service.Type(service.Options{}), socket.Type(), target.Type()} {
		types[k.Kind] = &k
	}
	l := unitfile.NewLoader(unitfile.Config{FS: tree, Dirs: []string{"/run/systemd/system"}, Types: types})
	for path := range tree {
		s := l.Load(unit.Name(filepath.Base(path)))
		if s.Load != unit.LoadLoaded || len(s.Diags) > 0 {
			t.Errorf("%s: %v %s %v", path, s.Load, s.LoadError, s.Diags)
			continue
		}
		if k := types[s.Name.Kind()]; k != nil {
			if _, err := k.New(s); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// TestFleetWithoutClients: a service that only a client's knock starts again is not told to end when there are none.
func TestFleetWithoutClients(t *testing.T) {
	for _, clients := range []int{0, 1} {
		n := 0
		for _, m := range fleet(100, 100, clients, rand.New(rand.NewPCG(1, 1))) {
			if m.kind == kindSocket && m.churn {
				n++
			} else if m.kind != kindSocket && !m.churn {
				t.Errorf("%s is left alone; want all others to be ended", m.name)
			}
		}
		if (n > 0) != (clients > 0) {
			t.Errorf("%d clients: %d services behind sockets are told to end", clients, n)
		}
	}
}

// TestDamage: each damage changes the file, and only near its end.
func TestDamage(t *testing.T) {
	seen := map[int]bool{}
	for seed := range uint64(30) {
		dir := t.TempDir()
		old := bytes.Repeat([]byte("0123456789abcdef"), 100)
		if err := os.WriteFile(filepath.Join(dir, "log"), old, 0o600); err != nil {
			t.Fatal(err)
		}
		what, err := damageLog(dir, rand.New(rand.NewPCG(seed, 2)))
		if err != nil {
			t.Fatal(err)
		}
		now, err := os.ReadFile(filepath.Join(dir, "log"))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(now, old) || !bytes.Equal(now[:len(old)-200], old[:len(old)-200]) {
			t.Errorf("seed %d: %s: changed %v, the beginning kept %v", seed, what, !bytes.Equal(now, old), bytes.Equal(now[:len(old)-200], old[:len(old)-200]))
		}
		seen[min(max(len(now)-len(old), -1), 1)] = true
	}
	if len(seen) != 3 {
		t.Errorf("of the three sorts of damage only %d happened", len(seen))
	}
	if _, err := damageLog(t.TempDir(), rand.New(rand.NewPCG(1, 1))); err == nil {
		t.Error("an empty directory has a log")
	}
}
