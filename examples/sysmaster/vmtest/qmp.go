package vmtest

import (
	"encoding/json"
	"fmt"
	"io"
)

// How a machine ended, as QEMU reports it (QMP's ShutdownCause).
const (
	EndPoweroff = "guest-shutdown"
	EndReboot   = "guest-reset"
	EndPanic    = "guest-panic"
	EndKilled   = "killed" // ours: QEMU went without a word
)

// followQMP enables QMP on conn and gives the reason of the SHUTDOWN event once QEMU closed the connection.
func followQMP(conn io.ReadWriter) (string, error) {
	if _, err := io.WriteString(conn, `{"execute":"qmp_capabilities"}`+"\n"); err != nil {
		return EndKilled, fmt.Errorf("cannot talk to QEMU: %w", err)
	}
	reason := EndKilled
	d := json.NewDecoder(conn)
	for {
		var m struct {
			Event string
			Data  struct{ Reason string }
		}
		if err := d.Decode(&m); err != nil {
			return reason, nil // any end of the stream is QEMU's end
		}
		if m.Event == "SHUTDOWN" && reason == EndKilled {
			reason = m.Data.Reason
		}
	}
}
