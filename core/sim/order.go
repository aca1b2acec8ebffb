package sim

import (
	"fmt"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// BootTime is how long the boot took: from the start of the first core to the end of the last job
// that the boot had queued. 0 while it goes on.
func (m *Machine) BootTime() time.Duration { return m.bootTime }

// Booted reports whether the boot is over.
func (m *Machine) Booted() bool { return m.booted }

// TimeToActive is how long a unit took from leaving inactive to becoming active, the last time that
// it did; 0 if it never did.
func (m *Machine) TimeToActive(n unit.Name) time.Duration {
	u := m.engine.View().Unit(n)
	if u == nil || u.Times.ActiveEnter.Mono == 0 {
		return 0
	}
	return max(0, u.Times.ActiveEnter.Mono-u.Times.InactiveExit.Mono)
}

// Order checks that each of the units began to start only when the one before was active. The error
// says which did not, with both times since the start of the machine.
func (m *Machine) Order(names ...unit.Name) error {
	for i := range max(0, len(names)-1) {
		a, b := m.engine.View().Unit(names[i]), m.engine.View().Unit(names[i+1])
		switch {
		case a == nil || a.Times.ActiveEnter.Mono == 0:
			return fmt.Errorf("cannot compare %s with %s: %s was never active", names[i], names[i+1], names[i])
		case b == nil || b.Times.InactiveExit.Mono == 0:
			return fmt.Errorf("cannot compare %s with %s: %s was never started", names[i], names[i+1], names[i+1])
		case b.Times.InactiveExit.Mono < a.Times.ActiveEnter.Mono:
			return fmt.Errorf("%s began to start at %v, before %s was active at %v", names[i+1], b.Times.InactiveExit.Mono-bootedAt,
				names[i], a.Times.ActiveEnter.Mono-bootedAt)
		}
	}
	return nil
}

// Starts are the times at which main processes of a unit were made, since the start of the machine.
func (m *Machine) Starts(n unit.Name) (at []time.Duration) {
	for _, s := range m.started {
		if s.unit == n {
			at = append(at, s.at-bootedAt)
		}
	}
	return at
}

// bootedAt is the machine's monotonic time when its first core starts: not 0, which means "never".
const bootedAt = time.Second
