package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Generate makes the scenario of a seed: units of all kinds with random relations and settings,
// programs that behave well or badly, clients that ask for things, and faults. All time limits are
// short, so that a machine comes to rest. The same seed gives the same scenario.
func Generate(seed uint64) Scenario {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 0x6e6572)), s: Scenario{
		Name: fmt.Sprintf("seed-%d", seed), Seed: seed, Files: baseFiles(), Programs: make(map[string][]Program), Limit: time.Minute,
	}}
	g.world()
	g.units()
	for range 2 + g.rng.IntN(9) {
		g.step()
	}
	if g.one(3) {
		g.s.Steps = append(g.s.Steps, Step{After: time.Second, Do: DoFail, Fault: &Fault{Kind: FaultSignal, Signal: sigPoweroff}})
	}
	if g.one(3) {
		g.s.Faults.LateSpawned = pick(g, 0.1, 0.5, 1)
	}
	return g.s
}

// baseFiles are the units that a machine cannot do without.
func baseFiles() map[string]string {
	return map[string]string{
		"sysinit.target":   "[Unit]\n",
		"basic.target":     "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n",
		"sockets.target":   "[Unit]\n",
		"shutdown.target":  "[Unit]\nDefaultDependencies=no\n",
		"rescue.target":    "[Unit]\nAllowIsolate=yes\n",
		"poweroff.target":  "[Unit]\nDefaultDependencies=no\nRequires=poweroff.service\nAfter=poweroff.service\nAllowIsolate=yes\n",
		"poweroff.service": "[Unit]\nDefaultDependencies=no\nRequires=shutdown.target\nAfter=shutdown.target\nSuccessAction=poweroff-force\n",
	}
}

type generator struct {
	rng      *rand.Rand
	s        Scenario
	services []unit.Name
	sockets  []unit.Name
	names    []unit.Name // all that can be asked for
}

// one is true once in n times.
func (g *generator) one(n int) bool { return g.rng.IntN(n) == 0 }

func pick[T any](g *generator, list ...T) T { return list[g.rng.IntN(len(list))] }

func (g *generator) span(most time.Duration) time.Duration {
	return time.Duration(g.rng.Int64N(int64(most/time.Millisecond))) * time.Millisecond
}

// world decides what the machine itself is like.
func (g *generator) world() {
	f := &g.s.Faults
	if g.one(2) {
		g.s.MaxDelay = pick(g, time.Millisecond, 50*time.Millisecond, 2*time.Second)
	}
	f.Reorder = g.one(2)
	if g.one(2) {
		f.Crash, f.Hang, f.MaxCrashes = pick(g, 0.005, 0.02, 0.1), pick(g, 0, 0.2), 12
	}
	if g.one(3) {
		f.Duplicate = 0.3
	}
	if g.one(4) {
		f.SpawnFails = 0.1
	}
	if g.one(6) {
		f.EffectFails = 0.1
	}
	if g.one(6) {
		f.ProbeUnknown = 0.3
	}
	if g.one(6) {
		f.LostExit = 0.5
	}
	if g.one(8) {
		g.s.Store = StoreLog
		f.TornWrite = 0.5
		if g.one(4) {
			f.FlippedBit = 0.1
		}
	}
}

func (g *generator) units() {
	var want []string
	for i := range 2 + g.rng.IntN(6) {
		n := unit.Name(fmt.Sprintf("u%d.service", i))
		g.services = append(g.services, n)
		g.names = append(g.names, n)
		if !g.one(4) {
			want = append(want, string(n))
		}
	}
	for i, n := range g.services {
		g.s.Files[string(n)] = g.service(i, n)
	}
	for i := range g.rng.IntN(3) {
		n := unit.Name(fmt.Sprintf("t%d.target", i))
		g.names = append(g.names, n)
		g.s.Files[string(n)] = "[Unit]\nAllowIsolate=yes\n" + pick(g, "Wants=", "Requires=", "BindsTo=") + string(pick(g, g.services...)) + "\n"
		if g.one(2) {
			want = append(want, string(n))
		}
	}
	if g.one(3) {
		n := unit.Name("u0.socket")
		g.sockets, g.names = append(g.sockets, n), append(g.names, n)
		g.s.Files[string(n)] = "[Socket]\nListenStream=/run/u0\n" + pick(g, "", "TriggerLimitBurst=3\n", "ExecStartPre=/bin/u0-sock\n", "RemoveOnStop=yes\n")
		want = append(want, string(n))
	}
	g.s.Files["help.service"] = "[Service]\nType=oneshot\nTimeoutStartSec=2\nExecStart=/bin/help\n"
	if g.one(4) {
		g.s.Files["work.slice"] = "[Unit]\n"
	}
	g.s.Files["default.target"] = "[Unit]\nAllowIsolate=yes\nWants=" + strings.Join(want, " ") + "\n"
	g.names = append(g.names, "default.target", "rescue.target")
}

// relations of service i: mostly to earlier ones, so that cycles are rare.
func (g *generator) relations(b *strings.Builder, i int) {
	for range g.rng.IntN(4) {
		other := g.rng.IntN(len(g.services))
		if !g.one(8) {
			other = g.rng.IntN(i + 1)
		}
		if other == i {
			continue
		}
		o := string(g.services[other])
		switch g.rng.IntN(9) {
		case 0, 1:
			fmt.Fprintf(b, "Requires=%s\nAfter=%s\n", o, o)
		case 2:
			fmt.Fprintf(b, "BindsTo=%s\nAfter=%s\n", o, o)
		case 3:
			fmt.Fprintf(b, "Wants=%s\n", o)
		case 4:
			fmt.Fprintf(b, "%s=%s\n", pick(g, "PartOf", "Conflicts", "Requisite", "PropagatesReloadTo", "PropagatesStopTo"), o)
		case 5:
			fmt.Fprintf(b, "%s=%s\n", pick(g, "OnFailure", "OnSuccess", "Upholds"), pick(g, "help.service", o))
		default:
			fmt.Fprintf(b, "After=%s\n", o)
		}
	}
}

func (g *generator) service(i int, n unit.Name) string {
	var b strings.Builder
	b.WriteString("[Unit]\n")
	g.relations(&b, i)
	if g.one(10) {
		b.WriteString("StopWhenUnneeded=yes\n")
	}
	if g.one(6) {
		b.WriteString(pick(g, "StartLimitBurst=2\n", "StartLimitIntervalSec=3\n", "JobTimeoutSec=2\n", "JobRunningTimeoutSec=1\n"))
	}
	b.WriteString("[Service]\nTimeoutStartSec=" + pick(g, "2", "3", "5") + "\nTimeoutStopSec=" + pick(g, "1", "2") + "\n")
	if g.one(2) {
		b.WriteString("Restart=" + pick(g, "always", "on-failure", "on-abnormal", "on-success", "on-watchdog") + "\nRestartSec=" + pick(g, "0", "100ms", "1") + "\n")
	}
	if g.one(5) {
		b.WriteString(pick(g, "KillMode=mixed\n", "KillMode=process\n", "SendSIGKILL=no\n", "SendSIGHUP=yes\n", "TimeoutStopFailureMode=abort\n",
			"FileDescriptorStoreMax=2\n", "RuntimeMaxSec=3\n", "Slice=work.slice\n", "RemainAfterExit=yes\n", "OOMPolicy=continue\n"))
	}
	stem := strings.TrimSuffix(string(n), ".service")
	g.main(&b, stem)
	for _, l := range [...]string{"ExecStartPre", "ExecStartPost", "ExecStop", "ExecStopPost", "ExecReload"} {
		if g.one(6) {
			path := "/bin/" + stem + "-" + strings.ToLower(l[4:])
			fmt.Fprintf(&b, "%s=%s%s\n", l, pick(g, "", "", "-"), path)
			g.s.Programs[path] = []Program{g.command()}
		}
	}
	return b.String()
}

// main writes Type= and ExecStart=, with a program to match, more or less.
func (g *generator) main(b *strings.Builder, stem string) {
	path := "/bin/" + stem
	var list []Program
	kind := pick(g, "simple", "simple", "exec", "oneshot", "oneshot", "forking", "forking", "notify", "notify")
	fmt.Fprintf(b, "Type=%s\nExecStart=%s\n", kind, path)
	for range 1 + g.rng.IntN(3) {
		p := g.daemon()
		switch kind {
		case "oneshot":
			p = g.command()
		case "notify":
			g.notifies(&p)
		}
		list = append(list, p)
	}
	switch kind {
	case "oneshot":
		if g.one(2) {
			b.WriteString("RemainAfterExit=yes\n")
		}
		for range g.rng.IntN(3) {
			fmt.Fprintf(b, "ExecStart=%s-more\n", path)
		}
	case "notify":
		if g.one(3) {
			b.WriteString("NotifyAccess=all\n")
		}
		if g.one(3) {
			b.WriteString("WatchdogSec=1\n")
		}
	case "forking":
		pid := ""
		if g.one(2) {
			pid = "/run/" + stem + ".pid"
			b.WriteString("PIDFile=" + pid + "\n")
		}
		for i := range list {
			list[i] = g.forks(pid)
		}
	}
	g.s.Programs[path] = list
	g.s.Programs[path+"-more"] = []Program{g.command()}
}

// command is a program that ends by itself, mostly.
func (g *generator) command() Program {
	p := Oneshot(g.span(time.Second))
	switch g.rng.IntN(8) {
	case 0:
		p.Status = 1
	case 1:
		p.Signal = 11
	case 2:
		p.Runs = Forever
	case 3:
		p.Runs, p.IgnoresTerm = Forever, true
	case 4:
		p.Leaves = 1
	}
	return p
}

// daemon is a program that runs on, mostly.
func (g *generator) daemon() Program {
	p := Daemon()
	switch g.rng.IntN(8) {
	case 0:
		p.IgnoresTerm = true
	case 1:
		p.Runs, p.Status = g.span(3*time.Second), g.rng.IntN(2)
	case 2:
		p.Runs, p.Signal = g.span(3*time.Second), pick(g, 6, 11, 15)
	case 3:
		p.TermTakes = g.span(3 * time.Second)
	case 4:
		p.FailSpawn, p.NoProcess = "execve", g.one(2)
	case 5:
		p.Runs, p.Leaves = g.span(2*time.Second), 1
	}
	return p
}

func (g *generator) notifies(p *Program) {
	p.Ready = pick(g, 0, g.span(time.Second), g.span(6*time.Second), Forever)
	p.Ping = pick(g, 0, 400*time.Millisecond)
	if g.one(3) {
		p.PingUntil = g.span(4 * time.Second)
	}
	for range g.rng.IntN(3) {
		p.Notices = append(p.Notices, Notice{After: g.span(3 * time.Second), Foreign: g.one(5), FDs: pick(g, 0, 0, 1, 3), Text: pick(g,
			"STATUS=busy", "READY=1", "RELOADING=1", "STOPPING=1", "MAINPID=$FOREIGN", "MAINPID=x", "MAINPID=1", "garbage", "FDSTORE=1\nFDNAME=a",
			"FDSTOREREMOVE=1\nFDNAME=a", "EXTEND_TIMEOUT_USEC=2000000", "WATCHDOG=trigger", "WATCHDOG_USEC=500000", "ERRNO=2\nREADY=1", "=\n\nX")})
	}
}

func (g *generator) forks(pidFile string) Program {
	p := Forking(g.span(time.Second), pidFile)
	if g.one(3) {
		p.ChildRuns = g.span(3*time.Second) + time.Millisecond
	}
	if g.one(3) {
		p.PIDFileLate = g.span(3 * time.Second)
	}
	if g.one(3) {
		p.PIDFileSays = pick(g, PIDNone, PIDGone, PIDForeign, PIDGarbage)
	}
	p.Leaves = pick(g, 0, 0, 0, 1)
	p.Forks = !g.one(8)
	p.Status = pick(g, 0, 0, 0, 1)
	p.IgnoresTerm = g.one(6)
	return p
}

// step adds one thing that happens.
func (g *generator) step() {
	st := Step{After: g.span(2 * time.Second), Settled: g.one(3), Vanish: g.one(5), Unit: pick(g, g.names...)}
	if g.one(4) {
		st.After = 0
	}
	st.Mode = pick(g, "", "", "", "", "fail", "isolate", "flush", "ignore-dependencies", "ignore-requirements")
	switch n := g.rng.IntN(16); {
	case n < 6:
		st.Do = pick(g, DoStart, DoStart, DoStop, DoStop, DoRestart, DoRestart, DoReload, DoTryRestart)
	case n < 7:
		st.Do, st.Signal = DoKill, pick(g, 9, 15, 1)
	case n < 8:
		st.Do = pick(g, DoResetFailed, DoResetFailed, DoCancel)
	case n < 9:
		st.Do = pick(g, DoDaemonReload, DoDaemonReexec)
	case n < 10:
		st.Do, st.Files = DoWrite, g.edit()
	default:
		st.Do, st.Fault = DoFail, g.fault()
		st.Unit = ""
	}
	g.s.Steps = append(g.s.Steps, st)
	if st.Do == DoWrite && !g.one(3) {
		g.s.Steps = append(g.s.Steps, Step{Do: DoDaemonReload})
	}
}

// edit changes or removes a unit's file.
func (g *generator) edit() map[string]string {
	i := g.rng.IntN(len(g.services))
	n := g.services[i]
	switch g.rng.IntN(4) {
	case 0:
		return map[string]string{string(n): ""}
	case 1:
		return map[string]string{string(n): "[Service]\nType=nonsense\n"}
	}
	return map[string]string{string(n): g.service(i, n)}
}

func (g *generator) fault() *Fault {
	n := pick(g, g.services...)
	f := &Fault{Kind: pick(g, FaultKill, FaultKill, FaultKill, FaultOOM, FaultFreeze, FaultClock, FaultFull, FaultIO, FaultReadOnly, FaultCrash,
		FaultHang, FaultLostAlive, FaultSpawn, FaultConnect, FaultConnect, FaultLoseFD)}
	switch f.Kind {
	case FaultKill:
		f.Unit, f.Signal = n, pick(g, 9, 9, 11, 15, 6)
	case FaultOOM:
		f.Unit = n
	case FaultFreeze:
		f.Unit, f.For = n, max(time.Millisecond, g.span(8*time.Second))
	case FaultClock:
		f.For = pick[time.Duration](g, 1, -1) * 30 * 365 * 24 * time.Hour
	case FaultFull, FaultIO, FaultReadOnly:
		f.For = time.Second + g.span(5*time.Second)
	case FaultSpawn:
		f.Path, f.Times = "/bin/"+strings.TrimSuffix(string(n), ".service"), 1+g.rng.IntN(3)
	case FaultConnect, FaultLoseFD:
		f.Key = "u0.socket/0"
	}
	return f
}
