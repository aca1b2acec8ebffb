package core

import (
	"container/heap"
	"slices"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// deadline is an entry of the heap. It may be outdated: the unit's own timers decide.
type deadline struct {
	at  time.Duration
	seq uint64
	x   *entry
	id  string // the unit's timer; empty for its job
}

// deadlines is a heap by time, then by age, so that equal times elapse in the order they were set.
type deadlines []deadline

func (h deadlines) Len() int { return len(h) }
func (h deadlines) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].seq < h[j].seq
}
func (h deadlines) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *deadlines) Push(v any)   { *h = append(*h, v.(deadline)) }
func (h *deadlines) Pop() any {
	old := *h
	v := old[len(old)-1]
	old[len(old)-1] = deadline{}
	*h = old[:len(old)-1]
	return v
}

func (e *Engine) heapPush(at time.Duration, x *entry, id string) {
	e.manHeap++
	e.trimHeap()
	heap.Push(&e.heap, deadline{at, e.manHeap, x, id})
}

// trimHeap drops outdated entries once they may be the most: a watchdog that is fed a thousand
// times a second leaves one each time.
func (e *Engine) trimHeap() {
	if len(e.heap) < e.heapTrim {
		return
	}
	e.heap = slices.DeleteFunc(e.heap, func(d deadline) bool { return !e.deadlineValid(d) })
	heap.Init(&e.heap)
	e.heapTrim = max(2*len(e.heap), 1024)
}

func (e *Engine) heapPop() deadline { return heap.Pop(&e.heap).(deadline) }

// deadlineValid reports whether d still stands in its unit.
func (e *Engine) deadlineValid(d deadline) bool {
	if d.id == "" {
		return d.x.job != nil && d.x.job.deadline == d.at
	}
	for i := range d.x.timers {
		if d.x.timers[i].id == d.id {
			return d.x.timers[i].at == d.at
		}
	}
	return false
}

// elapse fires every timer whose time has come, each once.
func (e *Engine) elapse() {
	e.loadsOverdue()
	for len(e.heap) > 0 && e.heap[0].at <= e.now.Mono {
		d := e.heapPop()
		if !e.deadlineValid(d) {
			continue
		}
		if d.id == "" {
			e.jobTimedOut(d.x.job)
			continue
		}
		e.disarm(d.x, d.id)
		e.handle(d.x, unit.TimerFired{ID: d.id})
	}
}

func (e *Engine) arm(x *entry, id string, at time.Duration) {
	e.disarm(x, id)
	if at == unit.Infinity {
		return
	}
	x.timers = append(x.timers, timer{id: id, at: at})
	e.heapPush(at, x, id)
	e.touch(x)
}

func (e *Engine) disarm(x *entry, id string) {
	for i := range x.timers {
		if x.timers[i].id == id {
			x.timers = append(x.timers[:i], x.timers[i+1:]...)
			e.touch(x)
			return
		}
	}
}
