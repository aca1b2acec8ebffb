package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
)

// kind is what sort of service a member of the fleet is.
type kind string

const (
	kindSimple  kind = "simple"  // Type=simple
	kindNotify  kind = "notify"  // Type=notify
	kindForking kind = "forking" // Type=forking with a PID file: init is its parent
	kindOneshot kind = "oneshot" // ends at once and stays active
	kindRestart kind = "restart" // Type=notify and Restart=always
	kindSocket  kind = "socket"  // Type=notify behind a socket
)

func kinds() []kind {
	return []kind{kindNotify, kindSimple, kindForking, kindSocket, kindRestart, kindOneshot}
}

// notifies says whether the service sends notifications.
func (k kind) notifies() bool { return k == kindNotify || k == kindRestart || k == kindSocket }

// returns says whether the service is started again when it has ended by itself: by
// Restart=, or because clients knock at its socket.
func (k kind) returns() bool { return k == kindRestart || k == kindSocket }

const (
	unitDir    = "/run/systemd/system"
	prefix     = "torture-"
	targetUnit = prefix + "fleet.target"
	sliceUnit  = "torture.slice"
)

// member is one service.
type member struct {
	name  string // without .service
	kind  kind
	churn bool // the workload may end it; nobody may touch the others
}

func (m member) unit() string { return m.name + ".service" }

// fleet chooses n services. Of twenty, eight notify, four are simple, three fork away, two
// stand behind sockets, two come back, one is a oneshot; the first ones are one of each. Without clients nobody would
// start a service again that has ended behind its socket: none of those is told to.
func fleet(n, churn, clients int, rng *rand.Rand) []member {
	all := kinds()
	mix := strings.Fields("notify notify notify notify notify notify notify notify simple simple simple simple " +
		"forking forking forking socket socket restart restart oneshot")
	list := make([]member, n)
	for i := range list {
		k := kind(mix[rng.IntN(len(mix))])
		if i < len(all) {
			k = all[i]
		}
		list[i] = member{name: fmt.Sprintf("%s%04d", prefix, i), kind: k, churn: rng.IntN(100) < churn && (k != kindSocket || clients > 0)}
	}
	return list
}

// files are the unit files of the fleet, by name. self is this program.
func files(list []member, self, dir string) map[string]string {
	out := make(map[string]string)
	var target strings.Builder
	target.WriteString("[Unit]\nDescription=The services of torture\n")
	for _, m := range list {
		fmt.Fprintf(&target, "Wants=%s\n", m.unit())
		out[m.unit()] = m.service(self, dir)
		if m.kind == kindSocket {
			fmt.Fprintf(&target, "Wants=%s.socket\n", m.name)
			out[m.name+".socket"] = fmt.Sprintf("[Unit]\nDescription=torture's socket\n"+
				"[Socket]\nListenStream=%s\nTriggerLimitIntervalSec=0\n", socketPath(dir, m.name))
		}
	}
	out[targetUnit] = target.String()
	return out
}

// service is the member's unit file.
func (m member) service(self, dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[Unit]\nDescription=torture's %s service\nStartLimitIntervalSec=0\n", m.kind)
	if m.kind == kindSocket {
		fmt.Fprintf(&b, "Requires=%s.socket\nAfter=%s.socket\n", m.name, m.name)
	}
	fmt.Fprintf(&b, "[Service]\nSlice=%s\nEnvironment=GOMAXPROCS=1\nStandardOutput=null\n", sliceUnit)
	fmt.Fprintf(&b, "ExecStart=%s %s %s %s %s\n", self, partServe, dir, m.name, m.kind)
	switch m.kind {
	case kindSimple:
		b.WriteString("Type=simple\n")
	case kindForking:
		fmt.Fprintf(&b, "Type=forking\nPIDFile=%s\n", pidPath(dir, m.name))
	case kindOneshot:
		b.WriteString("Type=oneshot\nRemainAfterExit=yes\n")
	case kindRestart:
		b.WriteString("Type=notify\nRestart=always\nRestartSec=20ms\n")
	default:
		b.WriteString("Type=notify\n")
	}
	return b.String()
}

// Places of a service below the directory.
func journalPath(dir, name string) string { return filepath.Join(dir, "log", name) }
func controlPath(dir, name string) string { return filepath.Join(dir, "ctl", name) }
func socketPath(dir, name string) string  { return filepath.Join(dir, "sock", name) }
func pidPath(dir, name string) string     { return filepath.Join(dir, "pid", name) }
