package sim

import (
	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sys"
)

// Submit queues a call of the control API as its server would: with a caller, and perhaps an ID by
// which it is recognised when it comes again. It is lost, and not answered, if the core dies before.
func (m *Machine) Submit(r *core.Request) {
	m.ready = append(m.ready, sys.Input{Body: sys.Request{Body: r}})
}
