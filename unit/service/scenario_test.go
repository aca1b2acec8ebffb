package service

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// scenarios are whole lives of services. Each is run twice: as it is, and with a snapshot and
// restore before every event, which must make no difference.
var scenarios = []struct {
	name  string
	lines []string
	run   func(r *rig)
}{
	{"simple", []string{"ExecStart=/bin/a"}, func(r *rig) {
		r.start().role("main").want("start", "success")
		r.up(10).want("running", "success")
		r.send(unit.Stop{}).sig(0, 15).want("stop-sigterm", "success")
		r.killed(10, 15).want("final-sigterm", "success")
		r.send(unit.CgroupEmpty{}).want("dead", "success")
	}},
	{"simple, group empty first", []string{"ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(10).send(unit.Stop{})
		r.send(unit.CgroupEmpty{}).want("stop-sigterm", "success")
		r.killed(10, 15).want("dead", "success")
	}},
	{"simple fails", []string{"ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(10).exit(10, 3).want("stop-sigterm", "exit-code")
		seq, _ := find[unit.Kill](r)
		r.send(unit.Done{Seq: seq, None: true}).want("failed", "exit-code")
		r.start().want("start", "success")
	}},
	{"simple cannot be made", []string{"ExecStart=/bin/a", "ExecStop=/bin/stop"}, func(r *rig) {
		seq, _ := find[unit.Spawn](r.start())
		r.send(unit.Spawned{Seq: seq, Err: &unit.SpawnError{Status: 203, Step: "execve", Msg: "no such file"}}).want("failed", "exit-code")
	}},
	{"set-up fails", []string{"ExecStart=/bin/a", "RuntimeDirectory=a"}, func(r *rig) {
		r.send(unit.Start{})
		seq, _ := find[unit.Dirs](r)
		r.send(unit.Done{Seq: seq, Err: "read-only file system"}).want("failed", "resources")
	}},
	{"all lists", []string{"ExecCondition=/bin/c", "ExecStartPre=/bin/p1", "ExecStartPre=-/bin/p2", "ExecStart=/bin/a",
		"ExecStartPost=/bin/post", "ExecReload=/bin/r1 ; /bin/r2", "ExecStop=/bin/s $MAINPID", "ExecStopPost=/bin/sp"}, func(r *rig) {
		r.start().role("condition/0").up(1).want("condition", "success")
		r.exit(1, 0).role("start-pre/0").want("start-pre", "success")
		r.up(2).exit(2, 0).role("start-pre/1")
		r.up(3).exit(3, 7).role("main").want("start", "success")
		r.up(4).want("start-post", "success")
		r.up(5)
		_, post := find[unit.Spawn](r)
		if post.Role != "start-post/0" || !post.Control || !slices.Contains(post.Env, "MAINPID=4") {
			r.t.Errorf("start-post = %+v", post)
		}
		r.exit(5, 0).want("running", "success")
		r.send(unit.Reload{}).role("reload/0").want("reload", "success")
		r.up(6).exit(6, 0).role("reload/1").up(7).exit(7, 0).want("running", "success")
		if r.reload == nil || !*r.reload {
			r.t.Error("the reload was not reported")
		}
		r.send(unit.Stop{}).role("stop/0").want("stop", "success")
		r.up(8).exit(4, 0).want("stop", "success")
		r.exit(8, 0).want("stop-sigterm", "success")
		r.send(unit.CgroupEmpty{}).role("stop-post/0").want("stop-post", "success")
		_, sp := find[unit.Spawn](r)
		if !slices.Equal(sp.Env, []string{"SERVICE_RESULT=success", "EXIT_CODE=exited", "EXIT_STATUS=0"}) {
			r.t.Errorf("Env = %q", sp.Env)
		}
		r.up(9).exit(9, 0)
		r.send(unit.CgroupEmpty{}).want("dead", "success")
	}},
	{"condition says no", []string{"ExecCondition=/bin/c", "ExecStart=/bin/a", "Restart=always"}, func(r *rig) {
		r.start().up(1).exit(1, 1)
		r.send(unit.CgroupEmpty{}).want("dead", "exec-condition")
	}},
	{"condition fails", []string{"ExecCondition=/bin/c", "ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(1).exit(1, 255)
		r.send(unit.CgroupEmpty{}).want("failed", "exit-code")
	}},
	{"oneshot", []string{"Type=oneshot", "ExecStart=/bin/a", "ExecStart=-/bin/b", "ExecStart=/bin/c"}, func(r *rig) {
		r.start().up(1).want("start", "success")
		r.exit(1, 0).role("main").up(2).exit(2, 9).role("main").up(3).exit(3, 0)
		r.send(unit.CgroupEmpty{}).want("dead", "success")
	}},
	{"oneshot remains", []string{"Type=oneshot", "RemainAfterExit=yes", "ExecStart=/bin/a", "ExecStop=/bin/s"}, func(r *rig) {
		r.start().up(1)
		r.send(unit.CgroupEmpty{}).exit(1, 0).want("exited", "success")
		r.send(unit.Stop{}).want("stop", "success").role("stop/0")
		r.up(2)
		r.send(unit.CgroupEmpty{}).exit(2, 0).want("dead", "success")
	}},
	{"oneshot without command", []string{"Type=oneshot", "RemainAfterExit=yes", "ExecStop=/bin/s"}, func(r *rig) {
		r.start().want("exited", "success")
		r.send(unit.Stop{}).up(2)
		r.send(unit.CgroupEmpty{}).exit(2, 0).want("dead", "success")
	}},
	{"exec", []string{"Type=exec", "ExecStart=/bin/a"}, func(r *rig) {
		seq, _ := find[unit.Spawn](r.start())
		r.send(unit.Spawned{Seq: seq, Proc: proc(5)}).want("start", "success")
		r.send(unit.Execed{Seq: seq}).want("running", "success")
	}},
	{"exec fails", []string{"Type=exec", "ExecStart=/bin/a"}, func(r *rig) {
		seq, _ := find[unit.Spawn](r.start())
		r.send(unit.Spawned{Seq: seq, Proc: proc(5)})
		r.send(unit.Execed{Seq: seq, Err: &unit.SpawnError{Status: 217, Step: "User", Msg: "no such user"}}).want("start", "success")
		r.send(unit.CgroupEmpty{}).exit(5, 217).want("failed", "exit-code")
	}},
	{"dbus", []string{"BusName=org.example.A", "ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(5).want("running", "success")
	}},
	{"forking, PID file there", []string{"Type=forking", "PIDFile=/run/a.pid", "ExecStart=/bin/a", "RuntimeDirectory=a"}, func(r *rig) {
		r.start().role("start").up(1).want("start", "success")
		r.exit(1, 0)
		seq, f := find[unit.ReadPIDFile](r)
		if f.Path != "/run/a.pid" {
			r.t.Errorf("Path = %q", f.Path)
		}
		r.send(unit.PIDRead{Seq: seq, Proc: proc(50)}).want("running", "success")
		if _, a := find[unit.Attach](r); a.Proc != proc(50) {
			r.t.Errorf("Attach = %v", a)
		}
		r.exit(50, 0)
		seq, _ = find[unit.ReadPIDFile](r)
		r.send(unit.PIDRead{Seq: seq, Proc: proc(51)}).want("running", "success")
		r.exit(51, 0)
		seq, _ = find[unit.ReadPIDFile](r)
		r.send(unit.PIDRead{Seq: seq, Err: "no such process"}).want("stop-sigterm", "success")
		r.send(unit.CgroupEmpty{}).want("dead", "success")
	}},
	{"forking, PID file late", []string{"Type=forking", "PIDFile=a.pid", "ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(1).exit(1, 0)
		seq, _ := find[unit.ReadPIDFile](r)
		r.send(unit.PIDRead{Seq: seq, NotYet: true, Err: "not there"}).want("start", "success")
		seq, _ = find[unit.ReadPIDFile](r)
		_, _ = find[unit.WatchPath](r)
		r.send(unit.PIDRead{Seq: seq, NotYet: true}).want("start", "success")
		r.send(unit.PathChanged{ID: "pid-file"})
		seq, _ = find[unit.ReadPIDFile](r)
		r.send(unit.PIDRead{Seq: seq, Proc: proc(50)}).want("running", "success")
		_, _ = find[unit.UnwatchPath](r)
	}},
	{"forking, PID file never", []string{"Type=forking", "PIDFile=/run/a.pid", "ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(1).exit(1, 0)
		seq, _ := find[unit.ReadPIDFile](r)
		r.send(unit.PIDRead{Seq: seq, NotYet: true})
		seq, _ = find[unit.ReadPIDFile](r)
		r.send(unit.PIDRead{Seq: seq, NotYet: true}).want("start", "success")
		r.send(unit.CgroupEmpty{}).want("failed", "protocol")
	}},
	{"forking, guessed", []string{"Type=forking", "ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(1).exit(1, 0)
		seq, _ := find[unit.FindMain](r)
		r.send(unit.PIDRead{Seq: seq, Proc: proc(7)}).want("running", "success")
		r.send(unit.CgroupEmpty{}).exit(7, 1).want("failed", "exit-code")
	}},
	{"forking, unknown main", []string{"Type=forking", "GuessMainPID=no", "ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(1).exit(1, 0).want("running", "success")
		r.send(unit.CgroupEmpty{}).want("dead", "success")
	}},
	{"forking, times out", []string{"Type=forking", "ExecStart=/bin/a", "TimeoutSec=5"}, func(r *rig) {
		r.start().up(1).timer("state").sig(0, 15).want("stop-sigterm", "timeout")
		r.timer("state").sig(0, 9).want("stop-sigkill", "timeout")
		r.killed(1, 9)
		r.send(unit.CgroupEmpty{}).want("failed", "timeout")
	}},
	{"notify", []string{"Type=notify", "ExecStart=/bin/a", "WatchdogSec=10", "TimeoutStartSec=20"}, func(r *rig) {
		r.start()
		_, sp := find[unit.Spawn](r)
		if !sp.Notify || sp.Watchdog != 10*time.Second {
			r.t.Errorf("Spawn = %+v", sp)
		}
		r.up(5).want("start", "success")
		r.notify(6, "READY=1").want("start", "success") // not the main process
		r.notify(5, "EXTEND_TIMEOUT_USEC=60000000")
		r.notify(5, "STATUS=hello", "READY=1").want("running", "success")
		r.notify(5, "WATCHDOG=1")
		r.notify(5, "RELOADING=1").want("reload", "success")
		r.notify(5, "READY=1").want("running", "success")
		r.timer("watchdog").sig(0, 6).want("stop-watchdog", "watchdog")
		r.send(unit.CgroupEmpty{}).killed(5, 6).want("failed", "watchdog")
	}},
	{"notify, never ready", []string{"Type=notify", "ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(5)
		r.send(unit.CgroupEmpty{}).exit(5, 0).want("failed", "protocol")
	}},
	{"notify, stopping by itself", []string{"Type=notify", "ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(5).notify(5, "READY=1").notify(5, "STOPPING=1").want("stop-sigterm", "success")
		r.send(unit.CgroupEmpty{}).exit(5, 0).want("dead", "success")
	}},
	{"notify, main process moves", []string{"Type=notify", "NotifyAccess=all", "ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(5).notify(9, "MAINPID=9", "READY=1").want("running", "success")
		seq, f := find[unit.FindMain](r)
		if f.PID != 9 {
			r.t.Errorf("FindMain = %v", f)
		}
		r.send(unit.PIDRead{Seq: seq, Proc: proc(9)})
		r.exit(5, 0).want("running", "success")
		r.send(unit.CgroupEmpty{}).exit(9, 0).want("dead", "success")
	}},
	{"restart", []string{"ExecStart=/bin/a", "Restart=on-failure", "RestartSec=2"}, func(r *rig) {
		r.start().up(5)
		r.send(unit.CgroupEmpty{}).exit(5, 1).want("auto-restart", "exit-code")
		if _, a := find[unit.Arm](r); a.At != r.now+2*time.Second {
			r.t.Errorf("Arm = %v", a)
		}
		r.timer("state")
		if _, e := find[unit.Enqueue](r); e != (unit.Enqueue{Unit: "x.service", Type: unit.JobRestart, Mode: unit.ModeReplace}) {
			r.t.Errorf("Enqueue = %v", e)
		}
		r.send(unit.Stop{}).want("dead", "exit-code")
		r.start().up(6).want("running", "success")
		if n := prop(r, "NRestarts"); n != uint32(1) {
			r.t.Errorf("NRestarts = %v", n)
		}
		r.send(unit.CgroupEmpty{}).exit(6, 1).want("auto-restart", "exit-code")
		r.start().up(7).want("running", "success")
		r.send(unit.Stop{}).send(unit.CgroupEmpty{}).killed(7, 9).want("failed", "signal")
		r.start()
		if n := prop(r, "NRestarts"); n != uint32(0) {
			r.t.Errorf("NRestarts after a manual start = %v", n)
		}
	}},
	{"restart prevented and forced", []string{"ExecStart=/bin/a", "Restart=on-failure", "RestartPreventExitStatus=255 SIGKILL", "RestartForceExitStatus=0"}, func(r *rig) {
		r.start().up(5)
		r.send(unit.CgroupEmpty{}).exit(5, 255).want("failed", "exit-code")
		r.start().up(6)
		r.send(unit.CgroupEmpty{}).killed(6, 9).want("failed", "signal")
		r.start().up(7)
		r.send(unit.CgroupEmpty{}).exit(7, 0).want("auto-restart", "success")
	}},
	{"start limit", []string{"ExecStart=/bin/a", "Restart=always"}, func(r *rig) {
		r.start().up(5)
		r.send(unit.CgroupEmpty{}).exit(5, 0).want("auto-restart", "success")
		r.timer("state").send(unit.Stop{})
		r.send(unit.Request{Kind: unit.RequestStartLimitHit}).want("failed", "start-limit-hit")
		r.send(unit.Request{Kind: unit.RequestResetFailed}).want("dead", "success")
	}},
	{"runtime limit", []string{"ExecStart=/bin/a", "RuntimeMaxSec=60"}, func(r *rig) {
		r.start().up(5).timer("state").want("stop-sigterm", "timeout")
		r.send(unit.CgroupEmpty{}).killed(5, 15).want("failed", "timeout")
	}},
	{"kill mode mixed", []string{"ExecStart=/bin/a", "KillMode=mixed"}, func(r *rig) {
		r.start().up(5).send(unit.Stop{}).sig(5, 15).want("stop-sigterm", "success")
		r.killed(5, 15).sig(0, 9).want("final-sigkill", "success")
		r.send(unit.CgroupEmpty{}).want("dead", "success")
	}},
	{"kill mode process", []string{"ExecStart=/bin/a", "KillMode=process"}, func(r *rig) {
		r.start().up(5).send(unit.Stop{}).sig(5, 15)
		r.killed(5, 15).want("dead", "success")
	}},
	{"kill mode process, signal before the process", []string{"ExecStart=/bin/a", "KillMode=process", "Type=notify"}, func(r *rig) {
		r.start().send(unit.Stop{}).want("stop-sigterm", "success")
		r.up(5)
		if _, k := find[unit.Kill](r); k.Proc != proc(5) || k.Signal != 15 {
			r.t.Errorf("Kill = %v", k)
		}
		r.killed(5, 15).want("dead", "success")
	}},
	{"kill mode none", []string{"ExecStart=/bin/a", "KillMode=none", "ExecStop=/bin/s"}, func(r *rig) {
		r.start().up(5).send(unit.Stop{}).up(6).exit(6, 0).want("dead", "success")
	}},
	{"SendSIGKILL=no", []string{"ExecStart=/bin/a", "SendSIGKILL=no"}, func(r *rig) {
		r.start().up(5).send(unit.Stop{}).timer("state").want("final-sigterm", "timeout")
		r.timer("state").want("failed", "timeout")
	}},
	{"unkillable", []string{"ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(5).send(unit.Stop{}).timer("state").timer("state").want("failed", "timeout")
	}},
	{"OOM stops", []string{"ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(5).send(unit.OOM{}).want("stop-sigterm", "oom-kill")
	}},
	{"OOM continues", []string{"ExecStart=/bin/a", "OOMPolicy=continue"}, func(r *rig) {
		r.start().up(5).send(unit.OOM{}).want("running", "success")
	}},
	{"reload fails", []string{"ExecStart=/bin/a", "ExecReload=/bin/r"}, func(r *rig) {
		r.start().up(5).send(unit.Reload{}).up(6).exit(6, 1).want("running", "success")
		if r.reload == nil || *r.reload {
			r.t.Error("the failed reload was not reported")
		}
		r.send(unit.Reload{}).up(7).timer("state").sig(7, 9).want("running", "success")
	}},
	{"exit type cgroup", []string{"ExecStart=/bin/a", "ExitType=cgroup"}, func(r *rig) {
		r.start().up(5).exit(5, 0).want("running", "success")
		r.send(unit.CgroupEmpty{}).want("dead", "success")
	}},
	{"stored descriptors", []string{"ExecStart=/bin/a", "FileDescriptorStoreMax=2", "Restart=always"}, func(r *rig) {
		r.start().up(5)
		n := unit.Notified{From: proc(5), Fields: []unit.Field{{Key: "FDSTORE", Value: "1"}, {Key: "FDNAME", Value: "db"}}, FDs: []unit.FDRef{{Key: "t1"}, {Key: "t2"}, {Key: "t3"}}}
		r.send(n)
		if s, d := emitted[unit.StoreFD](r), emitted[unit.DropFD](r); len(s) != 2 || len(d) != 1 || !slices.Equal(d[0].Keys, []string{"t3"}) {
			r.t.Errorf("StoreFD %v, DropFD %v", s, d)
		}
		// The same message, to the next core: the first descriptor is where it came, the second is stored.
		key := emitted[unit.StoreFD](r)[1].To
		n.FDs = []unit.FDRef{{Key: "u1"}, {Key: "u2"}, {Key: "u3"}}
		n.Same = [][]string{{"t1", "elsewhere"}, {key}}
		r.send(n)
		if s, d := emitted[unit.StoreFD](r), emitted[unit.DropFD](r); len(s) != 0 || len(d) != 1 || !slices.Equal(d[0].Keys, []string{"u1", "u2", "u3"}) {
			r.t.Errorf("StoreFD %v, DropFD %v for what is stored already", s, d)
		}
		r.send(unit.CgroupEmpty{}).exit(5, 0).want("auto-restart", "success")
		r.start()
		_, sp := find[unit.Spawn](r)
		if len(sp.FDs) != 2 || sp.FDs[0].Name != "db" {
			r.t.Errorf("FDs = %v", sp.FDs)
		}
		r.up(6).notify(6, "FDSTOREREMOVE=1", "FDNAME=db")
		if d := emitted[unit.DropFD](r); len(d) != 1 || len(d[0].Keys) != 2 {
			r.t.Errorf("DropFD = %v", d)
		}
	}},
	{"socket activation", []string{"ExecStart=/bin/a"}, func(r *rig) {
		r.related[unit.TriggeredBy] = []unit.Name{"x.socket", "y.socket"}
		r.peers["x.socket"] = unit.Peer{FDs: []unit.FDRef{{Key: "x.0", Name: "x"}}}
		r.peers["y.socket"] = unit.Peer{FDs: []unit.FDRef{{Key: "y.0", Name: "y"}}}
		r.start()
		_, sp := find[unit.Spawn](r)
		if !slices.Equal(sp.FDs, []unit.FDRef{{Key: "x.0", Name: "x"}, {Key: "y.0", Name: "y"}}) {
			r.t.Errorf("FDs = %v", sp.FDs)
		}
	}},
	{"connection as standard input", []string{"ExecStart=-/bin/a", "StandardInput=socket"}, func(r *rig) {
		r.send(unit.Request{Kind: unit.RequestAttach, FDs: []unit.FDRef{{Key: "conn", Name: "connection"}}})
		r.start()
		_, sp := find[unit.Spawn](r)
		if sp.Stdin != "conn" || len(sp.FDs) != 0 {
			r.t.Errorf("Spawn = %+v", sp)
		}
		r.up(5)
		if d := emitted[unit.DropFD](r); len(d) != 1 || d[0].Keys[0] != "conn" {
			r.t.Errorf("DropFD = %v", d)
		}
		r.send(unit.CgroupEmpty{}).exit(5, 255).want("dead", "success")
	}},
	{"recovery forgets nothing", []string{"Type=forking", "PIDFile=/run/a.pid", "ExecStart=/bin/a"}, func(r *rig) {
		r.start().up(1).exit(1, 0)
		seq, _ := find[unit.ReadPIDFile](r)
		r.send(unit.PIDRead{Seq: seq, NotYet: true})
		r.send(unit.Recovered{})
		if len(emitted[unit.WatchPath](r)) != 1 {
			r.t.Error("the watch was not set again")
		}
	}},
}

// TestForgottenReady: a service whose READY=1 may be lost with the store is not killed by its start timeout, in this core or a later one;
// one whose main process is gone fails as ever.
func TestForgottenReady(t *testing.T) {
	for _, limit := range []string{"TimeoutStartSec=6", "TimeoutStartSec=infinity"} {
		r := newRig(t, Options{}, "Type=notify", "ExecStart=/bin/x", limit)
		r.restore = true
		r.start().up(5).send(unit.Recovered{Forgetful: true}).want("start", "success")
		r.send(unit.Recovered{}).timer("state").want("running", "success")
	}
	r := newRig(t, Options{}, "Type=notify", "ExecStart=/bin/x", "TimeoutStartSec=6")
	r.start().up(5).send(unit.Recovered{}).timer("state").want("stop-sigterm", "timeout")
	r = newRig(t, Options{}, "Type=oneshot", "ExecStart=/bin/x", "TimeoutStartSec=6")
	r.start().up(5).send(unit.Recovered{Forgetful: true}).timer("state").want("stop-sigterm", "timeout")
	r = newRig(t, Options{}, "Type=notify", "ExecStart=/bin/x", "TimeoutStartSec=6")
	r.start().up(5).send(unit.Recovered{Forgetful: true}).notify(5, "READY=1").want("running", "success")
}

func prop(r *rig, name string) any {
	for _, v := range r.u.Props() {
		if v.Name == name {
			return v.V
		}
	}
	return nil
}

func TestScenarios(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			plain := newRig(t, Options{}, sc.lines...)
			sc.run(plain)
			again := newRig(t, Options{}, sc.lines...)
			again.restore = true
			sc.run(again)
			if !reflect.DeepEqual(plain.all, again.all) || !slices.Equal(plain.trace, again.trace) {
				t.Errorf("with restores in between:\n%q\nwithout:\n%q", again.trace, plain.trace)
			}
		})
	}
}
