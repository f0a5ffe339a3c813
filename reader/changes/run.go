// SPDX-License-Identifier: Apache-2.0

package changes

import (
	"math/bits"

	"github.com/ringside-bpf/ringside/reader"
)

// wordRows are compared at once, at most: as many as one word tells of that they
// follow each other.
const wordRows = 64

// run passes rows, one after the other, as long as each is where it should be
// and what it was. Nearly all of them are, so this is what a scan costs. It
// returns how many; about the one that stopped it, meet decides. That may be for
// no reason: bytes behind a value are compared as well, and are nobody's.
func (h *history) run(keys, values []byte, f *reader.Frame, rows int) (n int) {
	// As our own programs leave rows, they are kept.
	alike := f.Keys.Stride == h.stride && f.Values.Stride == h.stride && f.Values.Offset == f.Keys.Offset+h.keyStride
	for n < rows && h.expect != none {
		c, i := h.at(h.expect)
		block := c.straight(i, rows-n)
		var same int
		if known := c.rows[i*h.stride:][:block*h.stride]; alike {
			same = sameRows(known, keys[n*h.stride:][:len(known)], h.stride)
		} else {
			same = h.samePairs(known, keys[n*f.Keys.Stride:], values[n*f.Values.Stride:], f)
		}
		h.passAll(c, i, same)
		if n += same; same < block || block == 0 {
			break
		}
	}
	return n
}

// straight counts rows from the i-th on that follow each other in memory as in the
// chain, but not all of them.
func (c *chunk) straight(i, most int) int {
	n := bits.TrailingZeros64(^(c.onward[i/wordRows] >> (i % wordRows)))
	if n == 0 && c.stamp[i] != 0 { // from here the chain leads elsewhere
		n = 1
	}
	return min(n, most)
}

// sameRows counts the rows up to the first that differs.
func sameRows(a, b []byte, stride int) (n int) {
	if string(a) == string(b) {
		return len(a) / stride
	}
	for string(a[n*stride:][:stride]) == string(b[n*stride:][:stride]) {
		n++
	}
	return n
}

// samePairs does it for keys and values that stand apart.
func (h *history) samePairs(known, keys, values []byte, f *reader.Frame) (n int) {
	for ; n*h.stride < len(known); n++ {
		row := known[n*h.stride:][:h.stride]
		if string(row[:h.keySize]) != string(keys[n*f.Keys.Stride:][:h.keySize]) ||
			string(row[h.keyStride:][:h.valueSize]) != string(values[n*f.Values.Stride:][:h.valueSize]) {
			break
		}
	}
	return n
}

// passAll moves on behind so many slots from the i-th of a chunk on, which
// follow each other.
func (h *history) passAll(c *chunk, i, n int) {
	if n == 0 {
		return
	}
	stamp := c.stamp[i:][:n]
	if string(stamp) == string(h.ages[0][:n]) {
		copy(stamp, h.ages[1][:n])
		h.met += n
	} else {
		for j, age := range stamp {
			if age != h.age {
				stamp[j] = h.age
				h.met++
			}
		}
	}
	h.passed += n
	h.before, h.expect = h.expect+uint32(n)-1, c.next[i+n-1]
}
