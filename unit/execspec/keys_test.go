package execspec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/unit"
)

// apply decodes lines "Key=value" of [Service]; partial errors are warnings.
func apply(t *testing.T, lines ...string) (*Settings, error) {
	t.Helper()
	spec := &unit.Spec{Name: "x.service"}
	for _, l := range lines {
		k, v, _ := strings.Cut(l, "=")
		spec.Settings = append(spec.Settings, unit.Setting{Section: "Service", Key: k, Value: v})
	}
	for _, s := range spec.Settings {
		if NewDecoder().sets["service"].Lookup("Service", s.Key) == nil {
			t.Fatalf("key %s is not known", s.Key)
		}
	}
	return NewDecoder().Decode(spec)
}

func TestDefaults(t *testing.T) {
	s, err := apply(t)
	require.NoError(t, err)
	require.Equal(t, NewSettings(), *s)
	require.Empty(t, s.Refused())
	require.Equal(t, uint32(0o022), s.Exec.UMask)
	require.True(t, s.Exec.IgnoreSIGPIPE)
	way, why := WayFor(&s.Exec, unit.Command{Path: "/bin/true"}, Circumstances{})
	require.Equal(t, Thread, way, "%v", why) // the session keyring
}

func TestSettings(t *testing.T) {
	s, err := apply(t,
		"User=www-data", "SupplementaryGroups=a b", "SupplementaryGroups=c", "WorkingDirectory=-/srv//www/",
		"UMask=0077", "LimitNOFILE=1024:4096", "LimitCPU=1min", "LimitNICE=+5", "LimitRTTIME=200ms", "LimitMEMLOCK=64M", "LimitCORE=infinity", "LimitCPU=",
		"OOMScoreAdjust=-900", "Nice=5", "IgnoreSIGPIPE=no", "StandardInput=tty-force", "StandardOutput=append:/var/log/x", "StandardError=journal+console",
		`Environment="A=b c" 'D=e' F=`, "EnvironmentFile=-/etc/default/x", "RuntimeDirectory=x x/y", "StateDirectory=s:link", "RuntimeDirectoryMode=0750",
		"CapabilityBoundingSet=CAP_CHOWN CAP_KILL", "CapabilityBoundingSet=CAP_SYS_TIME", "AmbientCapabilities=cap_net_bind_service",
		"CPUSchedulingPolicy=rr", "IOSchedulingClass=idle", "CPUAffinity=0-2 5", "TimerSlackNSec=50us", "KillMode=mixed", "KillSignal=QUIT",
		"Slice=a-b.slice", "MemoryMax=50%", "TasksMax=infinity", "CPUQuota=150%", "CPUWeight=idle", "MemoryLow=64M", "Delegate=cpu pids", "PIDsFoo="[:0]+"AllowedCPUs=1,3")
	require.NoError(t, err)
	c := &s.Exec
	require.Equal(t, []string{"a", "b", "c"}, c.SupplementaryGroups)
	require.Equal(t, "/srv/www", c.WorkingDirectory)
	require.True(t, c.WorkingDirectoryMissingOK)
	require.Equal(t, []Limit{{LimitCORE, RLimInfinity, RLimInfinity}, {LimitNOFILE, 1024, 4096}, {LimitMEMLOCK, 64 << 20, 64 << 20}, {LimitNICE, 15, 15}, {LimitRTTIME, 200000, 200000}}, c.Limits)
	require.Equal(t, []string{"A=b c", "D=e", "F="}, c.Environment)
	require.Equal(t, Stdio{Kind: StdioAppend, Path: "/var/log/x"}, c.Stdout)
	require.Equal(t, Stdio{Kind: StdioJournal, Console: true}, c.Stderr)
	require.Equal(t, []unit.Dir{{Path: "/run/x", Mode: 0o750, User: "www-data"}, {Path: "/run/x/y", Mode: 0o750, User: "www-data"}}, c.RuntimeDirs())
	require.Equal(t, []string{"RUNTIME_DIRECTORY=/run/x:/run/x/y", "STATE_DIRECTORY=/var/lib/s"}, c.DirectoryEnv())
	require.Equal(t, uint64(1<<0|1<<5|1<<25), c.CapabilityBoundingSet)
	require.Equal(t, uint64(1<<10), c.AmbientCapabilities)
	require.Equal(t, []int{0, 1, 2, 5}, c.CPUAffinity)
	require.Equal(t, KillContext{Mode: KillMixed, Signal: 3, FinalSignal: 9, WatchdogSignal: 6, SendSIGKILL: true}, s.Kill)
	require.Equal(t, []string{"cpu", "cpuset", "memory", "pids"}, s.CGroup.Controllers())
	var files []string
	for _, f := range s.CGroup.Files(Capacity{Memory: 1 << 30, Tasks: 1000}) {
		files = append(files, f.Name+"="+f.Value)
	}
	require.Equal(t, []string{"cpu.idle=1", "cpu.max=150000 100000", "cpuset.cpus=1,3", "memory.low=67108864", "memory.max=536870912", "pids.max=max"}, files)
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		lines []string
		want  string
	}{
		{[]string{"ProtectSystem=no", "PrivateTmp=false", "ProtectHome=off", "ProtectProc=default", "ProcSubset=all", "DevicePolicy=auto", "RestrictNamespaces=no"}, ""},
		{[]string{"ProtectSystem=strict", "PrivateTmp=yes", "IPAddressDeny=any"}, "[ProtectSystem=strict PrivateTmp=yes IPAddressDeny=any]"},
		{[]string{"ProtectSystem=strict", "ProtectSystem=no"}, ""},
		{[]string{"SystemCallFilter=@system-service", "SystemCallFilter=~@mount"}, "[SystemCallFilter=~@mount]"},
		{[]string{"SystemCallFilter=@system-service", "SystemCallFilter="}, ""},
		{[]string{"AppArmorProfile=-system_tor", "LoadCredential=passwd.shell.root"}, ""},
		{[]string{"LoadCredential=a:/etc/a"}, "[LoadCredential=a:/etc/a]"},
		{[]string{"ReadWritePaths=/run", "SystemCallErrorNumber=EPERM", "RemoveIPC=yes"}, ""},
		{[]string{"PAMName=systemd-user"}, "[PAMName=systemd-user]"},
	} {
		s, err := apply(t, tc.lines...)
		require.NoError(t, err)
		got := ""
		if r := s.Refused(); r != nil {
			got = fmt.Sprint(r)
		}
		require.Equal(t, tc.want, got, "%q", tc.lines)
	}
}

func TestBadValues(t *testing.T) {
	for _, l := range []string{"Nice=20", "OOMScoreAdjust=1001", "UMask=9", "LimitNOFILE=1K", "LimitNOFILE=5:3", "MemoryMax=0", "TasksMax=0", "TasksMax=1K", "CPUQuota=20",
		"CPUWeight=0", "MemoryMax=101%", "KillMode=all", "KillSignal=SIGNONE", "StandardOutput=file:x", "StandardInput=journal", "User=a:b", "WorkingDirectory=x",
		"EnvironmentFile=x", "ProtectSystem=maybe", "PrivateTmp=maybe", "Slice=x.service", "SecureBits=none", "CPUAffinity=x", "IOSchedulingPriority=8", "Environment=\"A=b",
		"SyslogLevel=loud", "TTYPath=tty1", "RuntimeDirectoryPreserve=maybe", "CPUSchedulingPolicy="} {
		if s, err := apply(t, l); err == nil {
			t.Errorf("%s: accepted: %+v", l, s.Exec)
		}
	}
}

// TestKnowsAll compares with the settings that systemd 252 knows (systemd
// --dump-configuration-items, [Service], those of exec, kill and cgroup).
func TestKnowsAll(t *testing.T) {
	const known = `WorkingDirectory RootDirectory RootImage RootImageOptions RootHash RootHashSignature RootVerity ExtensionDirectories ExtensionImages MountImages
User Group SupplementaryGroups Nice OOMScoreAdjust CoredumpFilter IOSchedulingClass IOSchedulingPriority CPUSchedulingPolicy CPUSchedulingPriority
CPUSchedulingResetOnFork CPUAffinity NUMAPolicy NUMAMask UMask Environment EnvironmentFile PassEnvironment UnsetEnvironment DynamicUser RemoveIPC
StandardInput StandardOutput StandardError StandardInputText StandardInputData TTYPath TTYReset TTYVHangup TTYVTDisallocate TTYRows TTYColumns
SyslogIdentifier SyslogFacility SyslogLevel SyslogLevelPrefix LogLevelMax LogRateLimitIntervalSec LogRateLimitBurst LogExtraFields SecureBits
CapabilityBoundingSet AmbientCapabilities TimerSlackNSec NoNewPrivileges KeyringMode ProtectProc ProcSubset SystemCallFilter SystemCallArchitectures
SystemCallErrorNumber SystemCallLog MemoryDenyWriteExecute RestrictNamespaces RestrictRealtime RestrictSUIDSGID RestrictAddressFamilies LockPersonality
RestrictFileSystems LimitCPU LimitFSIZE LimitDATA LimitSTACK LimitCORE LimitRSS LimitNOFILE LimitAS LimitNPROC LimitMEMLOCK LimitLOCKS LimitSIGPENDING
LimitMSGQUEUE LimitNICE LimitRTPRIO LimitRTTIME ReadWriteDirectories ReadOnlyDirectories InaccessibleDirectories ReadWritePaths ReadOnlyPaths InaccessiblePaths
ExecPaths NoExecPaths ExecSearchPath BindPaths BindReadOnlyPaths TemporaryFileSystem PrivateTmp PrivateDevices ProtectKernelTunables ProtectKernelModules
ProtectKernelLogs ProtectClock ProtectControlGroups NetworkNamespacePath IPCNamespacePath LogNamespace PrivateNetwork PrivateUsers PrivateMounts PrivateIPC
ProtectSystem ProtectHome MountFlags MountAPIVFS Personality RuntimeDirectoryPreserve RuntimeDirectoryMode RuntimeDirectory StateDirectoryMode StateDirectory
CacheDirectoryMode CacheDirectory LogsDirectoryMode LogsDirectory ConfigurationDirectoryMode ConfigurationDirectory SetCredential SetCredentialEncrypted
LoadCredential LoadCredentialEncrypted TimeoutCleanSec PAMName IgnoreSIGPIPE UtmpIdentifier UtmpMode SELinuxContext AppArmorProfile SmackProcessLabel
ProtectHostname Slice AllowedCPUs StartupAllowedCPUs AllowedMemoryNodes StartupAllowedMemoryNodes CPUAccounting CPUWeight StartupCPUWeight CPUShares
StartupCPUShares CPUQuota CPUQuotaPeriodSec MemoryAccounting MemoryMin DefaultMemoryMin DefaultMemoryLow MemoryLow MemoryHigh MemoryMax MemorySwapMax MemoryLimit
DeviceAllow DevicePolicy IOAccounting IOWeight StartupIOWeight IODeviceWeight IOReadBandwidthMax IOWriteBandwidthMax IOReadIOPSMax IOWriteIOPSMax
IODeviceLatencyTargetSec BlockIOAccounting BlockIOWeight StartupBlockIOWeight BlockIODeviceWeight BlockIOReadBandwidth BlockIOWriteBandwidth TasksAccounting
TasksMax Delegate DisableControllers IPAccounting IPAddressAllow IPAddressDeny IPIngressFilterPath IPEgressFilterPath ManagedOOMSwap ManagedOOMMemoryPressure
ManagedOOMMemoryPressureLimit ManagedOOMPreference BPFProgram SocketBindAllow SocketBindDeny RestrictNetworkInterfaces SendSIGKILL SendSIGHUP KillMode KillSignal
RestartKillSignal FinalKillSignal WatchdogSignal`
	for _, section := range []string{"Service", "Socket", "Mount", "Swap"} {
		set := unit.NewKeySet(SettingsKeys(section))
		for _, k := range strings.Fields(known) {
			if set.Lookup(section, k) == nil {
				t.Errorf("%s.%s is not known", section, k)
			}
		}
		for _, k := range set.Keys() {
			if k.Doc == "" || k.Syntax == "" {
				t.Errorf("%s.%s lacks Doc or Syntax", section, k.Name)
			}
		}
	}
}

// FuzzKeys gives every key arbitrary values: no panic, and an error leaves the settings as they were.
func FuzzKeys(f *testing.F) {
	f.Add(uint16(0), "yes")
	f.Add(uint16(20), "a b 'c")
	f.Add(uint16(60), "~CAP_CHOWN 3-5:7")
	keys := SettingsKeys("Service")
	f.Fuzz(func(t *testing.T, n uint16, v string) {
		k := keys[int(n)%len(keys)]
		s := NewSettings()
		before := fmt.Sprintf("%+v", s)
		err := k.Apply(&s, v)
		var partial *unit.Partial
		if err != nil && !isPartial(err, &partial) && fmt.Sprintf("%+v", s) != before {
			t.Errorf("%s=%q: error %v, but the settings changed", k.Name, v, err)
		}
		s.CGroup.Files(Capacity{Memory: 1 << 40, Tasks: 1 << 20})
		s.Props("system.slice")
		WayFor(&s.Exec, unit.Command{}, Circumstances{})
	})
}

func isPartial(err error, p **unit.Partial) bool {
	x, ok := err.(*unit.Partial)
	*p = x
	return ok
}
