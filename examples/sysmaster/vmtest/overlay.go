package vmtest

import (
	"fmt"
	"sort"
	"strings"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest/image"
)

// Paths of ours in the guest.
const (
	InitPath    = "/usr/lib/sysmaster/sysmaster-init"
	CorePath    = "/usr/lib/sysmaster/sysmaster-core"
	CtlPath     = "/usr/bin/sctl"
	SystemdPath = "/lib/systemd/systemd"

	unitDir      = "/etc/systemd/system/"
	generatorDir = "/etc/systemd/system-generators/"
	countDir     = "/var/lib/count/"
)

// Programs are ours, as the image has them.
func Programs() []image.Program {
	return []image.Program{
		{Package: "./examples/sysmaster/init", Path: InitPath, Signals: true},
		{Package: "./examples/sysmaster/core", Path: CorePath},
		{Package: "./examples/sysmaster/exec", Path: "/usr/lib/sysmaster/sysmaster-exec"},
		{Package: "./examples/sctl", Path: CtlPath},
	}
}

// Programs that the guest's core and init are asked to go over to.
const (
	NextCorePath    = "/usr/lib/sysmaster/next/sysmaster-core"
	NextInitPath    = "/usr/lib/sysmaster/next/sysmaster-init"
	DyingCorePath   = "/usr/lib/sysmaster/next/dying-core"
	HangingCorePath = "/usr/lib/sysmaster/next/hanging-core"
)

// UpgradePrograms are another version of each, two cores that pass for good ones until they are to take over, and the torture kit.
func UpgradePrograms() []image.Program {
	const other = "./examples/sandbox/testdata/other"
	return []image.Program{
		{Package: "./examples/sysmaster/init", Path: NextInitPath, LDFlags: "-X main.version=next", Signals: true},
		{Package: "./examples/sysmaster/core", Path: NextCorePath, LDFlags: "-X main.version=next"},
		{Package: other, Path: DyingCorePath, LDFlags: "-X main.how=trial-exits"},
		{Package: other, Path: HangingCorePath, LDFlags: "-X main.how=trial-hangs"},
		{Package: "./examples/torture", Path: TorturePath},
	}
}

// TorturePath is the torture kit in the guest.
const TorturePath = "/usr/lib/sysmaster/torture"

// ServerMasks are the units of a Debian server that have no replacement yet, with the reason. They are masked under either init, so
// that both start the same.
func ServerMasks() map[string]string {
	const journal, login, console = "no journal daemon yet", "no login manager yet", "no console log-in in this machine"
	return map[string]string{
		"systemd-journald.service":            journal,
		"systemd-journald.socket":             journal,
		"systemd-journald-dev-log.socket":     journal,
		"systemd-journald-audit.socket":       journal,
		"systemd-journal-flush.service":       journal,
		"systemd-logind.service":              login,
		"dbus-org.freedesktop.login1.service": login,
		"getty@tty1.service":                  console,
		"getty-static.service":                console,
		"serial-getty@ttyS0.service":          console,
		"e2scrub_reap.service":                "asks for protections that are not there yet, and there is no LVM",
		"systemd-initctl.socket":              "no answer to /dev/initctl yet",
	}
}

// trimmedUnits are masked, beside ServerMasks, when boots are measured: what a trimmed systemd leaves out.
var trimmedUnits = []string{
	"dev-hugepages.mount", "dev-mqueue.mount", "proc-sys-fs-binfmt_misc.automount", "sys-fs-fuse-connections.mount",
	"sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
	"kmod-static-nodes.service", "systemd-modules-load.service", "modprobe@.service", "systemd-remount-fs.service",
	"systemd-random-seed.service", "systemd-sysctl.service", "systemd-sysusers.service", "systemd-binfmt.service",
	"systemd-tmpfiles-setup.service", "systemd-tmpfiles-setup-dev.service", "systemd-tmpfiles-clean.timer",
	"systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-user-sessions.service",
	"systemd-ask-password-console.path", "systemd-ask-password-wall.path", "systemd-firstboot.service", "systemd-pstore.service",
	"systemd-repart.service", "systemd-machine-id-commit.service", "systemd-pcrphase.service", "systemd-pcrphase-sysinit.service",
	"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
}

// generators are masked wherever units are: a measured systemd must not spend its time on them, and a getty that one of them adds
// waits for a device that nobody announces.
var generators = []string{
	"systemd-cryptsetup-generator", "systemd-debug-generator", "systemd-fstab-generator", "systemd-getty-generator",
	"systemd-gpt-auto-generator", "systemd-hibernate-resume-generator", "systemd-integritysetup-generator",
	"systemd-rc-local-generator", "systemd-run-generator", "systemd-system-update-generator", "systemd-sysv-generator",
	"systemd-veritysetup-generator",
}

func mask(path string) image.File { return image.File{Path: path, Link: "/dev/null"} }

func text(path, content string) image.File {
	return image.File{Path: path, Mode: 0o644, Data: []byte(content)}
}

// maskFiles masks ServerMasks and the generators.
func maskFiles() []image.File {
	var files []image.File
	for unit := range ServerMasks() {
		files = append(files, mask(unitDir+unit))
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	for _, g := range generators {
		files = append(files, mask(generatorDir+g))
	}
	return files
}

// Counted is how many counting units the server's image has: count@1.service and so on.
const Counted = 20

// countUnit leaves one mark per run of its start and stop commands. The marks are written by one short append each, so that a run
// cannot be half counted.
const countUnit = `[Unit]
Description=Counts its runs (%i)

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo started >> ` + countDir + `%i.start'
ExecStop=/bin/sh -c 'echo stopped >> ` + countDir + `%i.stop'
`

// Limits are what LimitedUnit asks for, by file of its control group.
func Limits() map[string]string {
	return map[string]string{
		"memory.max": "33554432", "memory.high": "31457280", "memory.swap.max": "1048576", "pids.max": "33",
		"cpu.weight": "77", "cpu.max": "20000 100000",
	}
}

// LimitedUnit and GreedyUnit show that limits reach the kernel. The second takes more memory than it may.
const (
	LimitedUnit = "limited.service"
	GreedyUnit  = "greedy.service"

	limits = `[Service]
MemoryMax=32M
MemoryHigh=30M
MemorySwapMax=1M
TasksMax=33
CPUWeight=77
CPUQuota=20%
ExecStart=/bin/sleep infinity
`
	greed = `[Service]
MemoryMax=8M
MemorySwapMax=0
ExecStart=/bin/sh -c 'x=0123456789abcdef; while :; do x=$$x$$x; done'
`
)

// ServerFiles are laid over the Debian root for the machine test: the masks, and oneshot units that count their runs. The first half
// of those has no order, the second is a chain, so that there is something to be interrupted at any moment of the boot.
func ServerFiles() []image.File {
	files := append(maskFiles(), text(unitDir+"count@.service", countUnit), text(countDir+".keep", ""),
		text(unitDir+LimitedUnit, limits), text(unitDir+GreedyUnit, greed))
	for i := 1; i <= Counted; i++ {
		name := fmt.Sprintf("count@%d.service", i)
		files = append(files, image.File{Path: unitDir + "multi-user.target.wants/" + name, Link: "../count@.service"})
		if i > Counted/2+1 {
			files = append(files, text(unitDir+name+".d/order.conf", fmt.Sprintf("[Unit]\nAfter=count@%d.service\n", i-1)))
		}
	}
	return files
}

// WorkloadPath is the program of measured boots in the guest; workload/workload.c tells what it does.
const WorkloadPath = "/usr/lib/vmtest/workload"

// Workload is something that a boot has to reach: the target that the kernel command line names as systemd.unit=.
type Workload struct {
	Name   string
	Target string
	// Outage says that the time without a manager is measured too, once everything runs: sysMaster's core is killed, systemd, which does
	// not survive that, replaces itself (daemon-reexec).
	Outage bool
}

// Workloads are what boots are measured with: one daemon, the four servers answering, 500 daemons without an order, a chain of 100
// oneshots, and 1,000 units whose manager then goes away.
func Workloads() []Workload {
	return []Workload{
		{"marker", "bench-marker.target", false},
		{"servers", "bench-servers.target", false},
		{"500 services", "bench-services.target", false},
		{"chain of 100", "bench-chain.target", false},
		{"1000 units", "bench-units.target", true},
	}
}

// BenchFiles are laid over the Debian root for measured boots: masks of all that a trimmed systemd leaves out, the workloads' units, and the
// program, which is given.
func BenchFiles(program []byte) []image.File {
	files := append(maskFiles(), image.File{Path: WorkloadPath, Mode: 0o755, Data: program})
	for _, unit := range trimmedUnits {
		files = append(files, mask(unitDir+unit))
	}
	const daemon = "[Service]\nStandardOutput=null\nExecStart=" + WorkloadPath + " %d %s\n"
	marker := text(unitDir+"bench-marker.service", fmt.Sprintf(daemon, 1, "stay"))
	prober := text(unitDir+"bench-prober.service", fmt.Sprintf(daemon, 1, "probe"))
	files = append(files, marker, prober,
		benchTarget("marker", []string{"bench-marker.service"}),
		benchTarget("servers", []string{"ssh.service", "nginx.service", "cron.service", "dbus.service", "bench-prober.service"}))

	const services, links, units = 500, 100, 1000
	daemons := func(kind string, n int) {
		var wants []string
		for i := 1; i <= n; i++ {
			name := fmt.Sprintf("bench-%s-%d.service", kind, i)
			files = append(files, text(unitDir+name, fmt.Sprintf(daemon, n, "stay")))
			wants = append(wants, name)
		}
		files = append(files, benchTarget(kind+"s", wants))
	}
	daemons("service", services)
	daemons("unit", units)
	var wants []string
	for i := 1; i <= links; i++ {
		name := fmt.Sprintf("bench-link-%d.service", i)
		unit := fmt.Sprintf(daemon, links, "exit") + "Type=oneshot\nRemainAfterExit=yes\n"
		if i > 1 {
			unit = fmt.Sprintf("[Unit]\nAfter=bench-link-%d.service\n", i-1) + unit
		}
		files = append(files, text(unitDir+name, unit))
		wants = append(wants, name)
	}
	return append(files, benchTarget("chain", wants))
}

func benchTarget(name string, wants []string) image.File {
	return text(unitDir+"bench-"+name+".target",
		"[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\nWants="+strings.Join(wants, " ")+"\n")
}
