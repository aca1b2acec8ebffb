package core

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

// A client whose connection ended before the answer came does not know whether its command was
// taken, and sends it again. So that nothing is done twice, a request may carry a number that the
// client chose at random. The answer is recorded under it in the same commit as what was done - a job,
// a signal to be sent - and later how the job ended. The same number again gets the recorded
// answer. What was not committed when the core died was never answered, and is done when it
// comes again.
//
// Numbers of different users never meet. The record is bounded by number and by age: the user with
// the most loses the oldest, first of those that are over.

// RequestID is a client's number for one request; zero is none.
type RequestID [16]byte

const (
	// maxRepeats bounds the requests that are remembered, in all.
	maxRepeats = 1024
	// RequestKept is how long a request is remembered at least after its job ended, unless its user
	// sends too many others. A client may ask again for that long.
	RequestKept = 15 * time.Minute
	// maxWaiters bounds those who wait for the first answer to one request.
	maxWaiters = 64
)

// ErrRequestReused says that a request's number was used for another one before.
var ErrRequestReused = errors.New("the request's number was used for another request")

// ErrNoSuchRequest says that no request of that number is remembered.
var ErrNoSuchRequest = errors.New("no such request is remembered")

// ErrTooManyWaiters says that a request was sent too often while it is worked on.
var ErrTooManyWaiters = errors.New("the same request is waiting too often already")

// OpRecall asks what became of an earlier request of the same user, and does nothing. The answer is
// the one that it got; Response.Result says how its job ended, if it has.
type OpRecall struct{ ID RequestID }

// repeatKey finds a request.
type repeatKey struct {
	uid int
	id  RequestID
}

// asked is one request that can be recognised.
type asked struct {
	repeatKey
	what    uint64 // a hash of what was asked
	order   uint64 // of arrival
	at      time.Duration
	known   bool // answered: resp is valid
	resp    Response
	waiters []*Request // who asked for the same meanwhile
	dirty   bool       // queued for the commit
	stored  bool
	unknown record.Unknown // of the record, kept for newer versions
}

// over reports whether nothing will be added to a any more.
func (a *asked) over() bool { return a.known && (a.resp.Job == 0 || a.resp.Result != 0) }

// repeats is what the engine remembers of such requests.
type repeats struct {
	byKey map[repeatKey]*asked
	list  []*asked // in the order of arrival
	jobs  map[JobID][]*asked
	next  uint64
	dirty []*asked
	gone  []*asked // stored, and to be deleted
}

func newRepeats() repeats {
	return repeats{byKey: make(map[repeatKey]*asked), jobs: make(map[JobID][]*asked)}
}

// first reports whether r is to be done. If it is known already it is answered here.
func (e *Engine) first(r *Request) bool {
	if r.ID == (RequestID{}) {
		return true
	}
	k := repeatKey{r.Caller.UID, r.ID}
	what := requestHash(r)
	a := e.repeats.byKey[k]
	switch {
	case a == nil:
		r.asked = e.repeats.add(k, what, e.now.Mono)
		return true
	case a.what != what:
		e.reply(r, Response{Err: ErrRequestReused})
	default:
		e.answerAgain(r, a)
	}
	return false
}

func (e *Engine) recall(r *Request, op OpRecall) {
	a := e.repeats.byKey[repeatKey{r.Caller.UID, op.ID}]
	if a == nil {
		e.reply(r, Response{Err: ErrNoSuchRequest})
		return
	}
	e.answerAgain(r, a)
}

func (e *Engine) answerAgain(r *Request, a *asked) {
	switch {
	case a.known:
		e.reply(r, a.resp)
	case len(a.waiters) >= maxWaiters:
		e.reply(r, Response{Err: ErrTooManyWaiters})
	default:
		a.waiters = append(a.waiters, r)
	}
}

// answered keeps the answer to r for those who ask again.
func (e *Engine) answered(r *Request, resp Response) {
	a := r.asked
	if a == nil {
		return
	}
	r.asked = nil
	a.known, a.resp, a.at = true, resp, e.now.Mono
	if resp.Job != 0 && resp.Result == 0 {
		e.repeats.jobs[resp.Job] = append(e.repeats.jobs[resp.Job], a)
	}
	e.repeats.touch(a)
	for _, w := range a.waiters {
		e.reply(w, resp)
	}
	a.waiters = nil
}

// ended keeps how a job ended.
func (p *repeats) ended(id JobID, result unit.JobResult, now time.Duration) {
	for _, a := range p.jobs[id] {
		a.resp.Result, a.at = result, now
		p.touch(a)
	}
	delete(p.jobs, id)
}

func (p *repeats) touch(a *asked) {
	if !a.dirty && p.byKey[a.repeatKey] == a {
		a.dirty = true
		p.dirty = append(p.dirty, a)
	}
}

func (p *repeats) add(k repeatKey, what uint64, now time.Duration) *asked {
	p.expire(now)
	if len(p.list) >= maxRepeats {
		p.drop(p.victim())
	}
	p.next++
	a := &asked{repeatKey: k, what: what, order: p.next, at: now}
	p.byKey[k] = a
	p.list = append(p.list, a)
	return a
}

// expire forgets what nobody will ask for any more.
func (p *repeats) expire(now time.Duration) {
	for i := 0; i < len(p.list); {
		if a := p.list[i]; a.over() && now-a.at > RequestKept {
			p.drop(i)
			continue
		}
		i++
	}
}

// victim chooses which request to forget: of the user with the most, the oldest one that is over, else
// the oldest one.
func (p *repeats) victim() int {
	count := make(map[int]int)
	most := -1
	for _, a := range p.list {
		count[a.uid]++
		if most < 0 || count[a.uid] > count[most] {
			most = a.uid
		}
	}
	oldest := -1
	for i, a := range p.list {
		switch {
		case a.uid != most:
		case a.over():
			return i
		case oldest < 0:
			oldest = i
		}
	}
	return oldest
}

func (p *repeats) drop(i int) {
	a := p.list[i]
	p.list = slices.Delete(p.list, i, i+1)
	delete(p.byKey, a.repeatKey)
	if a.dirty {
		p.dirty = slices.DeleteFunc(p.dirty, func(b *asked) bool { return b == a })
	}
	if a.stored {
		p.gone = append(p.gone, a)
	}
	if a.known && !a.over() {
		p.jobs[a.resp.Job] = slices.DeleteFunc(p.jobs[a.resp.Job], func(b *asked) bool { return b == a })
	}
}

// changed reports whether there is something to commit.
func (p *repeats) changed() bool { return len(p.dirty)+len(p.gone) > 0 }

// committed is called when what changed was recorded.
func (p *repeats) committed() {
	for _, a := range p.dirty {
		a.dirty, a.stored = false, true
	}
	clear(p.dirty)
	clear(p.gone)
	p.dirty, p.gone = p.dirty[:0], p.gone[:0]
}

// recovered puts what was read back into its order, and ties it to the jobs that are still there. A
// job that was lost with its record counts as cancelled: it will not end any more.
func (p *repeats) recovered(jobs map[JobID]*job) {
	slices.SortFunc(p.list, func(a, b *asked) int {
		return cmp.Or(cmp.Compare(a.order, b.order), slices.Compare(a.id[:], b.id[:]))
	})
	for _, a := range p.list {
		p.next = max(p.next, a.order)
		switch {
		case a.over():
		case jobs[a.resp.Job] != nil:
			p.jobs[a.resp.Job] = append(p.jobs[a.resp.Job], a)
		default:
			a.resp.Result = unit.JobCanceled
		}
	}
}

// requestHash recognises what r asks for, so that a number is not answered with the outcome of something else.
func requestHash(r *Request) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(r.words())) // a hash takes everything
	return h.Sum64()
}

// words says what r asks for.
func (r *Request) words() string {
	if r.Words != "" {
		return r.Words
	}
	switch op := r.Op.(type) {
	case OpJob:
		return op.Type.String() + " " + string(op.Unit) + " " + op.Mode.String()
	case OpLoad:
		return "load " + string(op.Unit)
	case OpKill:
		return fmt.Sprintf("kill %s %d %d", op.Unit, op.Who, op.Signal)
	case OpResetFailed:
		return strings.TrimSuffix("reset-failed "+string(op.Unit), " ")
	case OpCancel:
		return fmt.Sprintf("cancel %d", op.ID)
	case OpReload:
		return "daemon-reload"
	case OpReexec:
		return "daemon-reexec"
	case OpShutdown:
		return fmt.Sprintf("%s %d", op.Verb, op.Code)
	}
	return fmt.Sprintf("%T", r.Op)
}

// Remembered is how many requests the engine would recognise. It belongs to the engine's goroutine.
func (e *Engine) Remembered() int { return len(e.repeats.list) }
