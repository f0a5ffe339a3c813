// SPDX-License-Identifier: Apache-2.0

// Package prefetch asks for memory before it is wanted.
//
// A load whose value nobody needs yet asks for memory, too, but the processor keeps
// it, and some two hundred instructions behind it, until the value is there: that is
// how far ahead a loop can look by loads. A prefetch is done with when it is begun.
package prefetch

// Spans asks for the first and the last byte of the n bytes at each offset in b.
// That is a hint: nothing is read, and an offset that is not in b does no harm.
func Spans(b []byte, offsets []uint, n int) {
	if len(b) > 0 && len(offsets) > 0 {
		spans(&b[0], &offsets[0], len(offsets), n-1)
	}
}

// spans does it for count > 0 offsets; last is that of a span's last byte.
//
//go:noescape
func spans(base *byte, offsets *uint, count, last int)
