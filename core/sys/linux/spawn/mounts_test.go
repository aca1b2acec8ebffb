package spawn

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys/shim"
)

const mountText = `20 1 8:1 / / rw - ext4 /dev/sda1 rw
21 20 0:5 / /proc rw - proc proc rw
22 20 0:6 / /net rw - autofs systemd-1 rw
23 20 0:7 / /mnt/my\040share rw - nfs4 server:/ rw
24 20 0:8 / /home rw - nfs server:/home rw
25 24 0:9 / /home rw - tmpfs tmpfs rw
26 20 0:10 / /opt rw - fuse.sshfs x rw
27 26 0:11 / /opt/local rw - xfs /dev/sdb rw
28 20 0:12 / /new rw - brandnewfs x rw
`

func TestResolve(t *testing.T) {
	table, ok := parseMounts([]byte(mountText))
	require.True(t, ok)
	links := map[string]string{
		"/bin": "usr/bin", "/usr/bin/editor": "/etc/alternatives/editor", "/etc/alternatives/editor": "../../opt/vi",
		"/loop": "/loop", "/up": "../../../../usr", "/share": "/mnt/my share/x", "/usr/bin/rel": "../lib/rel", "/home/l": "/usr",
	}
	var touched []string
	look := func(p string) (string, bool) {
		touched = append(touched, p)
		target, ok := links[p]
		return target, ok
	}
	for path, want := range map[string]string{
		"/bin/sh": "/usr/bin/sh", "/usr/bin/rel": "/usr/lib/rel", "/up/x": "/usr/x", "/": "/", "/usr/./../usr//bin": "/usr/bin",
		"/home/l/x": "/usr/x", "/loop": "/loop", "/opti": "/opti",
		"/bin/editor": "", "/net/host/x": "", "/net": "", "/share": "", "/opt/vi": "", "/opt/local/x": "", "/new/x": "",
	} {
		touched = nil
		got, local := table.resolve(path, look)
		require.Equal(t, want != "", local, path)
		if local {
			require.Equal(t, want, got, path)
		}
		for _, p := range touched {
			for _, dead := range []string{"/net", "/opt", "/mnt/my share", "/new"} {
				require.False(t, p == dead || strings.HasPrefix(p, dead+"/"), "%s: touched %s", path, p)
			}
		}
	}
	table.trust("/opt/local/bin/shim")
	table.trust("/new/shim")
	_, local := table.resolve("/new/x", look)
	require.True(t, local, "where the shim itself lies nothing is gained by it")
}

func TestUnknownMountTableIsRemote(t *testing.T) {
	for _, text := range []string{"", "nonsense\n", "1 2 3\n", "20 1 8:1 / / rw ext4\n"} {
		_, ok := parseMounts([]byte(text))
		require.False(t, ok, "%q", text)
	}
	table, ok := parseMounts([]byte("20 1 8:1 / /usr rw - ext4 x rw\n"))
	require.True(t, ok)
	require.True(t, table.isRemote("/etc/x"))
}

func FuzzMounts(f *testing.F) {
	f.Add([]byte(mountText), "/home/x/../y", "/a")
	f.Add([]byte("1 1 1 / /\\999 rw - x x\n"), "a//..", "../..")
	f.Fuzz(func(t *testing.T, text []byte, path, target string) {
		table, ok := parseMounts(text)
		if !ok {
			return
		}
		n := 0
		got, local := table.resolve(path, func(string) (string, bool) { n++; return target, n%3 == 0 })
		if local && !strings.HasPrefix(got, "/") {
			t.Fatalf("resolve(%q) = %q", path, got)
		}
	})
}

func FuzzInterpreter(f *testing.F) {
	f.Add([]byte("#! /usr/bin/env python\n"))
	f.Add([]byte("#!\n"))
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := parseInterpreter(b); ok && !strings.HasPrefix(p, "/") {
			t.Fatalf("parseInterpreter(%q) = %q", b, p)
		}
	})
}

func TestMemoryOrder(t *testing.T) {
	require.NotEqual(t, bigEndian, nativeLittle(), "cpuMask is written for this byte order")
	require.Equal(t, []byte{0b101, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0}, cpuMask([]int{0, 2, 65, 99999, -1}))
	require.Nil(t, cpuMask(nil))
	require.Equal(t, 203, shim.ExitExec)
}
