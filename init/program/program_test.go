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
		p, err := Load(path(name))
		fd := p.File.FD
		if err != want || err == nil && (fd < 16 || p.File.Check() != nil) {
			t.Errorf("Load(%s) = %+v, %v; want %v", name, p, err, want)
		}
		p.Release()
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); fd > 0 && err != unix.EBADF || p.Held() {
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
	one, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Release()
	two, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	defer two.Release()
	fd, err := OpenSelf()
	if err != nil {
		t.Fatal(err)
	}
	self, err := Hold(fd, "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Release()
	if a, b, c := one.File.Identity(), two.File.Identity(), self.File.Identity(); a != b || a == c {
		t.Errorf("identities %v, %v, and of another file %v", a, b, c)
	}
}
