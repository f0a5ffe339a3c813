// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"github.com/ringside-bpf/ringside/clients/go/internal/prefetch"
)

// block is for how many rows at once memory is asked. A processor waits for some
// twenty lines at once, and more requests than that wait for each other.
const block = 16

// ahead is where the rows of a batch are likely to lie in a store, or to come. In a
// store larger than the caches each of them waits for memory twice, for the tags of
// its group and for the row. So the tags of one block of rows and the rows of another
// are on their way while a third is dealt with.
type ahead struct {
	hashed, found int         // so many rows of the batch, whole blocks of them
	blocks        [4]struct { // three are in use, and a fourth makes their number a power of two
		hashes [block]uint32
		slots  [block]uint
	}
}

// start forgets what is known of a batch from a row on, the first of a block.
func (a *ahead) start(row int) { a.hashed, a.found = row, row }

// ready is before each block of b: the hashes of its keys, and the slots to try first.
func (a *ahead) ready(s *store, b *Batch, first int) (hashes []uint32, likely []uint) {
	rows := int(b.rows)
	for ; a.hashed < min(first+3*block, rows); a.hashed += block {
		hashes, _ := a.at(b, a.hashed)
		askTags(s, b, a.hashed, hashes)
	}
	for ; a.found < min(first+2*block, rows); a.found += block {
		hashes, slots := a.at(b, a.found)
		askRows(s, hashes, slots)
	}
	return a.at(b, first)
}

func (a *ahead) at(b *Batch, first int) (hashes []uint32, slots []uint) {
	at, n := &a.blocks[first/block%len(a.blocks)], min(block, int(b.rows)-first)
	return at.hashes[:n], at.slots[:n]
}

// askTags fills in hashes, and asks for the tags that they say.
func askTags(s *store, b *Batch, first int, hashes []uint32) {
	var groups [block]uint
	for i := range hashes {
		h := s.seed.hash(b.key(first + i))
		hashes[i], groups[i] = h, uint(s.home(h))
	}
	prefetch.Spans(s.tags, groups[:len(hashes)], group)
}

// askRows fills in slots, and asks for the rows there.
func askRows(s *store, hashes []uint32, slots []uint) {
	var offsets [block]uint
	for i, h := range hashes {
		slots[i] = uint(s.likely(h))
		offsets[i] = slots[i] * uint(s.stride)
	}
	prefetch.Spans(s.rows, offsets[:len(hashes)], s.stride)
}
