package core

import "time"

// Units can trigger each other in a circle in which no process is ever started: one wants another, whose
// start limit refuses it, and OnFailure= begins again. Each round is a job that a state change asks for
// in the next turn, so that the engine would turn without end and never wait. After wheelMost such turns
// on end, which nothing from outside came into and which asked nothing of the world, each further
// round waits for wheelPause: the circle goes on, as its files say, and the machine rests.

const (
	wheelMost  = 256
	wheelPause = time.Second
)

// wheel counts those turns.
type wheel struct {
	turns int
	until time.Duration // monotonic: when the next round may be
}

// waits reports whether the next round has to wait.
func (w *wheel) waits(now time.Duration) bool { return w.turns >= wheelMost && now < w.until }

// turned counts a turn that jobs of the last one were taken in; idle says that nothing else was in it.
func (w *wheel) turned(idle bool, next time.Duration) (said bool) {
	if !idle {
		w.turns = 0
		return false
	}
	w.turns++
	w.until = next
	return w.turns == wheelMost
}
