// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"github.com/ringside-bpf/ringside/clients/go/internal/prefetch"
)

// store is one copy of a table: a hash table of rows, open addressing, linear
// probing from the first slot of a group of eight, at most three quarters full.
//
//	tags  │ t t 0 t t t t t │ 0 ...                0: empty; else seven bits of the hash
//	rows  │ key, value │ key, value │   │ ...      each padded to 8
//
// A search compares the tags of a group in one step, so that it hardly ever
// branches on what the processor cannot foresee: it goes on to the next search
// while this one waits for memory. The tags are small enough to stay in the
// caches; of a large table a lookup waits for the row alone.
//
// A key that is removed leaves no mark: what lies behind it moves up. Nothing
// here is a Go pointer: the garbage collector does not look at it.
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
	room      int     // rows that it may have
	tags      []uint8 // whole groups, at least one
	rows      []byte  // len(tags) * stride, aligned to 8; none if there is no room

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

const (
	group = 8 // slots whose tags are compared at once

	lowest  = 0x0101010101010101 // in each byte of a group's tags
	highest = 0x8080808080808080
)

func newStore(s seed, keySize, valueSize, room int) *store {
	slots := (room + room/3 + group) &^ (group - 1)
	made := &store{
		seed: s, keySize: keySize, valueAt: pad(keySize), valueSize: valueSize, stride: pad(keySize) + pad(valueSize),
		room: room, tags: make([]uint8, slots),
	}
	if room > 0 {
		made.rows = alignedBytes(slots * made.stride)
	}
	return made
}

// pad is the next multiple of 8.
func pad[size int | uintptr](n size) size { return (n + 7) &^ 7 }

// bytes is how much memory the store takes.
func (s *store) bytes() int { return len(s.tags) + len(s.rows) }

// key and value are those of the row at a slot.
func (s *store) key(at int) []byte { return s.rows[at*s.stride:][:s.keySize:s.keySize] }
func (s *store) value(at int) []byte {
	return s.rows[at*s.stride+s.valueAt:][:s.valueSize:s.valueSize]
}

// home is the slot where a search begins, the first of a group; tagOf what it
// looks for. The one is made of the upper bits of the hash, the other of the
// lower.
func (s *store) home(h uint32) int { return int(uint64(h)*uint64(len(s.tags)/group)>>32) * group }
func tagOf(h uint32) uint8         { return uint8(h) | 0x80 }

// taken are the slots that hold a row.
func (s *store) taken(yield func(at int) bool) {
	for i, tag := range s.tags {
		if tag != 0 && !yield(i) {
			return
		}
	}
}

// find is the slot of a key, or the one where it would be. It ends whatever the
// tags are.
func (s *store) find(h uint32, key []byte) (at int, ok bool) {
	from := s.home(h)
	for range len(s.tags) / group {
		if from >= len(s.tags) {
			from = 0
		}
		eight := binary.LittleEndian.Uint64(s.tags[from:])
		for same := withTag(eight, h); same != 0; same &= same - 1 {
			if at = from + slotOf(same); sameKey(s.key(at), key) {
				return at, true
			}
		}
		if empty := ^eight & highest; empty != 0 {
			return from + slotOf(empty), false
		}
		from += group
	}
	return 0, false
}

// likely is the slot where find ends in most cases, found without looking at keys.
func (s *store) likely(h uint32) int {
	from := s.home(h)
	eight := binary.LittleEndian.Uint64(s.tags[from:])
	return from + slotOf(withTag(eight, h)|^eight&highest)%group // slotOf(0) is group
}

// findNear is find where likely has said what to try first, and nothing was removed
// since. Rows fill a group from its first slot on, and a key that is in none of a
// group with room is nowhere: so if that slot is empty still, it is the key's.
func (s *store) findNear(likely int, h uint32, key []byte) (at int, ok bool) {
	switch s.tags[likely] {
	case 0:
		return likely, false
	case tagOf(h):
		if sameKey(s.key(likely), key) {
			return likely, true
		}
	}
	return s.find(h, key)
}

// withTag marks, of the tags of a group, those of a hash, by the highest bit. The
// one behind such a tag may be marked in vain.
func withTag(eight uint64, h uint32) (marks uint64) {
	other := eight ^ uint64(tagOf(h))*lowest
	return (other - lowest) &^ other & highest
}

// slotOf is the slot in a group that is marked first.
func slotOf(marks uint64) int { return bits.TrailingZeros64(marks) / 8 }

func (s *store) slotFor(key []byte) (at int, ok bool) { return s.find(s.seed.hash(key), key) }

// put stores a row at the slot that find has named. There must be room for it.
func (s *store) put(h uint32, at int, found bool, key, value []byte) {
	if !found {
		s.n++
		s.tags[at] = tagOf(h)
		copy(s.key(at), key)
	}
	copy(s.value(at), value)
}

// remove forgets a key, and moves up the rows behind it that would not be found
// any more.
func (s *store) remove(h uint32, key []byte, log *changelog) {
	hole, ok := s.find(h, key)
	if !ok {
		return
	}
	s.n--
	for at := s.after(hole); s.tags[at] != 0; at = s.after(at) {
		// From its home to the hole is no farther than to where it is.
		if home := s.home(s.seed.hash(s.key(at))); s.distance(home, hole) <= s.distance(home, at) {
			s.copyRow(hole, s, at)
			log.slot(hole)
			hole = at
		}
	}
	s.tags[hole] = 0
	log.slot(hole)
}

// copyRow makes a slot what another is, maybe of another store.
func (s *store) copyRow(at int, from *store, slot int) {
	s.tags[at] = from.tags[slot]
	copy(s.row(at), from.row(slot))
}

// copyValues makes the values of slots what they are in another store of the same
// room. Those of a block are asked for while another is copied: see ahead.
func (s *store) copyValues(slots []uint32, from *store) {
	size := s.valueSize
	if size == 0 {
		return
	}
	var blocks [2][block]uint
	ask := func(first int) (offsets []uint) {
		n := min(block, len(slots)-first)
		if n <= 0 {
			return nil
		}
		offsets = blocks[first/block%2][:n]
		for i, slot := range slots[first:][:n] {
			offsets[i] = uint(slot)*uint(s.stride) + uint(s.valueAt)
		}
		prefetch.Spans(s.rows, offsets, size)
		return offsets
	}
	for now, first := ask(0), block; len(now) > 0; first += block {
		next := ask(first)
		for _, at := range now {
			copy(s.rows[at:at+uint(size)], from.rows[at:at+uint(size)])
		}
		now = next
	}
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
	for i := range from.taken {
		at := s.home(s.seed.hash(from.key(i)))
		for s.tags[at] != 0 {
			at = s.after(at)
		}
		s.copyRow(at, from, i)
	}
}
