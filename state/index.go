package state

import "strings"

// slot is where the newest value of a key lies: in a file, or (file nil) in Log.held.
type slot struct {
	key  Key
	file *dataFile // nil and key.Name "": unused; nil and a key: held in memory
	off  int64     // of the record's content
	next int64     // its offset in the snapshot that is being written
	n    uint32
	crc  uint32 // of the content, so that damage between here and the next reading is noticed
}

// index is the map from keys to slots. Slots have an order, so that nothing depends on that of a Go map.
type index struct {
	slots []slot
	free  []int32
	byKey map[Key]int32
	live  int64 // bytes of the newest values
}

// room makes the index, for about n keys.
func (x *index) room(n int) {
	x.byKey = make(map[Key]int32, n)
	x.slots = make([]slot, 0, n)
}

func (x *index) put(k Key, file *dataFile, off int64, n int, crc uint32) {
	i, ok := x.byKey[k]
	if !ok {
		i = x.add(Key{k.Segment, strings.Clone(k.Name)}) // the caller's may be a piece of something big
	}
	x.set(i, file, off, n, crc)
}

// read is put for what was read: a name is copied when it is new.
func (x *index) read(s Segment, name []byte, file *dataFile, off int64, n int, crc uint32) {
	i, ok := x.byKey[Key{s, string(name)}]
	if !ok {
		i = x.add(Key{s, string(name)})
	}
	x.set(i, file, off, n, crc)
}

func (x *index) add(k Key) (i int32) {
	if last := len(x.free) - 1; last >= 0 {
		i, x.free = x.free[last], x.free[:last]
	} else {
		i = int32(len(x.slots))
		x.slots = append(x.slots, slot{})
	}
	x.byKey[k] = i
	x.slots[i] = slot{key: k}
	return i
}

func (x *index) set(i int32, file *dataFile, off int64, n int, crc uint32) {
	s := &x.slots[i]
	x.live += int64(n) - int64(s.n)
	s.file, s.off, s.n, s.crc = file, off, uint32(n), crc
}

// remove forgets a key.
func (x *index) remove(k Key) {
	i, ok := x.byKey[k]
	if !ok {
		return
	}
	x.live -= int64(x.slots[i].n)
	delete(x.byKey, k)
	x.slots[i] = slot{}
	x.free = append(x.free, i)
}
