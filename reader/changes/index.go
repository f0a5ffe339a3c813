// SPDX-License-Identifier: Apache-2.0

package changes

import "hash/maphash"

// leastIndex is how many places the smallest index has.
const leastIndex = 64

// index finds the slot of a key: open addressing, linear probing, no
// tombstones. Each place holds the key's hash and the slot, so that growing and
// removing need not look at rows. The hash is seeded: keys are often chosen by
// strangers, such as the addresses of peers.
type index struct {
	seed  maphash.Seed
	table []uint64 // hash << 32 | slot + 1; 0: empty
}

func (x *index) hash(key []byte) uint32 { return uint32(maphash.Bytes(x.seed, key)) }

func place(hash, slot uint32) uint64 { return uint64(hash)<<32 | uint64(slot+1) }

func (x *index) mask() uint32 { return uint32(len(x.table) - 1) }

func (x *index) find(h *history, key []byte) uint32 {
	if len(x.table) == 0 {
		return none
	}
	hash := x.hash(key)
	for i := hash & x.mask(); ; i = (i + 1) & x.mask() {
		p := x.table[i]
		if p == 0 {
			return none
		}
		if slot := uint32(p) - 1; uint32(p>>32) == hash && h.holds(slot, key) {
			return slot
		}
	}
}

// reserve makes room for one more key, a quarter of the places staying empty.
func (x *index) reserve(h *history) bool {
	if (h.rows+1)*4 <= len(x.table)*3 {
		return true
	}
	old := x.table
	size := max(2*len(old), leastIndex)
	need := int64(size-len(old)) * 8
	if !h.budget.take(need) {
		return false
	}
	h.taken += need
	x.table = make([]uint64, size)
	for _, p := range old {
		if p != 0 {
			x.put(p)
		}
	}
	return true
}

func (x *index) add(key []byte, slot uint32) { x.put(place(x.hash(key), slot)) }

func (x *index) put(p uint64) {
	i := uint32(p>>32) & x.mask()
	for x.table[i] != 0 {
		i = (i + 1) & x.mask()
	}
	x.table[i] = p
}

// at is the place of a key that is in a slot.
func (x *index) at(key []byte, slot uint32) *uint64 {
	want := place(x.hash(key), slot)
	i := uint32(want>>32) & x.mask()
	for x.table[i] != want {
		i = (i + 1) & x.mask()
	}
	return &x.table[i]
}

// remove takes a key out and closes the gap: whoever stands behind it and would
// rather be in front of it moves up.
func (x *index) remove(key []byte, slot uint32) {
	want := place(x.hash(key), slot)
	gap := uint32(want>>32) & x.mask()
	for x.table[gap] != want {
		gap = (gap + 1) & x.mask()
	}
	for i := (gap + 1) & x.mask(); x.table[i] != 0; i = (i + 1) & x.mask() {
		home := uint32(x.table[i]>>32) & x.mask()
		if (i-home)&x.mask() >= (i-gap)&x.mask() {
			x.table[gap] = x.table[i]
			gap = i
		}
	}
	x.table[gap] = 0
}
