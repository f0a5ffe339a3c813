// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !race

package nontemporal

import "unsafe"

const line = 64

// Copy is copy for what is long: some thousand bytes at least, or the fences cost
// more than is gained.
//
// Unsafe: head is less than a line, so it is in to if to has a line; all of the
// lines are behind it and in both, which are as long as each other.
func Copy(to, from []byte) int {
	n := min(len(to), len(from))
	if n < 2*line {
		return copy(to, from)
	}
	to, from = to[:n:n], from[:n:n]
	head := int(-uintptr(unsafe.Pointer(unsafe.SliceData(to))) % line)
	copy(to[:head], from)
	whole := (n - head) / line
	copyLines(&to[head], &from[head], whole)
	copy(to[head+whole*line:], from[head+whole*line:])
	return n
}

// copyLines copies n > 0 lines; to is the beginning of one.
//
//go:noescape
func copyLines(to, from *byte, n int)
