package apifs

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

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

func TestDo(t *testing.T) {
	dir := t.TempDir()
	number := filepath.Join(dir, "number")
	if err := os.WriteFile(number, []byte("10\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a      Action
		want   error
		number string // in the file then
	}{
		{Action{Op: Mount, Path: "/proc", Type: "proc"}, nil, "10\n"},
		{Action{Op: Symlink, Path: filepath.Join(dir, "l"), Data: "x"}, nil, "10\n"},
		{Action{Op: Symlink, Path: filepath.Join(dir, "l"), Data: "y"}, nil, "10\n"},
		{Action{Op: Raise, Path: number, Data: "5"}, nil, "10\n"},
		{Action{Op: Raise, Path: number, Data: "512"}, nil, "512"},
		{Action{Op: Raise, Path: number + "none", Data: "512", Optional: true}, nil, "512"},
		{Action{Op: Raise, Path: number + "none", Data: "512"}, unix.ENOENT, "512"},
		{Action{Op: Raise, Path: number, Data: "many"}, unix.EINVAL, "512"},
		{Action{Op: 77}, unix.EINVAL, "512"},
	} {
		err := c.a.Do()
		if b, _ := os.ReadFile(number); err != c.want || string(b) != c.number {
			t.Errorf("%q.Do() = %v, the number is %q; want %v, %q", c.a, err, b, c.want, c.number)
		}
	}
	if to, err := os.Readlink(filepath.Join(dir, "l")); to != "x" {
		t.Errorf("the link leads to %q, %v; want x", to, err)
	}
}
