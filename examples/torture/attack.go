package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/client"
)

// attack is one way to hurt the core.
type attack string

const (
	attackKill    attack = "kill"
	attackStorm   attack = "storm"
	attackUpgrade attack = "upgrade"
	attackCorrupt attack = "corrupt"
	attackStop    attack = "stop"
)

// weights say how often each attack comes, as a flag.
type weights map[attack]int

// String implements flag.Value.
func (w weights) String() string {
	var list []string
	for _, a := range slices.Sorted(maps.Keys(w)) {
		list = append(list, fmt.Sprintf("%s:%d", a, w[a]))
	}
	return strings.Join(list, ",")
}

// Set implements flag.Value.
func (w *weights) Set(text string) error {
	next := weights{}
	for item := range strings.SplitSeq(text, ",") {
		name, weight, has := strings.Cut(strings.TrimSpace(item), ":")
		n := 1
		if has {
			var err error
			if n, err = strconv.Atoi(weight); err != nil || n < 0 || n > 1000 {
				return fmt.Errorf("%q is no weight", weight)
			}
		}
		switch a := attack(name); a {
		case attackKill, attackStorm, attackUpgrade, attackCorrupt, attackStop:
			next[a] = n
		default:
			return fmt.Errorf("there is no attack %q", name)
		}
	}
	if next.sum() == 0 {
		return errors.New("no attack has a weight")
	}
	*w = next
	return nil
}

func (w weights) sum() (n int) {
	for _, v := range w {
		n += v
	}
	return n
}

// pick chooses one; the order is fixed, so that the seed alone decides.
func (w weights) pick(rng *rand.Rand) attack {
	n := rng.IntN(w.sum())
	for _, a := range slices.Sorted(maps.Keys(w)) {
		if n < w[a] {
			return a
		}
		n -= w[a]
	}
	return attackKill
}

// checkEvery is how many rounds pass between two looks at all steady services.
const checkEvery = 10

// attackAll goes through the rounds.
func (b *bench) attackAll(ctx context.Context) {
	rng := b.rng(1)
	for b.rounds = 0; ctx.Err() == nil; b.rounds++ {
		if b.o.limit > 0 && time.Since(b.began) > b.o.limit || b.o.limit == 0 && b.rounds >= b.o.rounds {
			return
		}
		a := b.o.attacks.pick(rng)
		wait := time.Duration(rng.Int64N(int64(b.o.spacing) + 1))
		again := time.Duration(0)
		if rng.IntN(10) == 0 {
			again = time.Duration(rng.IntN(20000)+1) * time.Microsecond
		}
		damage := rng.Uint64()
		pause(ctx, wait)
		b.ledger.begin(b.rounds)
		took, err := b.strike(a, again, damage)
		if err != nil {
			b.ledger.add(finding{Loss: lostCore, Text: fmt.Sprintf("%s: %v", a, err)})
			return
		}
		b.times[a] = append(b.times[a], took)
		if b.rounds%checkEvery == checkEvery-1 {
			b.verifySteady()
			b.say("round %d: %s, answered after %v", b.rounds+1, a, took.Round(time.Millisecond))
		}
	}
}

// strike does one attack and gives the time from it to the first answer of the next core.
func (b *bench) strike(a attack, again time.Duration, damage uint64) (time.Duration, error) {
	switch a {
	case attackStorm:
		return b.storm()
	case attackUpgrade:
		return b.upgrade()
	case attackCorrupt:
		return b.corrupt(damage)
	case attackStop:
		return b.hang()
	}
	return b.kill(again)
}

// victim is one core process.
type victim struct{ pid, fd int }

// seize finds the core and takes hold of it.
func (b *bench) seize() (victim, error) {
	for range 100 {
		pid, err := b.findCore(0)
		if err != nil {
			return victim{}, err
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err == nil {
			return victim{pid, fd}, nil
		}
		if err != unix.ESRCH { // it has just died by itself
			return victim{}, fmt.Errorf("cannot take hold of the core: %w", err)
		}
	}
	return victim{}, errors.New("cannot take hold of the core: each dies at once")
}

func (v victim) release() { _ = unix.Close(v.fd) }

func (v victim) signal(s unix.Signal) error {
	if err := unix.PidfdSendSignal(v.fd, s, nil, 0); err != nil {
		return fmt.Errorf("cannot send %v to the core: %w", s, err)
	}
	return nil
}

// gone waits until it is dead.
func (v victim) gone(limit time.Duration) error {
	end := time.Now().Add(limit)
	for {
		fds := []unix.PollFd{{Fd: int32(v.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(time.Until(end)/time.Millisecond)+1)
		switch {
		case n > 0:
			return nil
		case err != nil && err != unix.EINTR:
			return err
		case time.Now().After(end):
			return fmt.Errorf("core %d is still there", v.pid)
		}
	}
}

// answers waits for the first answer of a core; the one before must be dead. Init holds the
// socket: nobody who connects may be refused.
func (b *bench) answers() error {
	ctx, stop := context.WithTimeout(context.Background(), b.o.patience)
	defer stop()
	for {
		c := client.New(client.Config{Resume: -1, Greeting: b.o.patience})
		_, err := c.SystemState(ctx)
		if e := c.Close(); err == nil {
			return e
		}
		if refused(err) {
			b.ledger.add(finding{Loss: lostConnection, Text: "the control API: " + err.Error()})
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no core answers: %w", err)
		}
		pause(ctx, time.Millisecond) // it died while it greeted
	}
}

// kill is the plain attack; with again the next core is killed as well, that long after.
func (b *bench) kill(again time.Duration) (time.Duration, error) {
	v, err := b.seize()
	if err != nil {
		return 0, err
	}
	defer v.release()
	t := time.Now()
	if err := errors.Join(v.signal(unix.SIGKILL), v.gone(b.o.patience)); err != nil {
		return 0, err
	}
	if again > 0 {
		pause(context.Background(), again)
		if next, err := b.findCore(v.pid); err == nil {
			t = time.Now()
			if unix.Kill(next, unix.SIGKILL) == nil {
				b.say("round %d: killed core %d in its recovery", b.rounds+1, next)
			}
		}
	}
	dead := time.Now()
	ctx, stop := context.WithTimeout(context.Background(), b.o.patience)
	defer stop()
	said := b.talk(ctx)
	if err := b.answers(); err != nil {
		return 0, err
	}
	done := time.Now()
	b.heard(said, done)
	if again == 0 {
		b.steps[0] = append(b.steps[0], dead.Sub(t))
		b.steps[1] = append(b.steps[1], done.Sub(dead))
	}
	return done.Sub(t), nil
}

// upgrade has the core replaced.
func (b *bench) upgrade() (time.Duration, error) {
	v, err := b.seize()
	if err != nil {
		return 0, err
	}
	defer v.release()
	c := b.connect()
	defer c.Close()
	ctx, stop := context.WithTimeout(context.Background(), b.o.patience)
	defer stop()
	t := time.Now()
	if err := errors.Join(c.Reexec(ctx), v.gone(b.o.patience)); err != nil {
		return 0, fmt.Errorf("cannot replace the core: %w", err)
	}
	err = b.answers()
	return time.Since(t), err
}

// hang stops the core and asks: init has to notice.
func (b *bench) hang() (time.Duration, error) {
	v, err := b.seize()
	if err != nil {
		return 0, err
	}
	defer v.release()
	t := time.Now()
	if err := v.signal(unix.SIGSTOP); err != nil {
		return 0, err
	}
	if err := v.gone(b.o.patience); err != nil {
		return 0, errors.Join(err, v.signal(unix.SIGCONT))
	}
	err = b.answers()
	return time.Since(t), err
}
