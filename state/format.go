package state

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/sysmaster-go/sysmaster/state/record"
)

// Format is the newest store format. It is the one that is written, except while Config.Hold keeps to the one that was
// found: whoever raises it goes on writing the old ones.
const Format = 1

// MaxKey is the greatest length of a key in bytes.
const MaxKey = 1024

// The file header stands twice at the beginning of each file. Its layout is the same in every format: that is how
// a program recognises a newer store. All numbers are little-endian.
//
//	 0  magic     "SYSMSTOR"
//	 8  format    uint32
//	12  kind      uint8   1 log, 2 snapshot
//	13  segment   uint8   of a snapshot
//	14  reserved  uint16
//	16  number    uint64  as in the file's name
//	24  salt      uint64  seeds the checksums of this file's frames
//	32  base      uint64  sequence number of a log's first commit
//	40  reserved  20 bytes
//	60  crc32c    uint32  of bytes 0 to 59
const (
	headerMagic = "SYSMSTOR"
	headerSize  = 64
	dataStart   = 2 * headerSize
)

type fileKind uint8

const (
	kindLog      fileKind = 1
	kindSnapshot fileKind = 2
)

type header struct {
	format  uint32
	kind    fileKind
	segment Segment
	number  uint64
	salt    uint64
	base    uint64
}

func (h header) bytes(tab *crc32.Table) []byte {
	b := make([]byte, dataStart)
	copy(b, headerMagic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], h.format)
	b[12], b[13] = byte(h.kind), byte(h.segment)
	le.PutUint64(b[16:], h.number)
	le.PutUint64(b[24:], h.salt)
	le.PutUint64(b[32:], h.base)
	le.PutUint32(b[60:], crc32.Checksum(b[:60], tab))
	copy(b[headerSize:], b[:headerSize])
	return b
}

// parseHeader takes the first of the two copies that is intact.
func parseHeader(b []byte, tab *crc32.Table) (h header, ok bool) {
	le := binary.LittleEndian
	for ; len(b) >= headerSize; b = b[headerSize:] {
		if string(b[:8]) != headerMagic || le.Uint32(b[60:]) != crc32.Checksum(b[:60], tab) {
			continue
		}
		return header{
			format: le.Uint32(b[8:]), kind: fileKind(b[12]), segment: Segment(b[13]),
			number: le.Uint64(b[16:]), salt: le.Uint64(b[24:]), base: le.Uint64(b[32:]),
		}, true
	}
	return h, false
}

// A frame is a commit, or a part of a snapshot. The header has a checksum of its own, so that damage in the content
// does not cost the frames behind it.
//
//	 0  magic    0xC7A5
//	 2  type     uint8   1 commit, 2 part of a snapshot, 3 end of a snapshot
//	 3  format   uint8   of the content
//	 4  length   uint32  of the content
//	 8  seq      uint64  commit: number of the commit, without gaps over all logs; snapshot: number of the part
//	16  content  crc32c, seeded with the file's salt
//	20  header   crc32c of bytes 0 to 19, seeded with the file's salt
//
// Content of types 1 and 2: field 1 repeated, a message {1 segment, 2 key, 3 version, 4 data or 5 deleted} in
// package record's encoding, of type 3: {1 number of records}. Unknown fields of a record are carried along by compaction.
//
// The salt keeps bytes that a user put into a record (an Environment= that looks like a frame) from being taken
// for a frame when the search after damage comes upon them.
const (
	frameMagic = 0xC7A5
	frameSize  = 24
	maxFrame   = 1 << 30

	frameCommit = 1
	framePart   = 2
	frameEnd    = 3
)

type frame struct {
	typ     uint8
	format  uint8
	length  int
	seq     uint64
	content uint32
}

func sealFrame(b []byte, typ uint8, format uint32, seq uint64, seed uint32, tab *crc32.Table) {
	le := binary.LittleEndian
	le.PutUint16(b, frameMagic)
	b[2], b[3] = typ, uint8(format)
	le.PutUint32(b[4:], uint32(len(b)-frameSize))
	le.PutUint64(b[8:], seq)
	le.PutUint32(b[16:], crc32.Update(seed, tab, b[frameSize:]))
	le.PutUint32(b[20:], crc32.Update(seed, tab, b[:20]))
}

func parseFrame(b []byte, seed uint32, tab *crc32.Table) (f frame, ok bool) {
	le := binary.LittleEndian
	if le.Uint16(b) != frameMagic || le.Uint32(b[20:]) != crc32.Update(seed, tab, b[:20]) {
		return f, false
	}
	f = frame{typ: b[2], format: b[3], length: int(le.Uint32(b[4:])), seq: le.Uint64(b[8:]), content: le.Uint32(b[16:])}
	return f, f.length <= maxFrame
}

// seedOf turns a salt into the seed of a file's checksums.
func seedOf(salt uint64, tab *crc32.Table) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], salt)
	return crc32.Checksum(b[:], tab)
}

// Tags of a record.
const (
	tagRecord = 1 // in a frame

	tagSegment = 1
	tagKey     = 2
	tagVersion = 3
	tagData    = 4
	tagDeleted = 5

	tagCount = 1 // in a frame of type end
)

// encodeRecord appends r and returns the length of its content, which ends at the encoder's end.
func encodeRecord(e *record.Encoder, r *Record) int {
	m := e.Begin(tagRecord)
	at := e.Len()
	e.Uint(tagSegment, uint64(r.Segment))
	e.String(tagKey, r.Key)
	e.OptUint(tagVersion, uint64(r.Version))
	if r.Data == nil {
		e.Bool(tagDeleted, true)
	} else {
		e.Bytes(tagData, r.Data)
	}
	n := e.Len() - at
	e.End(m)
	return n
}

// encodeRaw appends a record that is encoded already, with whatever unknown fields it has.
func encodeRaw(e *record.Encoder, content []byte) {
	m := e.Begin(tagRecord)
	e.Raw(content)
	e.End(m)
}

// rawRecord is a decoded record; it aliases the bytes that it was read from.
type rawRecord struct {
	segment Segment
	key     []byte
	version uint32
	data    []byte
	deleted bool
}

// field decodes one field, leaving alone those of a later program.
func (r *rawRecord) field(f record.Field) (err error) {
	switch f.Tag {
	case tagSegment:
		return record.Uint(f, &r.segment)
	case tagKey:
		r.key, err = f.Bytes()
	case tagVersion:
		return record.Uint(f, &r.version)
	case tagData:
		r.data, err = f.Bytes()
	case tagDeleted:
		r.deleted, err = f.Bool()
	}
	return err
}

// decodeRecord reads a record's content; ok is false if it is not one that this store could have written.
func decodeRecord(content []byte) (r rawRecord, ok bool) {
	for off := 0; off < len(content); {
		f, n, err := record.First(content[off:])
		if err != nil || r.field(f) != nil {
			return r, false
		}
		off += n
	}
	ok = r.segment < segments && len(r.key) > 0 && len(r.key) <= MaxKey && r.deleted == (r.data == nil)
	return r, ok
}
