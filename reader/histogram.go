// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"math/bits"
	"time"
)

const (
	histSub     = 8                  // buckets in each power of two: steps of at most 1/8
	histBuckets = (64 - 2) * histSub // every int64
)

// histogram counts durations in buckets of constant relative width: fixed
// memory, no allocation, percentiles right to within 13 %.
type histogram struct {
	counts [histBuckets]uint32
	total  uint64
	max    time.Duration
}

func histIndex(ns uint64) int {
	if ns < histSub {
		return int(ns)
	}
	exponent := bits.Len64(ns) - 4 // the top four bits are 1xxx
	return exponent*histSub + int(ns>>exponent)
}

// histUpper is the largest value that falls into bucket i.
func histUpper(i int) uint64 {
	if i < 2*histSub {
		return uint64(i)
	}
	exponent := i/histSub - 1
	return (uint64(i%histSub+histSub)+1)<<exponent - 1
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.max = max(h.max, d)
	h.counts[histIndex(uint64(d))]++
	h.total++
}

// quantile is the smallest bound that a share q of all durations stays below.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.total))
	var seen uint64
	for i, n := range h.counts {
		if seen += uint64(n); seen > rank {
			return min(time.Duration(histUpper(i)), h.max)
		}
	}
	return h.max
}

// put adds n durations of bucket i, of which no more is known.
func (h *histogram) put(i int, n uint32) {
	if n == 0 {
		return
	}
	h.counts[i] += n
	h.total += uint64(n)
	h.max = max(h.max, time.Duration(histUpper(i)))
}

// merge takes everything out of other.
func (h *histogram) merge(other *histogram) {
	if other.total == 0 {
		return
	}
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
	*other = histogram{}
}
