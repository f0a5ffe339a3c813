// SPDX-License-Identifier: Apache-2.0

package ringside

import "sync/atomic"

// store is one copy of a table: a hash table of rows, open addressing, linear
// probing, at most three quarters full.
//
//	tags  │ 0 │ t │ t │ 0 │ ...            0: empty; else seven bits of the hash
//	rows  │   │ key, value │ key, value │   │ ...    each padded to 8
//
// Where a row begins follows from the hash alone, so that a lookup waits for
// memory once. A key that is removed leaves no mark: what lies behind it moves
// up. Nothing here is a Go pointer: the garbage collector does not look at it.
//
// A store never moves: one that is too small is replaced by a larger one. A
// reader that looks at it while it is written (see guard) therefore sees wrong
// rows at worst, which it throws away, and never memory that is not the store's.
//
// Where a row lies depends on nothing but the order of the changes, so two
// stores of one size that saw the same changes are equal byte by byte. That is
// what changelog builds on.
type store struct {
	guard guard
	pins  atomic.Int64 // snapshots that need it as it is

	seed      seed
	keySize   int
	valueAt   int // in a row
	valueSize int
	stride    int
	room      int // rows that it may have
	tags      []uint8
	rows      []byte // len(tags) * stride, aligned to 8

	// What the table says of a store that it shows.
	source   atomic.Pointer[Source]
	count    atomic.Int64
	scan     atomic.Uint64
	timeNS   atomic.Uint64
	realtime atomic.Int64 // to be added to timeNS

	n int // rows; the writer's own
}

// minRoom is the number of rows to make room for when the first one is there.
// Before that nothing bounds the size of a row.
const minRoom = 48

func newStore(s seed, keySize, valueSize, room int) *store {
	pad := func(n int) int { return (n + 7) &^ 7 }
	slots := room + room/3 + 1
	made := &store{
		seed: s, keySize: keySize, valueAt: pad(keySize), valueSize: valueSize, stride: pad(keySize) + pad(valueSize),
		room: room, tags: make([]uint8, slots),
	}
	if room > 0 {
		made.rows = alignedBytes(slots * made.stride)
	}
	return made
}

// bytes is how much memory the store takes.
func (s *store) bytes() int { return len(s.tags) + len(s.rows) }

// key and value are those of the row at a slot.
func (s *store) key(at int) []byte { return s.rows[at*s.stride:][:s.keySize:s.keySize] }
func (s *store) value(at int) []byte {
	return s.rows[at*s.stride+s.valueAt:][:s.valueSize:s.valueSize]
}

// home is the slot where a search begins; tagOf what it looks for. The one is
// made of the upper bits of the hash, the other of the lower.
func (s *store) home(h uint32) int { return int(uint64(h) * uint64(len(s.tags)) >> 32) }
func tagOf(h uint32) uint8         { return uint8(h) | 0x80 }

// find is the slot of a key, or the one where it would be. It ends whatever the
// tags are.
func (s *store) find(h uint32, key []byte) (at int, ok bool) {
	tags, tag := s.tags, tagOf(h)
	at = s.home(h)
	for range tags {
		if uint(at) >= uint(len(tags)) {
			at = 0
		}
		switch tags[at] {
		case tag:
			if sameKey(s.key(at), key) {
				return at, true
			}
		case 0:
			return at, false
		}
		at++
	}
	return 0, false
}

func (s *store) lookup(key []byte) (at int, ok bool) { return s.find(s.seed.hash(key), key) }

// put stores a row. There must be room for one more.
func (s *store) put(key, value []byte, log *changelog) {
	h := s.seed.hash(key)
	at, ok := s.find(h, key)
	if !ok {
		s.n++
		s.tags[at] = tagOf(h)
		copy(s.key(at), key)
	}
	copy(s.value(at), value)
	log.slot(at)
}

// remove forgets a key, and moves up the rows behind it that would not be found
// any more.
func (s *store) remove(key []byte, log *changelog) {
	hole, ok := s.lookup(key)
	if !ok {
		return
	}
	s.n--
	for at := s.after(hole); s.tags[at] != 0; at = s.after(at) {
		// From its home to the hole is no farther than to where it is.
		if home := s.home(s.seed.hash(s.key(at))); s.distance(home, hole) <= s.distance(home, at) {
			s.tags[hole] = s.tags[at]
			copy(s.row(hole), s.row(at))
			log.slot(hole)
			hole = at
		}
	}
	s.tags[hole] = 0
	log.slot(hole)
}

func (s *store) row(at int) []byte { return s.rows[at*s.stride:][:s.stride] }

func (s *store) after(at int) int {
	if at++; at < len(s.tags) {
		return at
	}
	return 0
}

// distance is how many steps a search takes from one slot to the other.
func (s *store) distance(from, to int) int {
	if to >= from {
		return to - from
	}
	return to - from + len(s.tags)
}

// clear forgets all rows.
func (s *store) clear() {
	clear(s.tags)
	s.n = 0
}

// fill makes an empty s, of at least the room, hold what from holds.
func (s *store) fill(from *store) {
	s.n = from.n
	if len(s.tags) == len(from.tags) {
		copy(s.tags, from.tags)
		copy(s.rows, from.rows)
		return
	}
	for i, tag := range from.tags {
		if tag == 0 {
			continue
		}
		at := s.home(s.seed.hash(from.key(i)))
		for s.tags[at] != 0 {
			at = s.after(at)
		}
		s.tags[at] = tag
		copy(s.row(at), from.row(i))
	}
}
