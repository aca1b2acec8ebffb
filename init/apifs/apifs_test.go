package apifs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sysmaster-go/sysmaster/init/bootenv"
)

func TestDefaultCanBePrinted(t *testing.T) {
	machine := Default(bootenv.World{PID1: true, RootPIDNS: true})
	inside := Default(bootenv.World{PID1: true, Container: "docker"})
	if len(inside) >= len(machine) {
		t.Errorf("a container's list has %d actions, a machine's %d; want fewer", len(inside), len(machine))
	}
	if got, want := machine[0].String(), "mount -t proc proc /proc"; got != want {
		t.Errorf("first action %q; want %q", got, want)
	}
	for _, a := range inside {
		if a.Op == Propagate {
			t.Errorf("%q in a container", a)
		}
	}
}

func TestMountPoint(t *testing.T) {
	for path, want := range map[string]bool{"/": true, "/proc": true, "/proc/sys": false, t.TempDir(): false, "/nonexistent": false} {
		if got := MountPoint(path); got != want {
			t.Errorf("MountPoint(%s) = %v; want %v", path, got, want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	dir := t.TempDir()
	number := filepath.Join(dir, "number")
	if err := os.WriteFile(number, []byte("10\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a    Action
		want Outcome
	}{
		{Action{Op: Mount, Path: "/proc", Type: "proc"}, Already},
		{Action{Op: Symlink, Path: filepath.Join(dir, "l"), Data: "x"}, Done},
		{Action{Op: Symlink, Path: filepath.Join(dir, "l"), Data: "x"}, Already},
		{Action{Op: Raise, Path: number, Data: "5"}, Already},
		{Action{Op: Raise, Path: number, Data: "512"}, Done},
		{Action{Op: Raise, Path: number, Data: "512"}, Already},
		{Action{Op: Raise, Path: number + "none", Data: "512", Optional: true}, Absent},
		{Action{Op: Raise, Path: number + "none", Data: "512"}, Failed},
		{Action{Op: Raise, Path: number, Data: "many"}, Failed},
		{Action{Op: 77}, Failed},
	} {
		got, err := c.a.Do()
		if got != c.want || (err != nil) != (got == Failed || got == Forbidden) {
			t.Errorf("%q.Do() = %d, %v; want %d", c.a, got, err, c.want)
		}
	}
}
