package client

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// Verb is what Enqueue asks for.
type Verb string

// The verbs are the Manager's methods without "Unit".
const (
	Start              Verb = "Start"
	Stop               Verb = "Stop"
	Reload             Verb = "Reload"
	Restart            Verb = "Restart"
	TryRestart         Verb = "TryRestart"
	ReloadOrRestart    Verb = "ReloadOrRestart"
	ReloadOrTryRestart Verb = "ReloadOrTryRestart"
)

// Job is one that the manager has acknowledged.
type Job struct {
	ID   uint32 // 0: nothing had to be done
	Unit string // as asked for
	Verb Verb

	number requestID // with which it was asked for; nil: none
	result string    // if it was known with the answer
	path   dbus.ObjectPath
	seen   *session // whose signals tell of its end
}

// JobOf names a job that was acknowledged earlier, perhaps to another process.
func JobOf(id uint32, unit string, verb Verb) *Job {
	return &Job{ID: id, Unit: unit, Verb: verb, path: dbus.ObjectPath(wire.JobPrefix + strconv.FormatUint(uint64(id), 10))}
}

// Outcome is how a job ended.
type Outcome struct {
	Result string // "done", "failed", "canceled", "timeout", "dependency", "skipped" ... (man org.freedesktop.systemd1(5), JobRemoved)
	// Inferred: the job ended while there was no connection, the manager does not remember how, and
	// Result was told from the unit's state.
	Inferred bool
}

// words are the manager's own for the verbs.
var words = map[Verb]string{
	Start: "start", Stop: "stop", Reload: "reload", Restart: "restart", TryRestart: "try-restart",
	ReloadOrRestart: "reload-or-restart", ReloadOrTryRestart: "reload-or-try-restart",
}

// Enqueue asks for a job on a unit; mode is systemctl's --job-mode ("replace", "isolate" ...). If the
// connection is lost before the answer it asks again, and the manager does not do it twice. A
// manager that cannot tell (systemd) is asked again for a start or a stop only, which do no harm; other
// verbs then give a *LostError.
func (c *Client) Enqueue(ctx context.Context, verb Verb, unit, mode string) (*Job, error) {
	id, err := newRequestID()
	if err != nil {
		return nil, err
	}
	out, s, err := c.numbered(ctx, id, "Enqueue", "sss", words[verb], unit, mode)
	if isUnknown(err) {
		return c.enqueuePlain(ctx, verb, unit, mode)
	}
	if err != nil {
		return nil, err
	}
	j := &Job{Unit: unit, Verb: verb, number: id, seen: s}
	return j, j.take(out, "Enqueue")
}

// take reads the answer to Enqueue and Recall.
func (j *Job) take(out []any, member string) error {
	if len(out) != 4 {
		return malformed(member)
	}
	id, ok := out[0].(uint32)
	path, isPath := out[1].(dbus.ObjectPath)
	result, isText := out[3].(string)
	if !ok || !isPath || !isText {
		return malformed(member)
	}
	j.ID, j.path, j.result = id, path, result
	return nil
}

// enqueuePlain is for a manager that knows org.freedesktop.systemd1 only.
func (c *Client) enqueuePlain(ctx context.Context, verb Verb, unit, mode string) (*Job, error) {
	again := isUnsent
	if verb == Start || verb == Stop {
		again = isLost
	}
	member := string(verb) + "Unit"
	out, s, err := c.repeat(ctx, again, wire.ManagerPath, wire.ManagerIface, member, "ss", unit, mode)
	if err != nil {
		return nil, err
	}
	var path dbus.ObjectPath
	if len(out) == 1 {
		path, _ = out[0].(dbus.ObjectPath)
	}
	id, err := strconv.ParseUint(strings.TrimPrefix(string(path), wire.JobPrefix), 10, 32)
	if err != nil {
		return nil, malformed(member)
	}
	return &Job{ID: uint32(id), Unit: unit, Verb: verb, path: path, seen: s}, nil
}

// Wait returns when the job has ended. It survives a restart of the manager.
func (c *Client) Wait(ctx context.Context, j *Job) (Outcome, error) {
	known, path := j.seen, j.path
	if j.result != "" {
		return Outcome{Result: j.result}, nil
	}
	for {
		if known == nil {
			next, out, err := c.find(ctx, j)
			if err != nil || out.Result != "" {
				return out, err
			}
			known = next
		}
		result, changed := known.result(path)
		if result != "" {
			return Outcome{Result: result}, nil
		}
		select {
		case <-changed:
		case <-known.lost:
			if result, _ := known.result(path); result != "" {
				return Outcome{Result: result}, nil // its last words
			}
			known = nil
		case <-ctx.Done():
			return Outcome{}, fmt.Errorf("cannot wait for job %d of %s any longer: %w", j.ID, j.Unit, ctx.Err())
		}
	}
}

// find looks for a job after the connection was lost: how it ended, or the session that will tell. What
// the manager remembers of the command comes first, then its queue, then what the unit's state says.
func (c *Client) find(ctx context.Context, j *Job) (*session, Outcome, error) {
	if j.number != nil {
		out, s, err := c.repeat(ctx, isLost, wire.ManagerPath, wire.OwnManagerIface, "Recall", "ay", []byte(j.number))
		var then Job
		switch {
		case err == nil:
			err = then.take(out, "Recall")
			return s, Outcome{Result: then.result}, err
		case !Is(err, NoSuchRequest) && !isUnknown(err):
			return nil, Outcome{}, err
		}
	}
	_, s, err := c.repeat(ctx, isLost, wire.ManagerPath, wire.ManagerIface, "GetJob", "u", j.ID)
	if err == nil {
		return s, Outcome{}, nil
	}
	if !Is(err, NoSuchJob) {
		return nil, Outcome{}, err
	}
	if s != nil {
		if result, _ := s.result(j.path); result != "" {
			return s, Outcome{Result: result}, nil
		}
	}
	v, err := c.Property(ctx, j.Unit, wire.UnitIface, "ActiveState")
	if err != nil {
		return nil, Outcome{}, err
	}
	state, _ := v.Value().(string)
	return nil, Outcome{Result: infer(j.Verb, state), Inferred: true}, nil
}

// infer tells a job's result from the state that its unit was found in.
func infer(v Verb, state string) string {
	up := state == "active" || state == "reloading"
	down := state == "inactive" || state == "failed"
	switch v {
	case Stop:
		if down {
			return "done"
		}
		return "canceled"
	case TryRestart, ReloadOrTryRestart:
		if up || state == "inactive" {
			return "done"
		}
	default:
		// A start that left its unit inactive is one of a oneshot that ended well, or one
		// whose condition was not met: both are done.
		if up || (state == "inactive" && v != Reload) {
			return "done"
		}
	}
	if state == "failed" {
		return "failed"
	}
	return "canceled"
}

// QueuedJob is one entry of the manager's queue.
type QueuedJob struct {
	ID                uint32
	Unit, Type, State string
}

// Jobs lists the queue.
func (c *Client) Jobs(ctx context.Context) ([]QueuedJob, error) {
	out, err := c.Read(ctx, wire.ManagerPath, wire.ManagerIface, "ListJobs", "")
	if err != nil {
		return nil, err
	}
	var jobs []QueuedJob
	err = rows(out, "ListJobs", 6, func(r wire.Struct) bool {
		id, ok := r[0].(uint32)
		jobs = append(jobs, QueuedJob{id, text(r[1]), text(r[2]), text(r[3])})
		return ok
	})
	return jobs, err
}

// Cancel cancels one job.
func (c *Client) Cancel(ctx context.Context, id uint32) error {
	return c.command(ctx, "CancelJob", "u", []any{id}, "CancelJob", "u", id)
}

// ClearJobs cancels all jobs.
func (c *Client) ClearJobs(ctx context.Context) error {
	return c.command(ctx, "CancelJob", "u", []any{uint32(0)}, "ClearJobs", "")
}
