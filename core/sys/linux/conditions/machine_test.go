package conditions

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/condition"
)

func TestConcurrent(t *testing.T) {
	m := New()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, c := range []unit.Condition{{Type: "Virtualization", Param: "vm"}, {Type: "KernelCommandLine", Param: "quiet"}, {Type: "User", Param: "root"}} {
				if _, err := condition.Eval(c, m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestReadFile: what is no regular file, or too large, is an error and holds up nobody.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	fifo, large := filepath.Join(dir, "fifo"), filepath.Join(dir, "large")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, fileMax+1); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, path := range []string{fifo, large, dir, "/dev/zero", filepath.Join(dir, "nope")} {
			if data, err := New().ReadFile(path); err == nil {
				t.Errorf("ReadFile(%s) = %d bytes; want an error", path, len(data))
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("ReadFile hangs")
	}
}

func TestFacts(t *testing.T) {
	m := New()
	if n, err := m.CPUs(); n < 1 || err != nil {
		t.Errorf("CPUs() = %d, %v", n, err)
	}
	if n, err := m.Memory(); n < 1<<20 || err != nil {
		t.Errorf("Memory() = %d, %v", n, err)
	}
	id, err := m.Identity()
	if err != nil || int(id.UIDs[0]) != os.Getuid() || len(id.GIDs) == 0 {
		t.Errorf("Identity() = %+v, %v", id, err)
	}
	names, err := m.ReadDir("/", 2)
	if len(names) != 2 || err != nil {
		t.Errorf("ReadDir(/, 2) = %q, %v", names, err)
	}
	if fsys, err := m.FileSystem("/proc"); err != nil || !fsys.Root {
		t.Errorf("FileSystem(/proc) = %+v, %v; want the root of a mount", fsys, err)
	}
}
