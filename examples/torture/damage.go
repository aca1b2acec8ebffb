package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// corrupt stops the core, damages the end of its log and kills it. The workload rests
// meanwhile: what the last records said may honestly be lost.
func (b *bench) corrupt(seed uint64) (time.Duration, error) {
	b.quiet.Lock()
	defer b.quiet.Unlock()
	v, err := b.seize()
	if err != nil {
		return 0, err
	}
	defer v.release()
	if err := v.signal(unix.SIGSTOP); err != nil {
		return 0, err
	}
	what, err := damageLog(b.o.state, rand.New(rand.NewPCG(seed, 2)))
	if err != nil {
		return 0, errors.Join(fmt.Errorf("cannot damage the log: %w", err), v.signal(unix.SIGCONT))
	}
	b.say("round %d: %s", b.rounds+1, what)
	t := time.Now()
	if err := errors.Join(v.signal(unix.SIGKILL), v.gone(b.o.patience), b.answers()); err != nil {
		return 0, err
	}
	took := time.Since(t)
	return took, b.repair()
}

// damageLog damages the newest file of the log near its end.
func damageLog(dir string, rng *rand.Rand) (string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	name, newest := "", time.Time{}
	for _, e := range list {
		st, err := e.Info()
		if err == nil && st.Mode().IsRegular() && st.Size() > 0 && !st.ModTime().Before(newest) {
			name, newest = filepath.Join(dir, e.Name()), st.ModTime()
		}
	}
	if name == "" {
		return "", fmt.Errorf("there is no log in %s", dir)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	what, err := damage(f, rng)
	return what, errors.Join(err, f.Close())
}

// damage does one of three things to a file.
func damage(f *os.File, rng *rand.Rand) (string, error) {
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	size := st.Size()
	reach := min(size, 1+rng.Int64N(200))
	switch rng.IntN(3) {
	case 0:
		return fmt.Sprintf("cut %d bytes off %s", reach, f.Name()), f.Truncate(size - reach)
	case 1:
		junk := make([]byte, 1+rng.IntN(200))
		for i := range junk {
			junk[i] = byte(rng.Uint32())
		}
		_, err := f.WriteAt(junk, size)
		return fmt.Sprintf("added %d bytes to %s", len(junk), f.Name()), err
	}
	var one [1]byte
	if _, err := f.ReadAt(one[:], size-reach); err != nil {
		return "", err
	}
	one[0] ^= 1 << rng.IntN(8)
	_, err = f.WriteAt(one[:], size-reach)
	return fmt.Sprintf("flipped a bit %d bytes before the end of %s", reach, f.Name()), err
}

// repair starts anew what the manager lost sight of, and counts it. Whatever the damage, it
// must not have touched a process that runs.
func (b *bench) repair() error {
	b.verifySteady()
	c := b.connect()
	defer c.Close()
	for _, m := range b.fleet {
		ctx, stop := context.WithTimeout(context.Background(), b.o.patience)
		s, err := ask(ctx, c, m.unit())
		l, e := readLife(b.o.dir, m.name)
		if err = errors.Join(err, e); err == nil && s.active != "active" {
			b.blind++
			b.say("round %d: %s, a %s service, is %s (%s) after the damage", b.rounds+1, m.unit(), m.kind, s.active, s.load)
			_ = c.ResetFailed(ctx, m.unit()) // refused where it did not fail; then starting is enough
			if _, err := c.Enqueue(ctx, "Start", m.unit(), "replace"); err == nil {
				for l.starts == b.base[m.name].starts && ctx.Err() == nil {
					pause(ctx, 5*time.Millisecond)
					l, e = readLife(b.o.dir, m.name)
				}
			}
			if !m.churn {
				b.base[m.name] = l
			}
		}
		stop()
		if err = errors.Join(err, e); err != nil {
			return err
		}
	}
	return nil
}
