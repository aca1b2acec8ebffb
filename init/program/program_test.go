package program

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Only regular files are opened, none is waited for, and the descriptor stays out of the way.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("file"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(path("fifo"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"file": nil, "fifo": unix.EACCES, ".": unix.EACCES, "none": unix.ENOENT} {
		fd, err := Open(path(name))
		if err != want || err == nil && fd < 16 {
			t.Errorf("Open(%s) = %d, %v; want %v", name, fd, err, want)
		}
		p := Program{FD: fd, Path: name}
		p.Release()
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); fd > 0 && err != unix.EBADF || p != (Program{}) {
			t.Errorf("Release leaves %d open: %v", fd, err)
		}
	}
}

// A file is the same one through whatever descriptor it is looked at.
func TestIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	one, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(one)
	two, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(two)
	self, err := OpenSelf()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(self)
	if Identity(one) != Identity(two) || Identity(one) == Identity(self) {
		t.Errorf("identities %v, %v, and of another file %v", Identity(one), Identity(two), Identity(self))
	}
}
