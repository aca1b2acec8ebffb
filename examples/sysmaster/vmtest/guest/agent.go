package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest/wire"
)

const (
	agentPort  = "/dev/ttyS1"
	maxTimeout = 10 * time.Minute
	maxActive  = 64 // requests at once; more are refused
)

// server answers requests from one port; each request has its own goroutine.
type server struct {
	mu    sync.Mutex // guards port's write side
	port  io.ReadWriter
	ready *os.File // the workload's ready pipe, opened for both ways so that writers never block or fail
	slots chan struct{}
	load  loader
}

// agent returns only when the port is gone.
func agent() error {
	port, err := openPort(agentPort)
	if err != nil {
		return err
	}
	ready, err := os.OpenFile(readyPipe, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("cannot open the ready pipe: %w", err)
	}
	s := &server{port: port, ready: ready, slots: make(chan struct{}, maxActive)}
	s.answer(wire.Answer{})
	r := wire.NewReader(port)
	for {
		var q wire.Request
		var syntax *wire.SyntaxError
		err := r.Next(&q)
		switch {
		case errors.As(err, &syntax), errors.Is(err, wire.ErrTooLong):
			kmsg(4, err.Error())
		case err != nil:
			return fmt.Errorf("cannot read requests: %w", err)
		default:
			s.start(q)
		}
	}
}

// openPort opens a serial port in raw mode, not as the controlling terminal.
func openPort(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open the agent's port: %w", err)
	}
	raw := unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200, Ispeed: unix.B115200, Ospeed: unix.B115200}
	raw.Cc[unix.VMIN] = 1
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &raw); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot set up the agent's port: %w", err)
	}
	return f, nil
}

func (s *server) start(q wire.Request) {
	select {
	case s.slots <- struct{}{}:
	default:
		s.answer(wire.Answer{ID: q.ID, Err: "cannot take the request: too many at once"})
		return
	}
	go func() {
		defer func() { <-s.slots }()
		s.answer(s.handle(q))
	}()
}

func (s *server) answer(a wire.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := wire.Write(s.port, a); err != nil {
		kmsg(3, err.Error())
	}
}

func (s *server) handle(q wire.Request) wire.Answer {
	timeout := time.Duration(q.TimeoutMS) * time.Millisecond
	if timeout <= 0 || timeout > maxTimeout {
		timeout = maxTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	a, err := s.do(ctx, q)
	if err != nil {
		a.Err = err.Error()
	}
	a.ID = q.ID
	return a
}

func (s *server) do(ctx context.Context, q wire.Request) (wire.Answer, error) {
	switch q.Op {
	case wire.OpExec:
		return runProgram(ctx, q.Argv)
	case wire.OpRead:
		return readFile(q.Path)
	case wire.OpProcs:
		procs, err := listProcs()
		return wire.Answer{Procs: procs}, err
	case wire.OpKill:
		return kill(q)
	case wire.OpDial:
		return dial(ctx, q)
	case wire.OpReady:
		return s.awaitReady(ctx)
	case wire.OpLoadStart:
		return wire.Answer{}, s.load.start(q.Address)
	case wire.OpLoadStop:
		return s.load.stop()
	case wire.OpOutage:
		return outage(ctx, q)
	}
	return wire.Answer{}, fmt.Errorf("cannot do %q: no such operation", q.Op)
}

// bounded keeps the first wire.MaxOutput bytes that are written to it.
type bounded struct {
	b   []byte
	cut bool
}

// Write implements io.Writer; it never fails, so that the program is not disturbed by its output being cut.
func (w *bounded) Write(p []byte) (int, error) {
	room := wire.MaxOutput - len(w.b)
	if len(p) > room {
		w.cut = true
	}
	w.b = append(w.b, p[:min(len(p), room)]...)
	return len(p), nil
}

func runProgram(ctx context.Context, argv []string) (wire.Answer, error) {
	if len(argv) == 0 {
		return wire.Answer{}, errors.New("cannot run: no program named")
	}
	var out, errOut bounded
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &errOut, "/"
	cmd.WaitDelay = time.Second // a background grandchild may keep the pipes open
	err := cmd.Run()
	a := wire.Answer{Exit: -1, Stdout: out.b, Stderr: errOut.b, Truncated: out.cut || errOut.cut}
	if cmd.ProcessState != nil {
		a.Exit = cmd.ProcessState.ExitCode()
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return a, fmt.Errorf("cannot finish %q: %w", argv, ctx.Err())
	case err == nil, errors.As(err, &exit) && exit.Exited(), errors.Is(err, exec.ErrWaitDelay):
		return a, nil
	}
	return a, fmt.Errorf("cannot run %q: %w", argv, err)
}

func readFile(path string) (wire.Answer, error) {
	f, err := os.Open(path)
	if err != nil {
		return wire.Answer{}, fmt.Errorf("cannot read: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, wire.MaxOutput+1))
	if err != nil {
		return wire.Answer{}, fmt.Errorf("cannot read: %w", err)
	}
	n := min(len(b), wire.MaxOutput)
	return wire.Answer{Stdout: b[:n], Truncated: n < len(b)}, nil
}

func dial(ctx context.Context, q wire.Request) (wire.Answer, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, q.Network, q.Address)
	if err != nil {
		return wire.Answer{}, fmt.Errorf("cannot connect: %w", err)
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return wire.Answer{}, fmt.Errorf("cannot set a deadline: %w", err)
		}
	}
	if _, err := c.Write(q.Data); err != nil {
		return wire.Answer{}, fmt.Errorf("cannot send: %w", err)
	}
	var got []byte
	one := make([]byte, 1)
	for len(got) < 4096 && (len(got) == 0 || got[len(got)-1] != '\n') {
		if _, err := c.Read(one); err != nil {
			return wire.Answer{Stdout: got}, fmt.Errorf("cannot receive: %w", err)
		}
		got = append(got, one[0])
	}
	return wire.Answer{Stdout: got}, nil
}

// awaitReady takes one byte from the ready pipe.
func (s *server) awaitReady(ctx context.Context) (wire.Answer, error) {
	deadline, _ := ctx.Deadline()
	if err := s.ready.SetReadDeadline(deadline); err != nil {
		return wire.Answer{}, fmt.Errorf("cannot set a deadline: %w", err)
	}
	if _, err := s.ready.Read(make([]byte, 1)); err != nil {
		return wire.Answer{}, fmt.Errorf("cannot await the workload: %w", err)
	}
	return wire.Answer{}, nil
}
