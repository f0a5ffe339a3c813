// SPDX-License-Identifier: Apache-2.0

package changes

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ringside-bpf/ringside/reader"
)

// TestHistory holds a history against a plain map, while rows come in another
// order each time, come and go, and memory is put in order.
func TestHistory(t *testing.T) {
	t.Run("many rows", func(t *testing.T) { testHistory(t, 8, 3000) })
	t.Run("few rows", func(t *testing.T) { testHistory(t, 8, 40) })
	t.Run("few rows a chunk", func(t *testing.T) { testHistory(t, 4096, 300) })
	t.Run("slabs", func(t *testing.T) { testHistory(t, 512, 12_500) })
}

func testHistory(t *testing.T, valueSize, keys int) {
	budget := NewBudget(32 << 20)
	h := newHistory(8, valueSize, budget)
	random := rand.New(rand.NewPCG(3, 4))
	order := make([]uint64, keys) // in which keys are met
	for i := range order {
		order[i] = uint64(i)
	}
	known := map[uint64]uint64{}
	straight := 0
	for range min(300, 1_000_000/keys) {
		shuffle(random, order, random.IntN(keys/30+3))
		met := order[:len(order)-random.IntN(20)]
		h.begin()
		scanInto(t, h, met, known, random)
		for slot, twice := h.missing(0); slot != none; slot, twice = h.missing(slot + 1) {
			if twice {
				delete(known, binary.LittleEndian.Uint64(h.row(slot)))
				h.remove(slot)
			}
		}
		if h.rows != len(known) || h.met != len(met) {
			t.Fatalf("%d rows of %d, met %d of %d", h.rows, len(known), h.met, len(met))
		}
		checkOnward(t, h)
		if random.IntN(2) == 0 {
			continue // straighten later
		}
		h.bent, h.bentBefore = h.rows, h.rows
		before := leapsOf(h, len(met))
		if h.straighten(); h.bent == 0 {
			straight++
			checkOnward(t, h)
			checkChain(t, h, met, before)
		}
	}
	if many := keys*h.stride > 3*slabBytes; many != (h.slabs.bytes() > 0) {
		t.Fatalf("%d bytes in slabs", h.slabs.bytes())
	}
	if h.drop(); straight == 0 || budget.Used() != 0 {
		t.Fatalf("%d times straight, %d bytes", straight, budget.Used())
	}
}

// shuffle changes an order in so many places.
func shuffle(random *rand.Rand, order []uint64, times int) {
	for range times {
		a, b := random.IntN(len(order)), random.IntN(len(order))
		switch random.IntN(8) {
		case 0: // all between the two move by one
			key := order[a]
			order = slices.Insert(slices.Delete(order, a, a+1), b, key)
		case 1: // many change places
			a, b = min(a, b), max(a, b)
			copy(order, append(slices.Clone(order[a:b]), order[:a]...))
		case 2: // neighbours
			b = max(a, 1) - 1
			fallthrough
		default:
			order[a], order[b] = order[b], order[a]
		}
	}
}

// scanInto shows a history rows, of which some have changed.
func scanInto(t *testing.T, h *history, met []uint64, known map[uint64]uint64, random *rand.Rand) {
	t.Helper()
	rows, values := make([]byte, len(met)*h.stride), make([]uint64, len(met))
	for i, key := range met {
		if values[i] = known[key]; random.IntN(50) == 0 {
			values[i] = uint64(random.IntN(3))
		}
		copy(rows[i*h.stride:], word(key))
		copy(rows[i*h.stride+8:], word(values[i]))
	}
	f := &reader.Frame{Keys: reader.Column{Stride: h.stride}, Values: reader.Column{Offset: 8, Stride: h.stride}}
	for i := 0; i < len(met); i++ {
		for range h.run(rows[i*h.stride:], rows[i*h.stride+8:], f, len(met)-i) {
			if old, was := known[met[i]]; !was || old != values[i] {
				t.Fatalf("key %d: %d after %d, %v, and seemed the same", met[i], values[i], old, was)
			}
			i++
		}
		if i == len(met) {
			break
		}
		key, value, row := met[i], values[i], rows[i*h.stride:][:h.stride]
		old, was := known[key]
		slot, what := h.meet(row[:8], row[8:])
		if what == homeless || (what == same) != (was && old == value) || string(h.row(slot)) != string(row) {
			t.Fatalf("key %d: %d after %d, %v: %d", key, value, old, was, what)
		}
		known[key] = value
	}
}

// checkChain holds the chain against the order of the last scan; before are the
// leaps that it had.
func checkChain(t *testing.T, h *history, met []uint64, before int) {
	t.Helper()
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

// checkOnward holds what a word tells of its rows against what they say.
func checkOnward(t *testing.T, h *history) {
	t.Helper()
	for slot := range h.slots {
		c, i := h.at(slot)
		said, is := c.onward[i/wordRows]>>(i%wordRows)&1 == 1, c.stamp[i] != 0 && c.next[i] == slot+1
		if said != is {
			t.Fatalf("slot %d of age %d leads to %d, and leads to the next: %v", slot, c.stamp[i], c.next[i], said)
		}
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
