package control

import (
	"fmt"
	"strings"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// The commands of org.sysmaster.Manager are those of org.freedesktop.systemd1.Manager with a number in
// front, 16 bytes that the client chose at random for this one command. A command whose answer was lost may
// be sent again with the same number: what was done is not done twice, and the answer is the same.

// endedSig is the answer about a job: its number (0: none was needed), its path, its unit, and its result if
// it has ended.
const endedSig = "uoss"

func ownMethods() []method {
	const m = wire.OwnManagerIface
	return append(upgradeMethods(), []method{
		{onManager, m, "Enqueue", "aysss", endedSig, numbered((*call).enqueueOwn)},
		{onManager, m, "Why", "s", whySig, (*call).why},
		{onManager, m, "Changes", "s", whySig, (*call).changes},
		{onManager, m, "Recall", "ay", endedSig, (*call).recall},
		{onManager, m, "ListTroubles", "", "as", (*call).listTroubles},
		{onManager, m, "ListCrashes", "", crashesSig, (*call).listCrashes},
		{onManager, m, "GetCrash", "t", "s", (*call).getCrash},
		{onManager, m, "KillUnit", "ayssi", "", numbered(func(c *call) { c.kill(c.str(0), c.str(1), c.args[2].(int32)) })},
		{onManager, m, "ResetFailed", "ays", "", numbered(func(c *call) {
			if c.str(0) == "" {
				c.resetAllFailed()
				return
			}
			c.resetFailed(c.str(0))
		})},
		{onManager, m, "CancelJob", "ayu", "", numbered((*call).cancelOwn)},
		{onManager, m, "Reload", "ay", "", numbered((*call).reload)},
		{onManager, m, "Shutdown", "ays", "", numbered((*call).shutdownOwn)},
	}...)
}

// listTroubles tells what is wrong with the manager itself.
func (c *call) listTroubles() {
	list := []string{}
	for _, t := range c.s.cfg.Manager.View().Troubles() {
		list = append(list, clean(t))
	}
	c.reply("as", list)
}

// numbered takes the number off a call's arguments.
func numbered(f func(*call)) func(*call) {
	return func(c *call) {
		id, err := requestID(c.args[0])
		if err != nil {
			c.fail(err)
			return
		}
		c.id, c.args = id, c.args[1:]
		f(c)
	}
}

func requestID(v any) (id core.RequestID, err error) {
	b := v.([]byte)
	if copy(id[:], b) != len(b) || len(b) != len(id) || id == (core.RequestID{}) {
		return id, &busError{errInvalidArgs, fmt.Sprintf("A request's number has %d bytes that are not all zero.", len(id))}
	}
	return id, nil
}

// words are what the client asked for: the method and its arguments but the number.
func (c *call) words() string {
	var b strings.Builder
	b.WriteString(c.msg.Member)
	for _, a := range c.args {
		fmt.Fprintf(&b, " %v", a)
	}
	return b.String()
}

func (c *call) enqueueOwn() {
	op, err := c.jobRequest(jobTypeOf(c.str(0)), c.str(1), c.str(2))
	if err != nil {
		c.fail(err)
		return
	}
	c.submit(op, func(r core.Response) { c.ended(r) })
}

func (c *call) ended(r core.Response) {
	c.reply(endedSig, uint32(r.Job), jobPath(r.Job), string(r.Unit), r.Result.String())
}

// recall tells what became of an earlier command, and does nothing.
func (c *call) recall() {
	id, err := requestID(c.args[0])
	if err != nil {
		c.fail(err)
		return
	}
	c.submit(core.OpRecall{ID: id}, func(r core.Response) { c.ended(r) })
}

// cancelOwn cancels a job, or all for 0. Whether the job is there is for the engine to say: it may be
// gone because the same command was carried out already.
func (c *call) cancelOwn() { c.command(core.OpCancel{ID: core.JobID(c.args[0].(uint32))}) }

func (c *call) shutdownOwn() {
	switch verb := c.str(0); verb {
	case "poweroff", "reboot", "halt", "exit":
		c.shutdown(verb, 0)
	default:
		c.fail(&busError{errInvalidArgs, fmt.Sprintf("There is no way down named %s.", verb)})
	}
}
