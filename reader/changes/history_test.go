// SPDX-License-Identifier: Apache-2.0

package changes

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestHistory holds a history against a plain map, while rows come in another
// order each time, come and go, and memory is put in order.
func TestHistory(t *testing.T) {
	budget := NewBudget(1 << 20)
	h := newHistory(8, 8, budget)
	random := rand.New(rand.NewPCG(3, 4))
	var order []uint64 // in which keys are met
	for key := range uint64(3000) {
		order = append(order, key)
	}
	known := map[uint64]uint64{}
	straight := 0
	for range 200 {
		for range random.IntN(100) {
			a, b := random.IntN(len(order)), random.IntN(len(order))
			switch random.IntN(8) {
			case 0: // all between the two move by one
				key := order[a]
				order = slices.Insert(slices.Delete(order, a, a+1), b, key)
			case 1: // many change places
				a, b = min(a, b), max(a, b)
				order = append(append(order[a:b:b], order[:a]...), order[b:]...)
			default:
				order[a], order[b] = order[b], order[a]
			}
		}
		gone := order[len(order)-random.IntN(20):]
		met := order[:len(order)-len(gone)]
		h.begin()
		for _, key := range met {
			value := uint64(random.IntN(3))
			old, was := known[key]
			slot, what := h.meet(word(key), word(value))
			if what == homeless || (what == same) != (was && old == value) || string(h.row(slot)) != string(append(word(key), word(value)...)) {
				t.Fatalf("key %d: %d after %d, %v: %d", key, value, old, was, what)
			}
			known[key] = value
		}
		for slot, twice := h.missing(0); slot != none; slot, twice = h.missing(slot + 1) {
			if twice {
				delete(known, binary.LittleEndian.Uint64(h.row(slot)))
				h.remove(slot)
			}
		}
		if h.rows != len(known) || h.met != len(met) {
			t.Fatalf("%d rows of %d, met %d of %d", h.rows, len(known), h.met, len(met))
		}
		h.bent += random.IntN(2) * h.rows // straighten now or later
		h.bentBefore = h.bent
		before := leapsOf(h, len(met))
		if h.straighten(); h.bent == 0 {
			straight++
			slot := h.first
			for k, key := range met {
				if slot == none || !h.holds(slot, word(key)) {
					t.Fatalf("key %d is not the %dth, in slot %d", key, k, slot)
				}
				slot = *h.next(slot)
			}
			if after := leapsOf(h, len(met)); slot != none || after > before {
				t.Fatalf("the chain goes on to %d, %d leaps, %d before", slot, after, before)
			}
		}
	}
	if h.drop(); straight == 0 || budget.Used() != 0 {
		t.Fatalf("%d times straight, %d bytes", straight, budget.Used())
	}
}

// leapsOf counts the rows that are not followed in memory by the next one, of so many.
func leapsOf(h *history, rows int) (n int) {
	slot := h.first
	for range rows - 1 {
		if *h.next(slot) != slot+1 {
			n++
		}
		slot = *h.next(slot)
	}
	return n
}

func word(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
