package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest/wire"
)

func TestParseCmdline(t *testing.T) {
	require.Equal(t, cmdline{root: "/dev/vda", init: "/sbin/init"}, parseCmdline(""))
	require.Equal(t, cmdline{root: "/dev/vdb", init: "/x", readOnly: true}, parseCmdline("quiet root=/dev/vdb rw ro init=/x console=ttyS0\n"))
}

func TestParseStat(t *testing.T) {
	p, err := parseStat("42 (a) (b) S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 0 0\n")
	require.NoError(t, err)
	require.Equal(t, wire.Proc{PID: 42, PPID: 7, Comm: "a) (b", State: "S", Start: 4711}, p)
}

func TestListProcsFindsThisProcess(t *testing.T) {
	procs, err := listProcs()
	require.NoError(t, err)
	found := false
	for _, p := range procs {
		found = found || p.PID == os.Getpid() && p.PPID == os.Getppid()
	}
	require.True(t, found)
}

func FuzzParseStat(f *testing.F) {
	f.Add("42 (a) S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 0 0")
	f.Add("()")
	f.Add(")1(")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := parseStat(s); err == nil && len(p.Comm) >= len(s) {
			t.Fatalf("parseStat(%q) = %+v; want a shorter command name", s, p)
		}
	})
}
