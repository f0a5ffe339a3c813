// SPDX-License-Identifier: Apache-2.0

package changes

const (
	// bentShare of the rows may stand elsewhere than behind the one before them
	// in the chain, before memory is put in order: comparing leaps costs some 30
	// ns a row, and moving a row ten times that.
	bentShare = 32
	// restlessShare of the rows in one scan is too much to be worth it: the order
	// would not last.
	restlessShare = 16
)

// straighten puts rows into memory in the order in which the last scan met
// them, if that has become too much of a leap. Where owners update rows in place
// it never happens; the kernel's own update of a hash moves the row to the front
// of its bucket.
//
// It sorts the chain in place, as MacLaren did (Knuth 5.2, exercise 12): a slot
// that was left says in next where its row has gone to.
func (h *history) straighten() {
	restless := (h.bent - h.bentBefore) * restlessShare
	h.bentBefore = h.bent
	// A row that was met twice is in the chain once or never.
	if h.bent*bentShare < h.rows || restless > h.rows || h.passed != h.met {
		return
	}
	h.bent, h.bentBefore = 0, 0
	slot := h.first
	for k := uint32(0); k < uint32(h.met); k++ {
		for slot < k {
			slot = *h.next(slot)
		}
		if slot == k {
			c, i := h.at(k)
			n := c.straight(i, k, int(uint32(h.met)-k)) // mostly all of them
			slot, k = c.next[i+n-1], k+uint32(n)-1
			continue
		}
		next := *h.next(slot)
		h.swap(slot, k)
		*h.next(slot), *h.next(k) = *h.next(k), slot
		slot = next
	}
	h.relink()
}

// relink makes the chain follow memory, and finds the free slots again.
func (h *history) relink() {
	met := uint32(h.met)
	h.first, h.free = none, none
	for at := range h.chunks {
		c, base := &h.chunks[at], uint32(at)<<h.shift
		for i := range c.next {
			c.next[i] = base + uint32(i) + 1
		}
	}
	if met > 0 {
		h.first, *h.next(met - 1) = 0, none
	}
	for k := met; k < h.slots; k++ {
		c, i := h.at(k)
		c.next[i] = none
		if c.stamp[i] == 0 {
			c.next[i], h.free = h.free, k
		}
	}
}

func (h *history) next(slot uint32) *uint32 {
	c, i := h.at(slot)
	return &c.next[i]
}

// swap exchanges two slots, of which the first is not free.
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
