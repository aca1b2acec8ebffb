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

	"github.com/sysmaster-go/sysmaster/core/client"
	"github.com/sysmaster-go/sysmaster/state"
)

// corrupt stops the core, damages the end of its log and kills it. The workload rests
// meanwhile: what the last records said may honestly be lost, and nothing else.
func (b *bench) corrupt(seed uint64) (time.Duration, error) {
	b.quiet.Lock()
	defer b.quiet.Unlock()
	b.verifySteady() // what is found afterwards is the damage's
	v, err := b.seize()
	if err != nil {
		return 0, err
	}
	defer v.release()
	if err := v.signal(unix.SIGSTOP); err != nil {
		return 0, err
	}
	cut, err := b.hurt(rand.New(rand.NewPCG(seed, 2)))
	if err != nil {
		return 0, errors.Join(fmt.Errorf("cannot damage the log: %w", err), v.signal(unix.SIGCONT))
	}
	before, err := b.lives()
	if err != nil {
		return 0, errors.Join(err, v.signal(unix.SIGCONT))
	}
	t := time.Now()
	if err := errors.Join(v.signal(unix.SIGKILL), v.gone(b.o.patience), b.answers()); err != nil {
		return 0, err
	}
	took := time.Since(t)
	return took, b.assess(cut, before)
}

// hurt damages the log, and tells of which units that cost the last record.
func (b *bench) hurt(rng *rand.Rand) (map[string]bool, error) {
	old, err := b.recorded()
	if err != nil {
		return nil, err
	}
	what, err := damageLog(b.o.state, rng)
	if err != nil {
		return nil, err
	}
	now, err := b.recorded()
	if err != nil {
		return nil, err
	}
	cut := make(map[string]bool)
	for k, v := range old {
		if now[k] != v && k.Segment != state.Meta {
			cut[k.Name] = true
		}
	}
	b.say("round %d: %s: the last records of %d units", b.rounds+1, what, len(cut))
	return cut, nil
}

// recorded reads the log as the next core will, from a copy.
func (b *bench) recorded() (_ map[state.Key]string, err error) {
	dir, err := os.MkdirTemp(b.o.dir, "copy")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	to := state.NewDirFS(dir)
	if err := state.Copy(to, state.NewDirFS(b.o.state)); err != nil {
		return nil, err
	}
	l, _, err := state.Open(state.Config{FS: to})
	if err != nil {
		return nil, err
	}
	all := make(map[state.Key]string)
	_, err = l.Load(func(r state.Record) error {
		all[state.Key{Segment: r.Segment, Name: r.Key}] = string(r.Data)
		return nil
	})
	return all, errors.Join(err, l.Close())
}

// lives are the journals of all.
func (b *bench) lives() (map[string]life, error) {
	all := make(map[string]life, len(b.fleet))
	for _, m := range b.fleet {
		l, err := readLife(b.o.dir, m.name)
		if err != nil {
			return nil, err
		}
		all[m.name] = l
	}
	return all, nil
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

// cutPatience is how long a service whose last record is gone may take to come to rest.
const cutPatience = 2 * time.Second

// assess compares every service with what it was before the damage. Whatever that was, it must not have touched
// a process that runs, and only of units whose last record it took the manager may have lost sight: those are
// counted apart. Then what is wrong is put right, so that it counts once.
func (b *bench) assess(cut map[string]bool, before map[string]life) error {
	c := b.connect()
	defer c.Close()
	for _, m := range b.fleet {
		limit := b.o.patience
		if cut[m.unit()] {
			limit = min(limit, cutPatience)
		}
		found := b.settle(c, m, order{verb: verbNone}, before[m.name], limit)
		if len(found) == 0 {
			continue
		}
		if cut[m.unit()] && excused(m, found) {
			b.blind++
			b.say("round %d: after the damage: %s: %s", b.rounds+1, m.unit(), found[0].Text)
		} else {
			b.ledger.addAll(found)
		}
		if err := b.repair(c, m); err != nil {
			return fmt.Errorf("cannot repair %s after the damage: %w", m.unit(), err)
		}
	}
	return nil
}

// excused: a unit whose last record is gone is not known to run any more, and a command that began and ended
// in that record may run again. A process that lives is neither killed nor doubled.
func excused(m member, found []finding) bool {
	for _, f := range found {
		if f.Loss != lostSight && !(f.Loss == lostService && m.kind == kindOneshot) {
			return false
		}
	}
	return true
}

// repair starts a service anew. That is one start: one more is a loss, which the next look will find.
func (b *bench) repair(c *client.Client, m member) error {
	ctx, stop := context.WithTimeout(context.Background(), b.o.patience)
	defer stop()
	was, err := readLife(b.o.dir, m.name)
	if err != nil {
		return err
	}
	s, err := ask(ctx, c, m.unit())
	if err == nil && s.active == "failed" {
		err = c.ResetFailed(ctx, m.unit()) // also ends what it keeps
	}
	if err != nil {
		return err
	}
	o := order{verb: verbRestart}
	if err := b.job(ctx, c, m, &o); err != nil {
		return err
	}
	if o.maybe {
		return errors.New("nobody knows whether its restart was taken")
	}
	now, err := readLife(b.o.dir, m.name)
	if !m.churn {
		now.starts = was.starts + 1
		b.base[m.name] = now
	}
	return err
}
