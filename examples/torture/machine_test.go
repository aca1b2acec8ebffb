package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A service between its fork and its execution has the core's arguments and, once the core is dead, its parent.
func TestAForkedServiceIsNoCore(t *testing.T) {
	require.True(t, ofFleet([]byte("0::/torture.slice/torture-0012.service\n")))
	require.True(t, ofFleet([]byte("1:name=systemd:/x\n0::/box/torture.slice/torture-0012.service/.control\n")))
	require.False(t, ofFleet([]byte("0::/init.scope\n")))
	require.False(t, ofFleet([]byte("0::/\n")))
}
