package process

import (
	"os/exec"
	"strings"
	"testing"
)

// TestHurried: a child has real-time priority (2 is SCHED_RR), in all its threads, until it is calm; who started it never has.
func TestHurried(t *testing.T) {
	program := buildOf(t, "hurry")
	for range 10 {
		out, err := exec.Command(program).CombinedOutput()
		if strings.Contains(string(out), "refused: operation not permitted") {
			t.Skip("no real-time priority here")
		}
		if want := "parent [0]\nhurried [2]\ncalm [0]\ngrandchild [0]\nparent [0]\n"; err != nil || string(out) != want {
			t.Fatalf("%v, %q; want %q", err, out, want)
		}
	}
}
