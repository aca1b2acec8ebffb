package core

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// The flight recorder: a page of memory that outlives the core. Before the engine does something
// that somebody's code or data could make it die of, it notes what; the next core finds the note
// and knows what the last one died of. A note is a few stores to memory: no system call, no
// allocation. The page is also where deaths are counted, because a core that dies before its first
// commit can count nowhere else.
//
// What is in the page may be anything - an older version's, torn, forged: every note carries a check,
// and one that does not agree is no note.

// RecorderSize is the length of a Recorder's Page in bytes.
const RecorderSize = 4096

// Recorder configures the flight recorder; the zero value is none, and then nothing is quarantined.
type Recorder struct {
	// Page is RecorderSize bytes that survive the process: memory of a descriptor that init keeps.
	Page []byte
	// Generation counts the cores that init has started. A note is believed only of the core just
	// before this one.
	Generation uint64
	// Blame says that the core before this one died by itself: a crash, a hang, its own use of
	// memory. Not when somebody killed it.
	Blame bool
}

// poisonDeaths is how many deaths over the same thing, none of them followed by a turn that got
// past it, make it poison. init gives up a core that dies more than five times in a minute: this
// has to be less.
const poisonDeaths = 3

// suspectTime is how long a death is held against what the core was doing.
const suspectTime = time.Hour

// The page. All numbers are little-endian.
const (
	recMagic   = 0x736d_6672_0000_0001 // this format: its version is the low half
	recMagicAt = 0
	recGenAt   = 8
	recNoteAt  = 16
	slotSize   = 304
	slotsAt    = recNoteAt + slotSize
	recSlots   = (RecorderSize - slotsAt) / slotSize
	maxName    = 255

	// Within a slot: the current note, or a suspect.
	atHead  = 0 // stage, kind, length of the name, deaths
	atID    = 8
	atArg   = 16
	atWhen  = 24 // of a suspect: the last death, monotonic
	atCheck = 32
	atName  = 48
)

// note is one thing that the engine is about to do.
type note struct {
	stage stage
	kind  uint8  // of event, effect, job or request: see notes.go
	arg   uint64 // the effect's number
	id    uint64 // tells one input from another, and is the same when it is replayed
	name  string // the unit, if it is about one
}

// suspect is a note that cores have died in.
type suspect struct {
	note
	deaths int
	when   time.Duration
	passed bool // this turn got past it
}

func (s *suspect) same(n *note) bool {
	return s.stage == n.stage && s.kind == n.kind && s.name == n.name && (s.id == n.id || s.stage.ofUnit())
}

// recorder is the engine's end of the page. A nil recorder takes notes and keeps none.
type recorder struct {
	page     []byte
	stack    [8]note // what is being done, and within what; deeper ones are not noted
	depth    int
	name     string // ... and the name that stands there: mostly the next note is of the same unit
	nameSum  uint64
	suspects []suspect
	last     *suspect // what the core before this one died of
}

// openRecorder reads what the last core left, and makes the page ours. The order of the stores
// matters: no crash here makes one death count twice.
func openRecorder(cfg Recorder, now time.Duration) *recorder {
	if len(cfg.Page) < RecorderSize {
		return nil
	}
	r := &recorder{page: cfg.Page[:RecorderSize:RecorderSize]}
	if r.get(recMagicAt) != recMagic {
		clear(r.page)
		r.put(recMagicAt, recMagic)
	}
	before := r.get(recGenAt)
	r.put(recGenAt, cfg.Generation)
	for i := range recSlots {
		if s, ok := r.read(slotsAt + i*slotSize); ok && s.deaths > 0 && s.when <= now && now-s.when < suspectTime {
			r.suspects = append(r.suspects, s)
		}
	}
	if died, ok := r.read(recNoteAt); ok && cfg.Blame && before+1 == cfg.Generation {
		r.blame(died.note, now)
	}
	r.save()
	r.put(recNoteAt, 0)
	r.put(recNoteAt+atWhen, 0)
	return r
}

// blame counts a death.
func (r *recorder) blame(n note, now time.Duration) {
	for i := range r.suspects {
		if s := &r.suspects[i]; s.same(&n) {
			s.note, s.deaths, s.when = n, min(s.deaths+1, 250), now
			r.last = s
			return
		}
	}
	if len(r.suspects) == recSlots { // the oldest makes room, those that are not yet poison first
		old := 0
		for i := range r.suspects {
			a, b := &r.suspects[i], &r.suspects[old]
			if pa, pb := a.deaths >= poisonDeaths, b.deaths >= poisonDeaths; !pa && pb || pa == pb && a.when < b.when {
				old = i
			}
		}
		r.suspects = append(r.suspects[:old], r.suspects[old+1:]...)
	}
	r.suspects = append(r.suspects, suspect{note: n, deaths: 1, when: now})
	r.last = &r.suspects[len(r.suspects)-1]
}

// begin notes what is done from now on. The result is for end.
func (r *recorder) begin(n note) (outer int) {
	if r == nil || r.depth == len(r.stack) {
		return -1
	}
	outer = r.depth
	r.stack[outer] = n
	r.depth++
	r.note(&r.stack[outer])
	return outer
}

// note writes the current note.
func (r *recorder) note(n *note) {
	p := r.page[recNoteAt : recNoteAt+slotSize : recNoteAt+slotSize]
	name := n.name
	if len(name) > maxName {
		name = name[:maxName]
	}
	if name != r.name {
		binary.LittleEndian.PutUint64(p[atHead:], 0)
		r.name, r.nameSum = name, nameSum(name)
		copy(p[atName:], name)
	}
	head := uint64(n.stage) | uint64(n.kind)<<8 | uint64(len(name))<<16
	binary.LittleEndian.PutUint64(p[atID:], n.id)
	binary.LittleEndian.PutUint64(p[atArg:], n.arg)
	binary.LittleEndian.PutUint64(p[atCheck:], checkOf(head, n.id, n.arg, 0)^r.nameSum)
	binary.LittleEndian.PutUint64(p[atHead:], head)
}

// end says that what begin noted is over, and that what was noted before is going on.
func (r *recorder) end(outer int) {
	if r == nil || outer < 0 {
		return
	}
	if len(r.suspects) > 0 {
		r.pass(&r.stack[outer])
	}
	r.depth = outer
	if outer == 0 {
		r.put(recNoteAt, 0)
		return
	}
	r.note(&r.stack[outer-1])
}

// pass remembers that n was survived.
func (r *recorder) pass(n *note) {
	for i := range r.suspects {
		if s := &r.suspects[i]; s.same(n) && s.id == n.id {
			s.passed = true
		}
	}
}

// turned says that a turn ended: what it got past is no longer suspected.
func (r *recorder) turned() {
	if r != nil && len(r.suspects) > 0 {
		r.drop(func(s *suspect) bool { return s.passed && s.deaths < poisonDeaths })
	}
}

// drop forgets suspects.
func (r *recorder) drop(which func(*suspect) bool) {
	if r == nil {
		return
	}
	keep := r.suspects[:0]
	for i := range r.suspects {
		if !which(&r.suspects[i]) {
			keep = append(keep, r.suspects[i])
		}
	}
	if len(keep) != len(r.suspects) {
		r.suspects = keep
		r.save()
	}
}

// save writes the table of suspects.
func (r *recorder) save() {
	for i := range recSlots {
		if i < len(r.suspects) {
			s := &r.suspects[i]
			r.write(slotsAt+i*slotSize, &s.note, s.deaths, s.when)
		} else {
			r.put(slotsAt+i*slotSize, 0)
		}
	}
}

func (r *recorder) put(at int, v uint64) { binary.LittleEndian.PutUint64(r.page[at:], v) }
func (r *recorder) get(at int) uint64    { return binary.LittleEndian.Uint64(r.page[at:]) }

func (r *recorder) write(at int, n *note, deaths int, when time.Duration) {
	name := n.name
	if len(name) > maxName {
		name = name[:maxName]
	}
	head := uint64(n.stage) | uint64(n.kind)<<8 | uint64(len(name))<<16 | uint64(deaths)<<32
	p := r.page[at : at+slotSize : at+slotSize]
	binary.LittleEndian.PutUint64(p[atID:], n.id)
	binary.LittleEndian.PutUint64(p[atArg:], n.arg)
	binary.LittleEndian.PutUint64(p[atWhen:], uint64(when))
	copy(p[atName:], name)
	binary.LittleEndian.PutUint64(p[atCheck:], checkOf(head, n.id, n.arg, uint64(when))^nameSum(name))
	binary.LittleEndian.PutUint64(p[atHead:], head)
}

// read gives what stands at a slot, if it is whole and can be a note at all.
func (r *recorder) read(at int) (s suspect, ok bool) {
	p := r.page[at : at+slotSize]
	head := binary.LittleEndian.Uint64(p[atHead:])
	n := int(head >> 16 & 0xffff)
	if head == 0 || n > maxName {
		return s, false
	}
	s.stage, s.kind, s.deaths = stage(head), uint8(head>>8), int(head>>32&0xff)
	s.id, s.arg = binary.LittleEndian.Uint64(p[atID:]), binary.LittleEndian.Uint64(p[atArg:])
	s.when = time.Duration(binary.LittleEndian.Uint64(p[atWhen:]))
	s.name = string(p[atName : atName+n])
	if checkOf(head, s.id, s.arg, uint64(s.when))^nameSum(s.name) != binary.LittleEndian.Uint64(p[atCheck:]) || s.stage >= numStages {
		return s, false
	}
	if _, err := unit.ParseName(s.name); s.name != "" && err != nil {
		return s, false
	}
	return s, true
}

func checkOf(head, id, arg, when uint64) uint64 {
	return recMagic ^ head ^ bits.RotateLeft64(id, 11) ^ bits.RotateLeft64(arg, 23) ^ bits.RotateLeft64(when, 37)
}

func nameSum(name string) (sum uint64) {
	for len(name) >= 8 {
		sum = bits.RotateLeft64(sum, 7) ^ word(name)
		name = name[8:]
	}
	return bits.RotateLeft64(sum, 7) ^ rest(name)
}

// word is the number that eight bytes are, rest the one of fewer.
func word(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func rest(s string) (v uint64) {
	for i := range len(s) {
		v |= uint64(s[i]) << (8 * i)
	}
	return v
}

// hashWord and hashString tell inputs apart; they need not resist anybody, but stay the same from
// one process to the next.
func hashWord(h, v uint64) uint64 {
	h = (h ^ v) * 0x9e3779b97f4a7c15
	return h ^ h>>29
}

// hashString looks at 512 bytes at most: what is noted must not cost more when it is long.
func hashString(h uint64, s string) uint64 {
	h = hashWord(h, uint64(len(s)))
	if len(s) > 512 {
		s = s[:512]
	}
	for len(s) >= 8 {
		h = hashWord(h, word(s))
		s = s[8:]
	}
	return hashWord(h, rest(s))
}
