package state

import "strconv"

// Segment groups keys by how they change; each segment has a snapshot of its own.
type Segment uint8

// The segments. Their numbers are part of the format.
const (
	Units Segment = 0 // small, changes each turn: units, jobs, intents, processes
	Specs Segment = 1 // big, written once when a unit is loaded: what the unit is
	Meta  Segment = 2 // the engine's own: boot id, counters, why

	segments = 3
)

// String is the segment's name, as in the names of its files.
func (s Segment) String() string {
	switch s {
	case Units:
		return "units"
	case Specs:
		return "specs"
	case Meta:
		return "meta"
	}
	return "segment-" + strconv.Itoa(int(s))
}

// Key names a record: keys of different segments are different.
type Key struct {
	Segment Segment
	Name    string
}

// Record is one key's new value in a commit.
type Record struct {
	Segment Segment
	Key     string // 1 to MaxKey bytes
	Version uint32 // of Data's format, owned by the writer
	Data    []byte // nil deletes the key; empty but not nil is a value
}

// Store is what the engine needs. Log keeps it in files; statetest.Mem keeps it in memory.
// A Store belongs to one goroutine.
type Store interface {
	// Commit makes all records durable at once: after a crash Load sees all of them or none. The records are
	// not kept after the call. A *CommitError says that nothing was recorded and why; a *LimitError that the
	// records are not acceptable.
	Commit(recs []Record) error

	// Load calls fn with the newest value of each key, in an order that depends on the stored bytes only. Data
	// is valid during the call. An error of fn ends Load and is returned as it is. What could not be read is
	// in the report; it is no error.
	Load(fn func(Record) error) (Report, error)

	// Maintain does a slice of the work that keeps the store small and whole: compaction, repair, refilling the
	// reserve. It copies about budget bytes, and at least one record. It is called when the loop is idle, and
	// again soon while more is true. An error is for the log book: the work is tried again at a later call.
	Maintain(budget int) (more bool, err error)

	// UseReserve opens the reserve to the following commits, for stopping, killing and shutting down when Commit
	// says that it cannot. From here on Commit does not fail for want of a disk: when the reserve is
	// used up or the directory is gone too, records are kept in memory (Health.Volatile) and written as
	// soon as that is possible. Maintain closes the reserve again once it is whole.
	UseReserve()

	// Health is the store's condition now.
	Health() Health

	// Close ends the use of the store. It writes nothing: every commit is already where it belongs.
	Close() error
}

// Health is a store's condition.
type Health struct {
	Err        error // why the last attempt to write failed; nil when writing works
	Urgent     bool  // UseReserve was called and the reserve is not whole yet
	Reserve    int64 // bytes that commits can still write without new space
	Volatile   int   // keys whose newest value is in memory only
	Rebuilding bool  // the directory was lost; older records are being written again
	Compacting bool
	Lost       int   // keys that became unreadable since Open: see Log.TakeLost
	Keys       int   // live keys
	Live       int64 // bytes of the newest values
	Logged     int64 // bytes in log files
}

// Interface guard.
var _ Store = (*Log)(nil)
