package linux

import (
	"fmt"
	"runtime/debug"
	"time"
)

const (
	// poolWidth is how many slow effects run at once normally ...
	poolWidth = 4
	// ... one that takes longer than this hangs (a dead mount) and counts no longer ...
	poolPatience = 50 * time.Millisecond
	// ... until so many hang that threads are worth more than progress.
	poolMax = 256
)

// pool runs work beside the loop. Its fields belong to the engine's goroutine.
type pool struct {
	mail    *mailbox
	note    func(error) // of what panicked; for any goroutine
	queue   []job
	running []*task // by age
}

// job is work, and what becomes of it if the work panics: that costs the effect, and not the manager, which would
// not even know afterwards what it died of (core.Recorder notes what the loop does, and nothing beside it).
type job struct {
	work   func() (finish func())
	broken func(error)
}

// do has the work done.
func (j *job) do(note func(error)) (finish func()) {
	defer func() {
		if r := recover(); r != nil {
			err := fmt.Errorf("internal error: %v", r)
			note(fmt.Errorf("%w\n%s", err, debug.Stack()))
			finish = func() { j.broken(err) }
		}
	}()
	return j.work()
}

type task struct{ since time.Duration }

// run has work done on another goroutine and what it returns on the engine's; if it panics, broken instead of that.
func (p *pool) run(work func() (finish func()), broken func(error)) {
	p.queue = append(p.queue, job{work, broken})
	p.fill(monotonic())
}

// fill starts what may be started now.
func (p *pool) fill(now time.Duration) {
	for len(p.queue) > 0 && len(p.running) < poolMax && p.brisk(now) < poolWidth {
		work := p.queue[0]
		p.queue[0] = job{}
		p.queue = p.queue[1:]
		t := &task{now}
		p.running = append(p.running, t)
		go func() {
			finish := work.do(p.note)
			p.mail.deliver(func() {
				p.ended(t)
				finish()
			})
		}()
	}
}

// brisk is the number of tasks that do not hang.
func (p *pool) brisk(now time.Duration) int {
	n := 0
	for i := len(p.running) - 1; i >= 0 && now-p.running[i].since < poolPatience; i-- {
		n++
	}
	return n
}

func (p *pool) ended(t *task) {
	for i := range p.running {
		if p.running[i] == t {
			p.running = append(p.running[:i], p.running[i+1:]...)
			break
		}
	}
	p.fill(monotonic())
}

// next is when fill could do more than now, if no task ends before.
func (p *pool) next(now time.Duration) (time.Duration, bool) {
	if len(p.queue) == 0 || len(p.running) >= poolMax {
		return 0, false
	}
	for _, t := range p.running {
		if now-t.since < poolPatience {
			return t.since + poolPatience, true
		}
	}
	return now, true
}
