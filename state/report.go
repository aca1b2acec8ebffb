package state

import "fmt"

// Damage is a kind of problem that Open or Load met and went past.
type Damage uint8

// The kinds of damage.
const (
	TornTail    Damage = iota + 1 // a file ends in the middle of a frame: a commit that was being written at the crash
	BadChecksum                   // bytes changed after they were written
	BadFrame                      // no frame where one should begin
	BadHeader                     // a file whose two headers are both unreadable: nothing of it is used
	BadRecord                     // an intact frame whose content makes no sense
	LostCommits                   // a gap in the sequence: Count commits were recorded once and are lost
	MissingFile                   // a log that others prove to have existed
	Unfinished                    // a snapshot without its end
	Unreadable                    // the system refused to read
	NotWritable                   // no new log can be written: commits will fail, see CommitError
	NoReserve                     // the file system cannot set space aside, or has none
)

// String is a short description.
func (d Damage) String() string {
	names := [...]string{"", "torn tail", "bad checksum", "bad frame", "bad header", "bad record", "lost commits",
		"missing file", "unfinished snapshot", "unreadable", "not writable", "no reserve"}
	if int(d) < len(names) && d != 0 {
		return names[d]
	}
	return fmt.Sprintf("damage %d", uint8(d))
}

// Problem is one piece of damage.
type Problem struct {
	Damage Damage
	File   string
	Offset int64  // where in the file
	Bytes  int64  // how many bytes are not used
	Count  uint64 // LostCommits: how many
	Err    error  // the system's error, if there was one
}

// String describes the problem in one line.
func (p Problem) String() string {
	s := fmt.Sprintf("%s: %s at %d, %d bytes", p.File, p.Damage, p.Offset, p.Bytes)
	if p.Count != 0 {
		s += fmt.Sprintf(", %d commits", p.Count)
	}
	if p.Err != nil {
		s += ": " + p.Err.Error()
	}
	return s
}

// maxProblems bounds the list: a file of random bytes has as many problems as bytes.
const maxProblems = 64

// Report says what was found when the store was opened.
type Report struct {
	Format   uint32 // the oldest format found: below Format, the store was migrated
	Files    int
	Bytes    int64  // read
	Commits  uint64 // replayed from logs
	Records  int    // live keys
	Lost     uint64 // commits that are proved lost
	Dropped  int64  // bytes not used because of damage
	Problems []Problem
	Omitted  int // problems beyond the first 64
}

// Clean reports whether nothing at all was wrong. A torn tail is not clean, but it is what a crash in the middle of
// a write leaves: the commit in it was never acknowledged.
func (r *Report) Clean() bool { return len(r.Problems) == 0 }

// Whole reports whether nothing that was acknowledged can be missing: no problems, or torn tails only.
func (r *Report) Whole() bool {
	for _, p := range r.Problems {
		switch p.Damage {
		case TornTail, NotWritable, NoReserve:
		default:
			return false
		}
	}
	return r.Omitted == 0
}

func (r *Report) add(p Problem) {
	r.Dropped += p.Bytes
	if p.Damage == LostCommits {
		r.Lost += p.Count
	}
	if len(r.Problems) == maxProblems {
		r.Omitted++
		return
	}
	r.Problems = append(r.Problems, p)
}
