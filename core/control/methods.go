package control

import (
	"github.com/sysmaster-go/sysmaster/core/client/wire"
	"github.com/sysmaster-go/sysmaster/unit"
)

// allMethods is the table of all methods. It is a function because the table refers to handlers that
// read it (introspection).
func allMethods() []*method {
	rows := standardMethods()
	rows = append(rows, managerReads()...)
	rows = append(rows, managerCommands()...)
	rows = append(rows, unitMethods()...)
	rows = append(rows, ownMethods()...)
	out := make([]*method, len(rows))
	for i := range rows {
		out[i] = &rows[i]
	}
	return out
}

func standardMethods() []method {
	const peer, bus = "org.freedesktop.DBus.Peer", "org.freedesktop.DBus"
	return []method{
		{onAll, peer, "Ping", "", "", func(c *call) { c.reply("") }},
		{onAll, peer, "GetMachineId", "", "s", func(c *call) { c.reply("s", clean(c.s.cfg.Info().MachineID)) }},
		{onAll, "org.freedesktop.DBus.Introspectable", "Introspect", "", "s", (*call).introspect},
		{onAll, wire.PropsIface, "Get", "ss", "v", (*call).get},
		{onAll, wire.PropsIface, "GetAll", "s", "a{sv}", (*call).getAll},
		{onAll, wire.PropsIface, "Set", "ssv", "", func(c *call) {
			c.fail(&busError{errReadOnly, "This property cannot be set."})
		}},
		// There is no broker, and every signal is sent: what a client asks of one is granted.
		{onNode, bus, "AddMatch", "s", "", func(c *call) { c.reply("") }},
		{onNode, bus, "RemoveMatch", "s", "", func(c *call) { c.reply("") }},
	}
}

func managerReads() []method {
	const m = wire.ManagerIface
	return []method{
		{onManager, m, "GetUnit", "s", "o", (*call).getUnit},
		{onManager, m, "GetUnitByPID", "u", "o", (*call).getUnitByPID},
		{onManager, m, "GetUnitByInvocationID", "ay", "o", (*call).getUnitByInvocation},
		{onManager, m, "GetUnitByControlGroup", "s", "o", (*call).getUnitByCGroup},
		{onManager, m, "LoadUnit", "s", "o", (*call).loadUnit},
		{onManager, m, "GetUnitProcesses", "s", "a(sus)", (*call).getUnitProcesses},
		{onManager, m, "GetJob", "u", "o", (*call).getJob},
		{onManager, m, "ListUnits", "", listSig, func(c *call) { c.list(nil, nil) }},
		{onManager, m, "ListUnitsFiltered", "as", listSig, func(c *call) { c.list(c.args[0].([]string), nil) }},
		{onManager, m, "ListUnitsByPatterns", "asas", listSig, func(c *call) {
			c.list(c.args[0].([]string), c.args[1].([]string))
		}},
		{onManager, m, "ListUnitsByNames", "as", listSig, (*call).listByNames},
		{onManager, m, "ListJobs", "", "a(usssoo)", (*call).listJobs},
		{onManager, m, "GetUnitFileState", "s", "s", (*call).getUnitFileState},
		{onManager, m, "GetDefaultTarget", "", "s", func(c *call) { c.reply("s", clean(c.s.cfg.Info().DefaultTarget)) }},
		{onManager, m, "Dump", "", "s", (*call).dump},
		{onManager, m, "Subscribe", "", "", (*call).subscribe},
		{onManager, m, "Unsubscribe", "", "", (*call).unsubscribe},
	}
}

func managerCommands() []method {
	const m = wire.ManagerIface
	return []method{
		{onManager, m, "StartUnit", "ss", "o", func(c *call) { c.job(asked(unit.JobStart), c.str(0), c.str(1)) }},
		{onManager, m, "StopUnit", "ss", "o", func(c *call) { c.job(asked(unit.JobStop), c.str(0), c.str(1)) }},
		{onManager, m, "ReloadUnit", "ss", "o", func(c *call) { c.job(asked(unit.JobReload), c.str(0), c.str(1)) }},
		{onManager, m, "RestartUnit", "ss", "o", func(c *call) { c.job(asked(unit.JobRestart), c.str(0), c.str(1)) }},
		{onManager, m, "TryRestartUnit", "ss", "o", func(c *call) { c.job(asked(unit.JobTryRestart), c.str(0), c.str(1)) }},
		{onManager, m, "ReloadOrRestartUnit", "ss", "o", func(c *call) {
			c.job(reloadIf(unit.JobReloadOrStart, unit.JobRestart), c.str(0), c.str(1))
		}},
		{onManager, m, "ReloadOrTryRestartUnit", "ss", "o", func(c *call) {
			c.job(reloadIf(unit.JobTryReload, unit.JobTryRestart), c.str(0), c.str(1))
		}},
		{onManager, m, "StartUnitWithFlags", "sst", "o", func(c *call) {
			if c.args[2].(uint64) != 0 {
				c.fail(&busError{errInvalidArgs, "Flags must be zero."})
				return
			}
			c.job(asked(unit.JobStart), c.str(0), c.str(1))
		}},
		{onManager, m, "EnqueueUnitJob", "sss", "uosos" + affectedSig, func(c *call) { c.enqueue(c.str(0), c.str(1), c.str(2)) }},
		{onManager, m, "KillUnit", "ssi", "", func(c *call) { c.kill(c.str(0), c.str(1), c.args[2].(int32)) }},
		{onManager, m, "ResetFailedUnit", "s", "", func(c *call) { c.resetFailed(c.str(0)) }},
		{onManager, m, "ResetFailed", "", "", (*call).resetAllFailed},
		{onManager, m, "CancelJob", "u", "", func(c *call) { c.cancel(c.args[0].(uint32)) }},
		{onManager, m, "ClearJobs", "", "", (*call).clearJobs},
		{onManager, m, "RefUnit", "s", "", (*call).refUnit},
		{onManager, m, "UnrefUnit", "s", "", (*call).refUnit},
		{onManager, m, "Reload", "", "", (*call).reload},
		{onManager, m, "Reexecute", "", "", (*call).reexecute},
		{onManager, m, "Reboot", "", "", func(c *call) { c.shutdown("reboot", 0) }},
		{onManager, m, "PowerOff", "", "", func(c *call) { c.shutdown("poweroff", 0) }},
		{onManager, m, "Halt", "", "", func(c *call) { c.shutdown("halt", 0) }},
		{onManager, m, "Exit", "", "", func(c *call) { c.shutdown("exit", 0) }},
	}
}

func unitMethods() []method {
	const u = wire.UnitIface
	id := func(c *call) string { return string(c.obj.unit.Name) }
	return []method{
		{onUnit, u, "Start", "s", "o", func(c *call) { c.job(asked(unit.JobStart), id(c), c.str(0)) }},
		{onUnit, u, "Stop", "s", "o", func(c *call) { c.job(asked(unit.JobStop), id(c), c.str(0)) }},
		{onUnit, u, "Reload", "s", "o", func(c *call) { c.job(asked(unit.JobReload), id(c), c.str(0)) }},
		{onUnit, u, "Restart", "s", "o", func(c *call) { c.job(asked(unit.JobRestart), id(c), c.str(0)) }},
		{onUnit, u, "TryRestart", "s", "o", func(c *call) { c.job(asked(unit.JobTryRestart), id(c), c.str(0)) }},
		{onUnit, u, "ReloadOrRestart", "s", "o", func(c *call) {
			c.job(reloadIf(unit.JobReloadOrStart, unit.JobRestart), id(c), c.str(0))
		}},
		{onUnit, u, "ReloadOrTryRestart", "s", "o", func(c *call) {
			c.job(reloadIf(unit.JobTryReload, unit.JobTryRestart), id(c), c.str(0))
		}},
		{onUnit, u, "EnqueueJob", "ss", "uosos" + affectedSig, func(c *call) { c.enqueue(id(c), c.str(0), c.str(1)) }},
		{onUnit, u, "Kill", "si", "", func(c *call) { c.kill(id(c), c.str(0), c.args[1].(int32)) }},
		{onUnit, u, "ResetFailed", "", "", func(c *call) { c.resetFailed(id(c)) }},
		{onUnit, u, "Ref", "", "", func(c *call) { c.reply("") }},
		{onUnit, u, "Unref", "", "", func(c *call) { c.reply("") }},
		{onUnit, kindIfaces, "GetProcesses", "", "a(sus)", func(c *call) { c.processes(c.obj.unit) }},
		{onJob, wire.JobIface, "Cancel", "", "", func(c *call) { c.cancel(uint32(c.obj.job.ID)) }},
	}
}
