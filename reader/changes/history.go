// SPDX-License-Identifier: Apache-2.0

package changes

import (
	"hash/maphash"
	"math/bits"
)

// none is no slot.
const none = ^uint32(0)

// chunkBytes is what the rows of one chunk take, about.
const chunkBytes = 64 << 10

// indexBytes bounds what a row takes in the index, just after it has doubled.
const indexBytes = 22

// metaBytes is what a slot takes beside its row, rounded up.
const metaBytes = 4 + 1 + 1

// chunk is memory for some rows. A chunk never moves, so that a map that grows
// costs no copying.
type chunk struct {
	rows   []byte   // key and value, each on 8 bytes, zero between
	next   []uint32 // the slot whose row came next, when last looked at; of a free slot, the next free one
	stamp  []uint8  // age of the scan that met the row; 0: the slot is free
	onward []uint64 // a bit a slot: it is not free, and next is the slot behind it
}

// history holds every row as it was last published.
//
// Slots form a chain in the order of the last scans. The chain is a hint: a row
// that is not where it leads to is found by the index, and the chain corrected.
//
// Ages are 1, 2, 3 and 1 again: after a completed scan, every row was met by it
// or by the one before.
type history struct {
	keySize, valueSize int
	keyStride, stride  int
	shift              int // slots a chunk, as a power of two
	budget             *Budget
	taken              int64 // of it, beside slabs
	slabs              slabs

	chunks []chunk
	index  index
	slots  uint32 // ever used
	free   uint32 // first of the free ones
	rows   int
	met    int // of them, by this scan
	passed int // rows of this scan, with those met twice
	bent   int // places where the chain was corrected since it was straight

	bentBefore int                // of them, before this scan
	age        uint8              // of this scan
	ages       [2][wordRows]uint8 // the one before and this one, repeated

	spare  []byte // one row
	first  uint32 // where the chain begins
	before uint32 // the slot that was met last, or none
	expect uint32 // the slot that should come now, or none
}

// verdict is what is known of a row that was met.
type verdict uint8

const (
	same verdict = iota
	differs
	homeless // there is no memory for it
)

func newHistory(keySize, valueSize int, budget *Budget) *history {
	h := &history{
		keySize: keySize, valueSize: valueSize, keyStride: round8(keySize), budget: budget,
		index: index{seed: maphash.MakeSeed()}, free: none, first: none, before: none, expect: none,
	}
	h.stride = h.keyStride + round8(valueSize)
	h.spare = make([]byte, h.stride)
	h.shift = bits.Len(uint(max(chunkBytes/h.stride, 16))) - 1
	return h
}

func round8(n int) int { return (n + 7) &^ 7 }

// rowCost bounds the memory that one row of a large map takes.
func rowCost(keySize, valueSize int) int64 {
	return int64(round8(keySize) + round8(valueSize) + metaBytes + indexBytes)
}

// bytes is the memory it takes.
func (h *history) bytes() int64 { return h.taken + h.slabs.bytes() }

// drop gives all memory back.
func (h *history) drop() {
	h.budget.give(h.taken)
	h.slabs.drop(h.budget)
	h.taken, h.chunks, h.index.table = 0, nil, nil
}

// begin makes ready for a scan.
func (h *history) begin() {
	h.age = h.age%3 + 1
	for i := range wordRows {
		h.ages[0][i], h.ages[1][i] = h.previous(), h.age
	}
	h.met, h.passed, h.before, h.expect = 0, 0, none, h.first
}

// previous is the age of the scan before.
func (h *history) previous() uint8 { return (h.age+1)%3 + 1 }

// rewind forgets that a scan had begun: a row that it has met counts as met by
// the last that was completed, which can only delay a deletion.
func (h *history) rewind() {
	for _, c := range h.chunks {
		for i, age := range c.stamp {
			if age == h.age {
				c.stamp[i] = h.previous()
			}
		}
	}
	h.age = h.previous()
}

func (h *history) at(slot uint32) (*chunk, int) {
	return &h.chunks[slot>>h.shift], int(slot & (1<<h.shift - 1))
}

// row is the content of a slot.
func (h *history) row(slot uint32) []byte {
	c, i := h.at(slot)
	return c.rows[i*h.stride:][:h.stride:h.stride]
}

// holds reports whether a slot is the one of a key.
func (h *history) holds(slot uint32, key []byte) bool {
	c, i := h.at(slot)
	return c.stamp[i] != 0 && string(c.rows[i*h.stride:][:h.keySize]) == string(key)
}

// meet compares a row of a scan with what is known, and keeps what is new.
func (h *history) meet(key, value []byte) (uint32, verdict) {
	slot := h.expect
	if slot == none || !h.holds(slot, key) {
		if slot = h.index.find(h, key); slot == none {
			if slot = h.insert(key); slot == none {
				return none, homeless
			}
			c, i := h.at(slot)
			c.lead(i, slot, h.expect)
			h.link(slot)
			copy(c.rows[i*h.stride+h.keyStride:][:h.valueSize], value)
			h.pass(slot, c, i)
			return slot, differs
		}
		h.link(slot)
	}
	c, i := h.at(slot)
	known := c.rows[i*h.stride+h.keyStride:][:h.valueSize]
	h.pass(slot, c, i)
	if string(known) == string(value) {
		return slot, same
	}
	copy(known, value)
	return slot, differs
}

// link makes the chain lead to a slot next time.
func (h *history) link(slot uint32) {
	h.bent++
	if h.before == none {
		h.first = slot
	} else if c, i := h.at(h.before); slot != h.before {
		c.lead(i, h.before, slot)
	}
}

// lead makes the chain go from the i-th row, which has the number slot, to another.
func (c *chunk) lead(i int, slot, next uint32) {
	c.next[i] = next
	if bit := uint64(1) << (i % wordRows); next == slot+1 {
		c.onward[i/wordRows] |= bit
	} else {
		c.onward[i/wordRows] &^= bit
	}
}

// pass moves on behind a slot.
func (h *history) pass(slot uint32, c *chunk, i int) {
	if c.stamp[i] != h.age {
		c.stamp[i] = h.age
		h.met++
	}
	h.passed++
	h.before, h.expect = slot, c.next[i]
}

// insert finds room for a key. It returns none if there is no memory.
func (h *history) insert(key []byte) uint32 {
	if !h.index.reserve(h) {
		return none
	}
	slot := h.free
	if slot != none {
		c, i := h.at(slot)
		h.free = c.next[i]
	} else {
		if int(h.slots)>>h.shift == len(h.chunks) && !h.extend() {
			return none
		}
		slot = h.slots
		h.slots++
	}
	copy(h.row(slot), key) // up to the next 8 bytes it is zero, and stays so
	c, i := h.at(slot)
	c.stamp[i] = h.previous() // pass counts it
	h.index.add(key, slot)
	h.rows++
	return slot
}

// extend adds a chunk.
func (h *history) extend() bool {
	slots := 1 << h.shift
	if h.slots > none-uint32(slots)-1 {
		return false
	}
	var rows []byte
	need := int64(slots) * metaBytes
	if h.taken > 2*slabBytes { // or too much of a slab could be left over
		rows = h.slabs.cut(slots*h.stride, h.budget)
	}
	if rows == nil {
		need += int64(slots * h.stride)
	}
	if !h.budget.take(need) {
		return false
	}
	h.taken += need
	if rows == nil {
		rows = make([]byte, slots*h.stride)
	}
	h.chunks = append(h.chunks, chunk{
		rows: rows, next: make([]uint32, slots), stamp: make([]uint8, slots),
		onward: make([]uint64, (slots+wordRows-1)/wordRows),
	})
	return true
}

// remove forgets a row.
func (h *history) remove(slot uint32) {
	h.index.remove(h.row(slot)[:h.keySize], slot)
	c, i := h.at(slot)
	c.stamp[i] = 0
	c.lead(i, slot, none) // where it is not the list of free ones
	c.next[i], h.free = h.free, slot
	h.rows--
}

// missing finds the first slot from one on whose row this scan has not met, and
// tells whether the scan before had not met it either.
func (h *history) missing(from uint32) (slot uint32, twice bool) {
	for ; from < h.slots; from++ {
		c, i := h.at(from)
		if age := c.stamp[i]; age != 0 && age != h.age {
			return from, age != h.previous()
		}
	}
	return none, false
}

// found notes that a row is there, though the scan has not met it.
func (h *history) found(slot uint32) {
	c, i := h.at(slot)
	c.stamp[i] = h.age
}
