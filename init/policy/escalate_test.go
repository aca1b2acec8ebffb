package policy

import (
	"testing"
	"time"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

func TestEscalationTable(t *testing.T) {
	type next struct {
		stage Stage
		deed  Deed
	}
	// By stage, then Spent, Replaced, Used, NoShell, Waited, Waited with a reboot configured.
	table := [4][6]next{
		Normal: {{Rescue, StartRescue}, {Normal, StartNormal}, {Normal, Nothing}, {Normal, Nothing}, {Normal, Nothing}, {Normal, Nothing}},
		Rescue: {{Shell, OfferShell}, {Normal, StartNormal}, {Rescue, Nothing}, {Rescue, Nothing}, {Rescue, Nothing}, {Rescue, Nothing}},
		Shell:  {{Shell, Nothing}, {Shell, Nothing}, {Normal, StartNormal}, {Rest, Wait}, {Shell, Nothing}, {Shell, Reboot}},
		Rest:   {{Rest, Nothing}, {Rest, Nothing}, {Rest, Nothing}, {Rest, Nothing}, {Normal, StartNormal}, {Rest, Reboot}},
	}
	for s := Normal; s <= Rest; s++ {
		for h := Spent; h <= Waited; h++ {
			for _, reboot := range []bool{false, true} {
				want := table[s][h]
				if h == Waited && reboot {
					want = table[s][5]
				}
				if stage, deed := s.Next(h, reboot); stage != want.stage || deed != want.deed {
					t.Errorf("%v.Next(%d, %v) = %v, %d; want %v, %d", s, h, reboot, stage, deed, want.stage, want.deed)
				}
			}
		}
	}
}

// Whatever kills the core, and however long each hang takes to notice, it comes to a shell in the
// end; a poison event has its three deaths before that.
func TestEverySeriesOfOwnDeathsEscalates(t *testing.T) {
	for _, c := range []struct {
		name   string
		every  time.Duration // from death to death
		turned bool
	}{
		{"crashes at once", 0, false},
		{"hangs in turns", 10 * time.Second, true}, // Busy and AbortGrace to their ends
		{"hangs at the start", 66 * time.Second, false},
	} {
		r := Retry{Deaths: 5, Window: time.Minute, Delay: 20 * time.Millisecond, MaxDelay: time.Second, RescueDeaths: 2}
		now, stage, deaths := time.Unix(1000, 0), Normal, 0
		var h History
		cause := []fdstore.Cause{fdstore.CauseCrash, fdstore.CauseHang, fdstore.CauseOOM, fdstore.CauseExit}
		for stage != Shell && deaths < 100 {
			if _, spent := h.Died(r.Of(stage), now, cause[deaths%len(cause)], c.turned); spent {
				stage, _ = stage.Next(Spent, false)
			}
			deaths++
			now = now.Add(c.every)
			if stage == Normal && deaths == 6 {
				t.Errorf("%s: still in its normal role after %d deaths", c.name, deaths)
			}
		}
		if deaths != 6+3 {
			t.Errorf("%s: %d deaths until the shell; want 9", c.name, deaths)
		}
	}
}
