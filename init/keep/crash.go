package keep

import (
	"strings"
	"syscall"

	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// MaxCrashes is how many cores' last words are kept.
const MaxCrashes = 3

// NewLastWords makes the memory for a core's last words.
func NewLastWords() (int, error) { return handover.NewMemory("last-words", fdstore.CrashSize) }

// Own reports whether a key is init's own, which a core may neither put nor drop.
func Own(key string) bool { return strings.HasPrefix(key, fdstore.CrashPrefix) }

// KeepCrash takes over the last words of a core, in place of the oldest if there are enough.
func (s *FDs) KeepCrash(c fdstore.Crash, fd int) syscall.Errno {
	oldest, first, n := "", uint64(0), 0
	for key := range s.fds {
		if old, ok := fdstore.ParseCrash(key); ok {
			if n++; oldest == "" || old.Generation < first {
				oldest, first = key, old.Generation
			}
		}
	}
	if n >= MaxCrashes {
		s.Drop(oldest)
	}
	return s.Put(c.Key(), fd)
}
