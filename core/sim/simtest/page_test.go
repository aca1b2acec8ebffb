package simtest_test

import (
	"os"
	"testing"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/core/sim/simtest"
)

func TestWeb(t *testing.T) {
	m := simtest.Boot(t, simtest.Config{
		Units:    os.DirFS("testdata/web"),
		Programs: map[string]sim.Program{"/usr/bin/database": {Runs: sim.Forever, Ready: 3 * time.Second}},
	})
	if err := m.Order("database.service", "web.service"); err != nil {
		t.Error(err)
	}
	if d := m.BootTime(); d > 5*time.Second {
		t.Errorf("the boot took %v", d)
	}
}
