package vmtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest/wire"
)

// ErrGone is returned when the machine ended before it answered.
var ErrGone = errors.New("cannot ask the guest: the machine ended")

// agent is our end of the line to the agent in the guest.
type agent struct {
	writing sync.Mutex // held while a request is written
	conn    io.ReadWriter
	hello   chan struct{} // closed by the agent's greeting
	gone    chan struct{} // closed when the line ended

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan wire.Answer
}

func newAgent(conn io.ReadWriter) *agent {
	a := &agent{conn: conn, hello: make(chan struct{}), gone: make(chan struct{}), waiting: map[uint64]chan wire.Answer{}}
	go a.receive()
	return a
}

// receive hands answers to who waits for them. Lines that are no answers are dropped: before the agent set up its port, the
// terminal echoes.
func (a *agent) receive() {
	defer close(a.gone)
	r := wire.NewReader(a.conn)
	greeted := false
	for {
		var answer wire.Answer
		var syntax *wire.SyntaxError
		err := r.Next(&answer)
		switch {
		case errors.As(err, &syntax), errors.Is(err, wire.ErrTooLong):
			continue
		case err != nil:
			return
		}
		if answer.ID == 0 && !greeted {
			greeted = true
			close(a.hello)
			continue
		}
		a.mu.Lock()
		ch := a.waiting[answer.ID]
		delete(a.waiting, answer.ID)
		a.mu.Unlock()
		if ch != nil {
			ch <- answer
		}
	}
}

// ask sends q and waits for its answer. The guest gets the time that ctx has left, so that it gives up first and says why.
func (a *agent) ask(ctx context.Context, q wire.Request) (wire.Answer, error) {
	if deadline, ok := ctx.Deadline(); ok {
		q.TimeoutMS = max(1, int64(time.Until(deadline)*9/10/time.Millisecond))
	}
	ch := make(chan wire.Answer, 1)
	a.mu.Lock()
	a.last++
	q.ID = a.last
	a.waiting[q.ID] = ch
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.waiting, q.ID)
		a.mu.Unlock()
	}()
	a.writing.Lock()
	err := wire.Write(a.conn, q)
	a.writing.Unlock()
	if err != nil {
		return wire.Answer{}, errors.Join(ErrGone, err)
	}
	select {
	case answer := <-ch:
		if answer.Err != "" {
			return answer, errors.New("the guest says: " + answer.Err)
		}
		return answer, nil
	case <-a.gone:
		return wire.Answer{}, ErrGone
	case <-ctx.Done():
		return wire.Answer{}, fmt.Errorf("cannot get the guest's answer to %s %s: %w", q.Op, strings.Join(q.Argv, " "), ctx.Err())
	}
}

// AwaitAgent waits until the guest's initramfs did its work and the agent answers: the moment of the hand-over.
func (m *Machine) AwaitAgent(ctx context.Context) error {
	select {
	case <-m.agent.hello:
		return nil
	case <-m.agent.gone:
		return ErrGone
	case <-ctx.Done():
		return fmt.Errorf("cannot reach the guest's agent: %w", ctx.Err())
	}
}

// Result is what a program in the guest gave.
type Result struct {
	Exit           int
	Stdout, Stderr string
}

// Run runs a program in the guest as root. A program that fails is no error; one that cannot be run, is killed or is late is.
func (m *Machine) Run(ctx context.Context, argv ...string) (Result, error) {
	a, err := m.agent.ask(ctx, wire.Request{Op: wire.OpExec, Argv: argv})
	return Result{Exit: a.Exit, Stdout: string(a.Stdout), Stderr: string(a.Stderr)}, err
}

// Read gives a file of the guest, or its first 256 KiB.
func (m *Machine) Read(ctx context.Context, path string) (string, error) {
	a, err := m.agent.ask(ctx, wire.Request{Op: wire.OpRead, Path: path})
	return string(a.Stdout), err
}

// Procs lists the guest's processes.
func (m *Machine) Procs(ctx context.Context) ([]wire.Proc, error) {
	a, err := m.agent.ask(ctx, wire.Request{Op: wire.OpProcs})
	return a.Procs, err
}

// Kill signals one process of the guest.
func (m *Machine) Kill(ctx context.Context, pid, signal int) error {
	_, err := m.agent.ask(ctx, wire.Request{Op: wire.OpKill, PID: pid, Signal: signal})
	return err
}

// KillNamed signals every process of the guest with that command name except PID 1, and gives their ids, none being no error. It
// needs no program in the guest, so it is quick.
func (m *Machine) KillNamed(ctx context.Context, name string, signal int) ([]int, error) {
	a, err := m.agent.ask(ctx, wire.Request{Op: wire.OpKill, Name: name, Signal: signal})
	return a.PIDs, err
}

// Dial connects from inside the guest, sends data, and gives what comes back up to the first newline.
func (m *Machine) Dial(ctx context.Context, network, address, data string) (string, error) {
	a, err := m.agent.ask(ctx, wire.Request{Op: wire.OpDial, Network: network, Address: address, Data: []byte(data)})
	return string(a.Stdout), err
}

// AwaitReady waits until a workload reports that all of it runs.
func (m *Machine) AwaitReady(ctx context.Context) error {
	_, err := m.agent.ask(ctx, wire.Request{Op: wire.OpReady})
	return err
}

// StartLoad has the guest request http://address/ again and again until StopLoad.
func (m *Machine) StartLoad(ctx context.Context, address string) error {
	_, err := m.agent.ask(ctx, wire.Request{Op: wire.OpLoadStart, Address: address})
	return err
}

// StopLoad ends the requests and tells what became of them.
func (m *Machine) StopLoad(ctx context.Context) (wire.Load, error) {
	a, err := m.agent.ask(ctx, wire.Request{Op: wire.OpLoadStop})
	if err == nil && a.Load == nil {
		err = errors.New("cannot read the guest's answer: it has no report")
	}
	if err != nil {
		return wire.Load{}, err
	}
	return *a.Load, nil
}

// Outage signals every process with that name beside PID 1 ("": PID 1 itself) and gives the longest time that clients of the service
// manager then had to wait for an answer, within window and until there is one.
func (m *Machine) Outage(ctx context.Context, name string, signal int, window time.Duration) (time.Duration, error) {
	q := wire.Request{Op: wire.OpOutage, Name: name, Signal: signal, WindowMS: window.Milliseconds()}
	if name == "" {
		q.PID = 1
	}
	a, err := m.agent.ask(ctx, q)
	return time.Duration(a.OutageMS * float64(time.Millisecond)), err
}
