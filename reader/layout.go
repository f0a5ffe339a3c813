// SPDX-License-Identifier: Apache-2.0

package reader

// frameAlign is the alignment of a claim's first byte and of the value column:
// one cache line, and enough for any type.
const frameAlign = 64

// layout places the rows of one frame: all keys, then all values.
type layout struct{ key, value int }

func alignUp(n int) int { return (n + frameAlign - 1) &^ (frameAlign - 1) }

// valuesOffset is where the value column of a frame of n rows begins.
func (l layout) valuesOffset(n int) int { return alignUp(n * l.key) }

// bytes is what a frame of n rows takes.
func (l layout) bytes(n int) int { return alignUp(l.valuesOffset(n) + n*l.value) }

// fit is the most rows that a claim of size bytes holds.
func (l layout) fit(size int) int {
	n := max(size, 0) / (l.key + l.value)
	for n > 0 && l.valuesOffset(n)+n*l.value > size {
		n--
	}
	return n
}

// columns describes a frame laid out for n rows.
func (l layout) columns(n int) (keys, values Column) {
	return Column{0, l.key}, Column{l.valuesOffset(n), l.value}
}

// settle finishes a frame that was laid out for room rows and got n of them:
// it closes or clears the unused part of the key column, so that no stale byte
// becomes visible, and returns the frame's columns and length.
func (l layout) settle(buf []byte, room, n int) (keys, values Column, length int) {
	if n == 0 {
		return Column{0, l.key}, Column{0, l.value}, 0
	}
	from, to := l.valuesOffset(room), l.valuesOffset(n)
	// Moving costs a copy of the values, leaving costs clearing the gap and
	// ring space. A batch that is a few rows short is the normal case: leave.
	if gap := from - to; gap > 0 && gap*16 < n*(l.key+l.value) {
		to = from
	}
	if to < from {
		copy(buf[to:to+n*l.value], buf[from:from+n*l.value])
	}
	clear(buf[n*l.key : to])
	length = to + n*l.value
	clear(buf[length:min(alignUp(length), len(buf))])
	return Column{0, l.key}, Column{to, l.value}, length
}
