// SPDX-License-Identifier: Apache-2.0

package changes

import "bytes"

const (
	// bentShare of the rows may stand elsewhere than behind the one before them
	// in the chain, before memory is put in order: comparing leaps costs some 30
	// ns a row, and moving a row ten times that.
	bentShare = 128
	// restlessShare of the rows in one scan is too much to be worth it: the order
	// would not last.
	restlessShare = 16
)

// placed marks a slot, while rows are put in order, whose row is where it stays.
const placed = 4

var allPlaced = [wordRows]uint8(bytes.Repeat([]byte{placed}, wordRows))

// leap is a place where the chain does not lead to the next slot.
type leap struct{ from, to uint32 }

// straighten puts rows into memory in the order in which the last scan met
// them, if that has become too much of a leap. Where owners update rows in place
// it never happens; the kernel's own update of a hash moves the row to another
// place.
//
// It walks along the chain, and what should stand behind a row changes places with
// what stands there, if neither begins a run of rows that are in order already: an
// update leaves a hole here and fills one there, so all that is between the two
// stands one place from where it stood, and is in order all the same. To move it
// would be to move a third of all rows for the sake of a few leaps.
func (h *history) straighten() {
	restless := (h.bent - h.bentBefore) * restlessShare
	h.bentBefore = h.bent
	// A row that was met twice is in the chain once or never.
	if h.bent*bentShare < h.rows || restless > h.rows || h.passed != h.met {
		return
	}
	h.bent, h.bentBefore = 0, 0
	var leaps []leap
	before, slot := none, h.first
	for n := 0; n < h.met; {
		// A row that had to make room: next says where it has gone to.
		for *h.stamp(slot) == placed {
			slot = *h.next(slot)
		}
		switch want := before + 1; { // of none, 0
		case slot == want:
		case h.loose(slot) && h.yields(want):
			after := *h.next(slot)
			h.swap(slot, want)
			h.lead(slot, *h.next(want))
			h.lead(want, slot)
			*h.stamp(want) = placed
			before, slot = want, after
			n++
			continue
		default:
			leaps = append(leaps, leap{before, slot})
		}
		run := h.settle(slot, h.met-n)
		before, slot = slot+uint32(run)-1, *h.next(slot + uint32(run) - 1)
		n += run
	}
	h.relink(before, leaps)
}

// settle marks a slot as placed, and some of those that follow it in memory as in
// the chain, none of which can have made room: that happens only behind the row
// that was placed last. It returns how many.
func (h *history) settle(slot uint32, most int) int {
	c, i := h.at(slot)
	n := c.straight(i, most)
	copy(c.stamp[i:][:n], allPlaced[:])
	return n
}

// loose reports whether a row is followed by none that should follow it.
func (h *history) loose(slot uint32) bool { return *h.next(slot) != slot+1 }

// yields reports whether a slot can be had: it is free, or what is there is loose
// or in no chain.
func (h *history) yields(slot uint32) bool {
	if slot >= h.slots {
		return false
	}
	stamp := *h.stamp(slot)
	return stamp != placed && (stamp != h.age || h.loose(slot))
}

// relink makes the chain follow memory, but for leaps, up to the last row, and finds
// the free slots again.
func (h *history) relink(last uint32, leaps []leap) {
	h.first, h.free = none, none
	if h.met > 0 {
		h.first = 0
	}
	for at := range h.chunks {
		for c, i := &h.chunks[at], 0; i < len(c.stamp); i += wordRows {
			// Mostly there is nothing to mend.
			if stamp := c.stamp[i:]; c.onward[i/wordRows] == ^uint64(0) && [wordRows]uint8(stamp) == allPlaced {
				copy(stamp, h.ages[1][:])
			} else {
				h.relinkWord(c, i, uint32(at)<<h.shift+uint32(i))
			}
		}
	}
	for _, l := range leaps {
		if l.from == none {
			h.first = l.to
		} else {
			h.lead(l.from, l.to)
		}
	}
	if last != none {
		h.lead(last, none)
	}
}

// relinkWord does it for the rows from the i-th of a chunk on, which has the number
// slot, that one word tells of.
func (h *history) relinkWord(c *chunk, i int, slot uint32) {
	for last := min(i+wordRows, len(c.stamp)); i < last && slot < h.slots; i, slot = i+1, slot+1 {
		switch c.stamp[i] {
		case placed:
			c.stamp[i] = h.age
			c.lead(i, slot, slot+1)
		case 0:
			c.lead(i, slot, none)
			c.next[i], h.free = h.free, slot
		default: // in no chain
			c.lead(i, slot, none)
		}
	}
}

func (h *history) lead(slot, next uint32) {
	c, i := h.at(slot)
	c.lead(i, slot, next)
}

func (h *history) stamp(slot uint32) *uint8 {
	c, i := h.at(slot)
	return &c.stamp[i]
}

func (h *history) next(slot uint32) *uint32 {
	c, i := h.at(slot)
	return &c.next[i]
}

// swap exchanges the rows of two slots, of which the first is not free.
func (h *history) swap(a, b uint32) {
	ca, ia := h.at(a)
	cb, ib := h.at(b)
	rowA, rowB := h.row(a), h.row(b)
	placeA := h.index.at(rowA[:h.keySize], a)
	if cb.stamp[ib] != 0 {
		placeB := h.index.at(rowB[:h.keySize], b)
		*placeB += uint64(a) - uint64(b)
	}
	*placeA += uint64(b) - uint64(a)
	copy(h.spare, rowA)
	copy(rowA, rowB)
	copy(rowB, h.spare)
	ca.stamp[ia], cb.stamp[ib] = cb.stamp[ib], ca.stamp[ia]
}
