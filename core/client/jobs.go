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
	ID   uint32
	Unit string // as asked for
	Verb Verb
	path dbus.ObjectPath
	seen *session // whose signals tell of its end
}

// JobOf names a job that was acknowledged earlier, perhaps to another process.
func JobOf(id uint32, unit string, verb Verb) *Job {
	return &Job{ID: id, Unit: unit, Verb: verb, path: dbus.ObjectPath(wire.JobPrefix + strconv.FormatUint(uint64(id), 10))}
}

// Outcome is how a job ended.
type Outcome struct {
	Result string // "done", "failed", "canceled", "timeout", "dependency", "skipped" ... (man org.freedesktop.systemd1(5), JobRemoved)
	// Inferred: the job ended while there was no connection, and Result was told from the
	// unit's state.
	Inferred bool
}

// Enqueue asks for a job on a unit; mode is systemctl's --job-mode ("replace", "isolate" ...). A start
// or a stop is asked for again if the connection is lost before the answer: that
// does no harm. Other verbs then give a *LostError.
func (c *Client) Enqueue(ctx context.Context, verb Verb, unit, mode string) (*Job, error) {
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
	known := j.seen
	for {
		if known == nil {
			next, out, err := c.find(ctx, j)
			if err != nil || next == nil {
				return out, err
			}
			known = next
		}
		result, changed := known.result(j.path)
		if result != "" {
			return Outcome{Result: result}, nil
		}
		select {
		case <-changed:
		case <-known.lost:
			if result, _ := known.result(j.path); result != "" {
				return Outcome{Result: result}, nil // its last words
			}
			known = nil
		case <-ctx.Done():
			return Outcome{}, fmt.Errorf("cannot wait for job %d of %s any longer: %w", j.ID, j.Unit, ctx.Err())
		}
	}
}

// find looks for a job after the connection was lost: the new session if the job is still there or
// ended meanwhile, else what the unit's state says.
func (c *Client) find(ctx context.Context, j *Job) (*session, Outcome, error) {
	_, s, err := c.repeat(ctx, isLost, wire.ManagerPath, wire.ManagerIface, "GetJob", "u", j.ID)
	if err == nil {
		return s, Outcome{}, nil
	}
	if !Is(err, NoSuchJob) {
		return nil, Outcome{}, err
	}
	if s != nil {
		if result, _ := s.result(j.path); result != "" {
			return s, Outcome{}, nil
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
	return c.manager(ctx, "CancelJob", "u", id)
}

// ClearJobs cancels all jobs.
func (c *Client) ClearJobs(ctx context.Context) error { return c.manager(ctx, "ClearJobs", "") }
