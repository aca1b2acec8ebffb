package keep

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hungFile gives a file of a FUSE server that opens it and never answers again (kernel
// include/uapi/linux/fuse.h). End its connection by closing the second descriptor.
func hungFile(t *testing.T) (file, server int) {
	t.Helper()
	server, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil || os.Getuid() != 0 {
		t.Skipf("needs root and /dev/fuse: %v", err)
	}
	point := filepath.Join(t.TempDir(), "hung")
	if err := os.WriteFile(point, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	serve := func() {
		b := make([]byte, 1<<17)
		for {
			n, err := unix.Read(server, b)
			if err == unix.EINTR || err == unix.ENOENT { // ENOENT: who asked was interrupted
				continue
			}
			if err != nil || n < 40 {
				return
			}
			var body []byte
			switch binary.NativeEndian.Uint32(b[4:]) {
			case 26: // INIT
				body = make([]byte, 64)
				binary.NativeEndian.PutUint32(body, 7)
				binary.NativeEndian.PutUint32(body[4:], 31)
				binary.NativeEndian.PutUint32(body[20:], 4096) // max_write
			case 3: // GETATTR
				body = make([]byte, 104)
				body[0] = 100
				binary.NativeEndian.PutUint64(body[16:], 1)
				binary.NativeEndian.PutUint32(body[16+60:], unix.S_IFREG|0o644)
				binary.NativeEndian.PutUint32(body[16+64:], 1)
			case 14: // OPEN
				body = make([]byte, 16)
			default: // FLUSH: no answer
				continue
			}
			head := make([]byte, 16)
			binary.NativeEndian.PutUint32(head, uint32(16+len(body)))
			copy(head[8:], b[8:16])
			_, _ = unix.Write(server, append(head, body...)) // ENOENT as above
		}
	}
	type result struct {
		fd  int
		err error
	}
	opened := make(chan result)
	go func() {
		runtime.LockOSThread() // ends with the goroutine, and its mounts with it
		var r result
		if r.err = unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); r.err == nil {
			r.err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if r.err == nil {
			r.err = unix.Mount("hung", point, "fuse", 0, "fd="+strconv.Itoa(server)+",rootmode=100644,user_id=0,group_id=0")
		}
		if r.err == nil {
			go serve() // before the mount there is nothing to read
		}
		for ok := r.err == nil; ok; ok = r.err == unix.EINTR { // the runtime's signals
			r.fd, r.err = unix.Open(point, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		opened <- r
	}()
	select {
	case r := <-opened:
		if r.err != nil {
			_ = unix.Close(server)
			t.Skipf("no FUSE mount to be had here: %v", r.err)
		}
		return r.fd, server
	case <-time.After(20 * time.Second):
		t.Fatal("the FUSE server of the test does not work")
	}
	return -1, -1
}

// A descriptor whose close hangs stops neither the caller nor what tells its peer by closing.
func TestCloseThatHangs(t *testing.T) {
	file, server := hungFile(t)
	more := make([]int, closersMax+3)
	for i := range more {
		var err error
		if more[i], err = unix.Dup(file); err != nil {
			t.Fatal(err)
		}
	}
	s := NewFDs(10)
	if e := s.Put("hung", file); e != 0 {
		t.Fatal(e)
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	s.Put("pipe", pipe[1])
	start := time.Now()
	s.Drop("hung")
	for _, fd := range more {
		s.Close(fd)
	}
	s.Drop("pipe")
	if n, err := unix.Read(pipe[0], make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("read from the pipe = %d, %v; want its end", n, err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("closing took %v", d)
	}
	waiting := s.Backlog()
	t.Logf("%d closes hang, %d wait behind them, the caller goes on", closersMax, waiting)
	if waiting == 0 {
		t.Error("nothing waits: the close did not hang, and this test shows nothing")
	}
	_ = unix.Close(server) // the kernel ends what waits
	for deadline := time.Now().Add(20 * time.Second); s.Backlog() > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors still wait", s.Backlog())
		}
		_, _ = unix.Poll(nil, 1)
	}
	_ = unix.Close(pipe[0])
}
