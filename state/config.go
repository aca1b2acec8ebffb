package state

import (
	"cmp"
	"unicode/utf8"
)

// Config says where a Log lives and how big it may get. The zero value of each field but Dir has a default.
type Config struct {
	Dir string // made with mode 0700
	FS  FS     // instead of Dir; a private directory with NewDirFDFS

	// Sync makes each commit durable against power loss with fsync(2). Without it, which is right on a tmpfs, a commit
	// survives the death of the process, not that of the kernel.
	Sync bool

	// Reserve is set aside for commits after UseReserve, in bytes: default 1 MiB, negative for none.
	Reserve int64

	// CompactAt is the size of all logs in bytes from which compaction is worth it, if it is also more than
	// the live records: default 1 MiB.
	CompactAt int64

	MaxRecord int // bytes of Data, default 16 MiB; a Maintain slice copies at least one record
	MaxCommit int // bytes of all Data and keys of a commit, default and at most 512 MiB

	// Hold has new files written in the format that was found, until Release: the program that wrote them may
	// have to read them again.
	Hold bool

	// Salt is a number that the authors of records cannot guess (see format.go). Zero takes one from the
	// kernel for a DirFS, and is taken as it is for others, so that tests are reproducible.
	Salt uint64

	newest uint32 // of formats; only tests set it
}

func (c *Config) defaults() {
	c.newest = cmp.Or(c.newest, Format)
	c.Reserve = cmp.Or(c.Reserve, 1<<20)
	c.Reserve = max(c.Reserve, 0)
	c.CompactAt = cmp.Or(c.CompactAt, 1<<20)
	c.MaxRecord = cmp.Or(c.MaxRecord, 16<<20)
	c.MaxCommit = min(cmp.Or(c.MaxCommit, maxFrame/2), maxFrame/2)
}

func (c *Config) check(recs []Record) error {
	if len(recs) == 0 {
		return &LimitError{What: "records", Max: int64(c.MaxCommit)}
	}
	var total int64
	for i := range recs {
		r := &recs[i]
		total += int64(len(r.Key) + len(r.Data) + recordOverhead)
		var what string
		var size, most int
		switch {
		case r.Segment >= segments:
			what, size, most = "segment", int(r.Segment), segments-1
		case len(r.Key) == 0 || len(r.Key) > MaxKey:
			what, size, most = "key length", len(r.Key), MaxKey
		case len(r.Data) > c.MaxRecord:
			what, size, most = "record size", len(r.Data), c.MaxRecord
		default:
			continue
		}
		return &LimitError{What: what, Key: shorten(r.Key), Size: int64(size), Max: int64(most)}
	}
	if total > int64(c.MaxCommit) {
		return &LimitError{What: "commit size", Key: shorten(recs[0].Key), Size: total, Max: int64(c.MaxCommit)}
	}
	return nil
}

// recordOverhead is at least what a record takes beside its key and data: 1 + 4 for the record, 2 segment, 3 key,
// 6 version, 6 data.
const recordOverhead = 22

func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}
