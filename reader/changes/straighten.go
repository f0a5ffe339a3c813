// SPDX-License-Identifier: Apache-2.0

package changes

// bentShare of the rows may stand elsewhere than behind the one before them in
// the chain, before memory is put in order: comparing leaps costs some 30 ns a
// row, and moving a row ten times that.
const bentShare = 64

// straighten puts rows into memory in the order in which the last scan met
// them, if that has become too much of a leap. Where owners update rows in place
// it never happens; the kernel's own update of a hash moves the row to the front
// of its bucket.
//
// It sorts the chain in place, as MacLaren did (Knuth 5.2, exercise 12): a slot
// that was left says in next where its row has gone to.
func (h *history) straighten() {
	// A row that was met twice is in the chain once or never.
	if h.bent*bentShare < h.rows || h.passed != h.met {
		return
	}
	h.bent = 0
	slot := h.first
	for k := range uint32(h.met) {
		for slot < k {
			slot = *h.next(slot)
		}
		next := *h.next(slot)
		if slot != k {
			h.swap(slot, k)
			*h.next(slot), *h.next(k) = *h.next(k), slot
		}
		slot = next
	}
	h.relink()
}

// relink makes the chain follow memory, and finds the free slots again.
func (h *history) relink() {
	met := uint32(h.met)
	h.free = none
	for k := h.slots; k > 0; {
		k--
		c, i := h.at(k)
		switch {
		case k+1 < met:
			c.next[i] = k + 1
		case c.stamp[i] == 0:
			c.next[i], h.free = h.free, k
		default:
			c.next[i] = none
		}
	}
	if h.first = none; met > 0 {
		h.first = 0
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
