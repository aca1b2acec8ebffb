package control

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/client"
	"github.com/sysmaster-go/sysmaster/core/client/cli"
	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/service"
	"github.com/sysmaster-go/sysmaster/unit/slice"
	"github.com/sysmaster-go/sysmaster/unit/target"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
)

// realCore is the real engine on a simulated machine, behind a real socket. When the core crashes, so
// do its connections, and what clients sent to it is gone.
type realCore struct {
	t    *testing.T
	m    *sim.Machine
	path string
	stop chan struct{}
	done chan struct{}
	wake chan struct{}

	to    *Server
	ended chan error

	mu    sync.Mutex
	view  *core.View
	queue []*core.Request
	crash int // checkpoints from the next request to the crash; -1: none
}

func newRealCore(t *testing.T, files map[string]string, programs map[string]sim.Program) *realCore {
	t.Helper()
	tree := fstest.MapFS{}
	for n, text := range files {
		tree["etc/systemd/system/"+n] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	kinds := make(map[unit.Kind]*unit.Type)
	for _, k := range []unit.Type{service.Type(service.Options{}), target.Type(), slice.Type()} {
		kinds[k.Kind] = &k
	}
	facts := unitfile.SystemFacts()
	facts.HostName, facts.MachineID, facts.BootID, facts.KernelRelease = "sim", strings.Repeat("a", 32), strings.Repeat("b", 32), "6.1.0"
	loader := unitfile.NewLoader(unitfile.Config{FS: tree, Facts: facts, Types: kinds})
	r := &realCore{t: t, path: filepath.Join(t.TempDir(), "private"), stop: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1), crash: -1}
	m, err := sim.New(sim.Config{Types: kinds, Load: loader.Load, Boot: "default.target", Mode: unit.ModeReplace, Observe: func(ev core.Event) {
		if r.to != nil {
			r.to.Publish(ev)
		}
	}})
	require.NoError(t, err)
	r.m, r.view = m, m.Engine().View()
	for p, prog := range programs {
		m.Program(p, prog)
	}
	r.serve()
	go r.run()
	return r
}

// close ends the engine's goroutine and its door.
func (r *realCore) close() {
	close(r.stop)
	<-r.done
	require.NoError(r.t, r.to.Close())
	<-r.ended
}

// serve opens the door of a new core.
func (r *realCore) serve() {
	s, err := New(Config{Manager: r, Allow: func(uid int) bool { return uid == os.Getuid() }})
	if err != nil {
		panic(err)
	}
	l, err := Listen(r.path)
	if err != nil {
		panic(err)
	}
	ended := make(chan error, 1)
	r.to, r.ended = s, ended
	go func() { ended <- s.Serve(l) }()
}

// View and Submit make it a Manager.
func (r *realCore) View() *core.View {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view
}

func (r *realCore) Submit(q *core.Request) error {
	r.mu.Lock()
	r.queue = append(r.queue, q)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return nil
}

// crashAfter lets the core die n checkpoints after the next request has come.
func (r *realCore) crashAfter(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.crash = n
}

func (r *realCore) takeRequests() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) > 0 && r.crash >= 0 {
		r.m.CrashAfter(r.crash)
		r.crash = -1
	}
	for _, q := range r.queue {
		r.m.Submit(q)
	}
	r.queue = nil
}

func (r *realCore) publish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.view = r.m.Engine().View()
}

// run is the engine's goroutine. While nothing can happen it waits for requests.
func (r *realCore) run() {
	defer close(r.done)
	for {
		r.takeRequests()
		served := r.m.Engine()
		more, err := r.m.Step()
		if err != nil {
			panic(err)
		}
		r.publish()
		if r.m.Engine() != served {
			_ = r.to.Close()
			<-r.ended
			r.mu.Lock()
			r.queue = nil // they died with the core that they were sent to
			r.mu.Unlock()
			r.serve()
			continue
		}
		if more {
			select {
			case <-r.stop:
				return
			default:
				continue
			}
		}
		select {
		case <-r.wake:
		case <-r.stop:
			return
		}
	}
}

// TestResumeExactly: the core is killed at each of the points that follow a client's command. The client
// connects again, asks again, and hears the true result of the one restart.
func TestResumeExactly(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for n := range 30 {
		r := newRealCore(t, map[string]string{
			"default.target": "[Unit]\nWants=web.service\n", "shutdown.target": "[Unit]\n", "sysinit.target": "[Unit]\n", "basic.target": "[Unit]\n",
			"web.service": "[Service]\nExecStart=/bin/web\nExecStop=/bin/stop\n", "bad.service": "[Service]\nType=oneshot\nExecStart=/bin/bad\n",
		}, map[string]sim.Program{"/bin/web": sim.Daemon(), "/bin/stop": sim.Oneshot(time.Second), "/bin/bad": sim.Failing(time.Second, 7)})
		c := client.New(client.Config{Path: r.path})
		j, err := c.Enqueue(ctx, client.Start, "web.service", "replace")
		require.NoError(t, err)
		_, err = c.Wait(ctx, j)
		require.NoError(t, err)
		for _, want := range []struct{ unit, result string }{{"web.service", "done"}, {"bad.service", "failed"}} {
			r.crashAfter(n)
			j, err := c.Enqueue(ctx, client.Restart, want.unit, "replace")
			require.NoError(t, err, n)
			out, err := c.Wait(ctx, j)
			require.NoError(t, err, n)
			require.Equal(t, client.Outcome{Result: want.result}, out, "%s, crash at %d", want.unit, n)
		}
		require.NoError(t, c.Close())
		r.close()
		require.Equal(t, 2, r.m.Runs("/bin/web"), n)
		require.Equal(t, 1, r.m.Runs("/bin/bad"), n)
	}
}

// TestSctlWhy: what a client did is told by its name, in words and as JSON, also after a crash.
func TestSctlWhy(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r := newRealCore(t, map[string]string{
		"default.target": "[Unit]\nWants=web.service\n", "shutdown.target": "[Unit]\n", "sysinit.target": "[Unit]\n", "basic.target": "[Unit]\n",
		"web.service": "[Service]\nExecStart=/bin/web\n", "idle.service": "[Service]\nExecStart=/bin/idle\n",
	}, map[string]sim.Program{"/bin/web": sim.Daemon()})
	defer r.close()
	sctl := func(args ...string) (string, string, int) {
		var out, errs bytes.Buffer
		code := cli.Run(ctx, args, cli.Env{Stdout: &out, Stderr: &errs, Socket: r.path, Zone: time.UTC, Now: time.Now})
		return out.String(), errs.String(), code
	}
	_, errs, code := sctl("start", "web") // waits for the boot's job, or finds nothing to do
	require.Equal(t, 0, code, errs)
	out, _, code := sctl("why", "web")
	require.Equal(t, 0, code)
	require.Contains(t, out, "web.service was started ")
	require.Contains(t, out, " because default.target pulled it in (Wants=), /etc/systemd/system/default.target:2\n  default.target was started ")
	require.Contains(t, out, "because the machine booted")
	r.crashAfter(6)
	_, errs, code = sctl("restart", "web")
	require.Equal(t, 0, code, errs)
	out, _, _ = sctl("why", "web")
	require.Contains(t, out, "web.service was restarted ")
	require.Contains(t, out, "because control.test (PID "+strconv.Itoa(os.Getpid())+", user "+strconv.Itoa(os.Getuid())+") asked: Enqueue restart web.service replace\n")
	out, _, _ = sctl("status", "web")
	require.Contains(t, out, "Why: was restarted because control.test")
	out, _, code = sctl("why", "--json", "web")
	require.Equal(t, 0, code)
	var rows []map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &rows))
	require.Equal(t, "client", rows[0]["Cause"])
	require.InDelta(t, os.Getpid(), rows[0]["CallerPID"], 0)
	out, _, code = sctl("why", "idle")
	require.Equal(t, 0, code)
	require.Contains(t, out, "nothing has asked for it")
	_, errs, code = sctl("why", "nothere")
	require.Equal(t, 4, code)
	require.Contains(t, errs, "could not be found")
}
