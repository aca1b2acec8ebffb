package spawn

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// BenchmarkSpawn is a whole life: start, exec, exit, reap.
func BenchmarkSpawn(b *testing.B) {
	keep := func(c *execspec.Context) { c.KeyringMode = execspec.KeyringInherit }
	for _, c := range []struct {
		name   string
		force  bool
		change func(*execspec.Context)
	}{
		{"direct", false, keep},
		{"thread", false, func(*execspec.Context) {}},
		{"shim", true, keep},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := newSpawner(b)
			if c.force {
				s.indirect = []string{"forced by the benchmark"}
			}
			ctx := context()
			c.change(ctx)
			req := request(ctx, unit.Command{Path: "/bin/true", Argv: []string{"/bin/true"}})
			for b.Loop() {
				life(b, s, req)
			}
		})
	}
	b.Run("baseline", func(b *testing.B) { // what any program pays: vfork and exec alone
		for b.Loop() {
			pid, err := syscall.ForkExec("/bin/true", []string{"/bin/true"}, &syscall.ProcAttr{})
			if err != nil {
				b.Fatal(err)
			}
			reap(b, pid)
		}
	})
}

// BenchmarkStart is how long Start holds its caller.
func BenchmarkStart(b *testing.B) {
	for _, force := range []bool{false, true} {
		name := map[bool]string{false: "thread", true: "shim"}[force]
		b.Run(name, func(b *testing.B) {
			s := newSpawner(b)
			if force {
				s.indirect = []string{"forced by the benchmark"}
			}
			req := request(context(), unit.Command{Path: "/bin/true", Argv: []string{"/bin/true"}})
			for b.Loop() {
				p, err := s.Start(req)
				b.StopTimer()
				if err != nil {
					b.Fatal(err)
				}
				end(b, p)
				b.StartTimer()
			}
		})
	}
}

func life(b *testing.B, s *Spawner, req Request) {
	p, err := s.Start(req)
	if err != nil {
		b.Fatal(err)
	}
	end(b, p)
}

func end(b *testing.B, p Process) {
	reap(b, p.PID)
	unix.Close(p.PidFD)
	if p.StatusFD >= 0 {
		unix.Close(p.StatusFD)
	}
}

func reap(b *testing.B, pid int) {
	var ws syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &ws, 0, nil)
		if err == nil {
			break
		}
		if err != syscall.EINTR {
			b.Fatal(err)
		}
	}
	if ws.ExitStatus() != 0 {
		b.Fatal(ws)
	}
}
