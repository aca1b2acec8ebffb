package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// bench is one run.
type bench struct {
	o      options
	self   string
	fleet  []member
	ledger *ledger
	quiet  sync.RWMutex // held by whoever needs the workload to rest
	began  time.Time
	took   time.Duration
	load   [2]string // before and after
	rounds int
	times  map[attack][]time.Duration
	steps  [2][]time.Duration // of kills: until the process was gone, and from there to the answer
	memory [2]memory
	base   map[string]life // of the members that nobody touches
	blind  int             // services of which damage took the last record, and which the manager lost sight of
	noteNo int
	talked int // services that had their turn in talk
	counts struct {
		jobs, unacknowledged, exits, connections, full, notifications atomic.Int64
	}
}

func newBench(o options) (*bench, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b := &bench{o: o, self: self, ledger: &ledger{}, times: make(map[attack][]time.Duration), base: make(map[string]life)}
	b.fleet = fleet(o.services, o.churn, o.clients, b.rng(0))
	if o.verbose {
		b.ledger.told = func(f finding) { b.say("LOST: %s: %s: %s", f.Loss, f.Unit, f.Text) }
	}
	return b, nil
}

// rng is one of the sources of choices; each user has its own, so that their timing does not matter.
func (b *bench) rng(n uint64) *rand.Rand { return rand.New(rand.NewPCG(b.o.seed, n)) }

func (b *bench) say(format string, args ...any) {
	if b.o.verbose {
		fmt.Fprintf(os.Stderr, "torture: "+format+"\n", args...)
	}
}

// torture does it all but for the removal. An error says that it could not be tried.
func (b *bench) torture(ctx context.Context) error {
	if err := b.install(ctx); err != nil {
		return err
	}
	b.say("%d services run", len(b.fleet))
	b.memory[0] = b.restingMemory(ctx)
	b.load[0] = loadAverage()
	b.began = time.Now()
	working, stopWorking := context.WithCancel(context.Background())
	defer stopWorking()
	var workers, clients sync.WaitGroup
	knocking, stopKnocking := context.WithCancel(context.Background())
	defer stopKnocking()
	for i := range b.o.workers {
		var mine []member
		for j, m := range b.churned() {
			if j%b.o.workers == i {
				mine = append(mine, m)
			}
		}
		workers.Go(func() { b.worker(working, mine, b.rng(100+uint64(i))) })
	}
	for i := range b.o.clients {
		clients.Go(func() { b.knock(knocking, b.rng(1000+uint64(i))) })
	}
	b.attackAll(ctx)
	stopWorking()
	workers.Wait() // with clients, whose knocking starts services
	b.verifyAll()
	stopKnocking()
	clients.Wait()
	b.took = time.Since(b.began)
	b.load[1] = loadAverage()
	b.memory[1] = b.restingMemory(ctx)
	return ctx.Err()
}

func (b *bench) churned() (list []member) {
	for _, m := range b.fleet {
		if m.churn {
			list = append(list, m)
		}
	}
	return list
}

// install removes what an earlier run left, and starts the fleet.
func (b *bench) install(ctx context.Context) error {
	c := b.connect()
	defer c.Close()
	if _, err := c.SystemState(ctx); err != nil {
		return err
	}
	if _, err := b.findCore(0); err != nil {
		return err
	}
	if err := b.remove(); err != nil {
		return err
	}
	for _, d := range [...]string{"log", "ctl", "sock", "pid"} {
		if err := os.MkdirAll(filepath.Join(b.o.dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(unitDir, 0o755); err != nil {
		return err
	}
	for name, text := range files(b.fleet, b.self, b.o.dir) {
		if err := os.WriteFile(filepath.Join(unitDir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := c.Reload(ctx); err != nil {
		return fmt.Errorf("cannot have the manager read the unit files: %w", err)
	}
	b.say("starting %d services", len(b.fleet))
	limit, stop := context.WithTimeout(ctx, b.o.patience+time.Duration(len(b.fleet))*100*time.Millisecond)
	defer stop()
	j, err := c.Enqueue(limit, "Start", targetUnit, "replace")
	if err == nil {
		_, err = c.Wait(limit, j)
	}
	if err != nil {
		return fmt.Errorf("cannot start the services: %w", err)
	}
	return b.awaitFleet(limit)
}

// awaitFleet waits until every service runs, and remembers which process it is.
func (b *bench) awaitFleet(ctx context.Context) error {
	for _, m := range b.fleet {
		for {
			l, err := readLife(b.o.dir, m.name)
			if err != nil {
				return err
			}
			if l.starts == 1 && (l.alive || m.kind == kindOneshot) {
				b.base[m.name] = l
				break
			}
			if ctx.Err() != nil || l.starts > 1 {
				return fmt.Errorf("%s, a %s service, did not start: it was started %d times", m.unit(), m.kind, l.starts)
			}
			pause(ctx, 5*time.Millisecond)
		}
	}
	return nil
}

// remove stops and deletes everything that is called torture.
func (b *bench) remove() error {
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
	defer stop()
	c := b.connect()
	defer c.Close()
	var errs []error
	units, err := c.Units(ctx, nil, []string{prefix + "*", sliceUnit})
	errs = append(errs, err)
	for _, kinds := range [...]string{".target", ".socket", ".service", ".slice"} { // sockets first, or clients start services again
		var jobs []func() error
		for _, u := range units {
			if !strings.HasSuffix(u.Name, kinds) || u.Active == "inactive" || u.Active == "failed" {
				continue
			}
			j, err := c.Enqueue(ctx, "Stop", u.Name, "replace")
			if err != nil {
				errs = append(errs, fmt.Errorf("cannot stop %s: %w", u.Name, err))
				continue
			}
			jobs = append(jobs, func() error { _, err := c.Wait(ctx, j); return err })
		}
		for _, wait := range jobs {
			errs = append(errs, wait())
		}
	}
	left, err := filepath.Glob(filepath.Join(unitDir, prefix+"*"))
	errs = append(errs, err)
	for _, path := range left {
		errs = append(errs, os.Remove(path))
	}
	errs = append(errs, os.RemoveAll(b.o.dir))
	for _, u := range units {
		if u.Active == "failed" || u.Load == "error" {
			errs = append(errs, c.ResetFailed(ctx, u.Name))
		}
	}
	if len(left) > 0 {
		for _, u := range units {
			_ = c.ResetFailed(ctx, u.Name) // those that failed since; the others say no
		}
		errs = append(errs, c.Reload(ctx))
	}
	return errors.Join(errs...)
}

// verifySteady looks at the services that nobody touches: the same processes must run.
func (b *bench) verifySteady() {
	for _, m := range b.fleet {
		if m.churn {
			continue
		}
		l, err := readLife(b.o.dir, m.name)
		if err != nil {
			b.ledger.add(finding{Loss: lostSight, Unit: m.unit(), Text: err.Error()})
			continue
		}
		if found := facts(m, order{verb: verbNone}, b.base[m.name], l); len(found) > 0 {
			b.ledger.addAll(found)
			b.base[m.name] = l // each loss counts once
		}
	}
}

// verifyAll compares at the end what the manager says of every service with what runs.
func (b *bench) verifyAll() {
	b.verifySteady()
	c := b.connect()
	defer c.Close()
	for _, m := range b.fleet {
		before, err := readLife(b.o.dir, m.name)
		if err == nil {
			b.ledger.addAll(b.settle(c, m, order{verb: verbNone}, before, b.o.patience))
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), b.o.patience)
	defer stop()
	jobs, err := c.Jobs(ctx)
	if err != nil {
		b.ledger.add(finding{Loss: lostCore, Text: err.Error()})
	}
	for _, j := range jobs {
		if strings.HasPrefix(j.Unit, prefix) {
			b.ledger.add(finding{Loss: lostJob, Unit: j.Unit, Text: fmt.Sprintf("job %d (%s) is still %s", j.ID, j.Type, j.State)})
		}
	}
}
