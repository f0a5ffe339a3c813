// SPDX-License-Identifier: Apache-2.0

package prefetch_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ringside-bpf/ringside/clients/go/internal/prefetch"
)

// TestSpans: it is a hint, whatever is asked for.
func TestSpans(t *testing.T) {
	b := bytes.Repeat([]byte{7}, 1<<12)
	for _, offsets := range [][]uint{nil, {0}, {4095}, {1 << 12}, {1 << 40, 0, 1 << 63, ^uint(0), 17}} {
		for _, n := range []int{0, 1, 64, 1 << 30} {
			prefetch.Spans(b, offsets, n)
			prefetch.Spans(nil, offsets, n)
		}
	}
	if !bytes.Equal(b, bytes.Repeat([]byte{7}, 1<<12)) {
		t.Error("the memory that was asked for has changed")
	}
}

var sum byte // or the compiler could leave out the reading

// BenchmarkCopy copies rows that lie here and there in more memory than caches hold, a block of
// them after the other, and asks for a block before the one that comes before it is copied.
func BenchmarkCopy(b *testing.B) {
	const block, size = 16, 40
	memory := make([]byte, 64<<20)
	for i := range memory {
		memory[i] = byte(i)
	}
	ask := map[string]func(offsets []uint){
		"not asked for": func([]uint) {},
		"by loads": func(offsets []uint) {
			for _, at := range offsets {
				sum += memory[at] + memory[at+size-1]
			}
		},
		"by prefetches": func(offsets []uint) { prefetch.Spans(memory, offsets, size) },
	}
	for _, how := range slices.Sorted(maps.Keys(ask)) {
		b.Run(how, func(b *testing.B) {
			var blocks [2][block]uint
			var row [size]byte
			for now := 0; b.Loop(); now = 1 - now {
				next := &blocks[1-now]
				for i := range next {
					next[i] = uint(rand.Uint32N(uint32(len(memory)-size))) &^ 7
				}
				ask[how](next[:])
				for _, at := range blocks[now] {
					copy(row[:], memory[at:])
					sum += row[0]
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*block), "ns/row")
		})
	}
}
