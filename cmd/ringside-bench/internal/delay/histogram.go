// SPDX-License-Identifier: Apache-2.0

package delay

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"time"
)

const (
	subBits = 5
	sub     = 1 << subBits         // buckets in each power of two: steps of at most 1/32
	buckets = (64 - subBits) * sub // every int64
)

// Histogram counts durations in buckets of constant relative width. The zero
// value is empty.
type Histogram struct {
	counts [buckets]uint32
	total  uint64
	max    time.Duration
}

func index(ns uint64) int {
	if ns < sub {
		return int(ns)
	}
	exponent := bits.Len64(ns) - subBits - 1
	return exponent*sub + int(ns>>exponent)
}

// upper is the largest value that falls into bucket i.
func upper(i int) uint64 {
	if i < 2*sub {
		return uint64(i)
	}
	exponent := i/sub - 1
	return (uint64(i%sub+sub)+1)<<exponent - 1
}

// Add counts one; what is negative counts as nothing.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.max = max(h.max, d)
	h.counts[index(uint64(d))]++
	h.total++
}

// Total is how many were counted, Max the longest.
func (h *Histogram) Total() uint64      { return h.total }
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the smallest bound that a share q of all durations stays below.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.total))
	var seen uint64
	for i, n := range h.counts {
		if seen += uint64(n); seen > rank {
			return min(time.Duration(upper(i)), h.max)
		}
	}
	return h.max
}

// Merge counts what other has counted, too.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// sparse is how a histogram travels.
type sparse struct {
	Max    time.Duration  `json:"max_ns"`
	Counts map[int]uint32 `json:"counts"`
}

// MarshalJSON implements json.Marshaler.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	s := sparse{h.max, map[int]uint32{}}
	for i, n := range h.counts {
		if n > 0 {
			s.Counts[i] = n
		}
	}
	return json.Marshal(s)
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var s sparse
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*h = Histogram{max: s.Max}
	for i, n := range s.Counts {
		if i < 0 || i >= buckets {
			return fmt.Errorf("a histogram has %d buckets, none is number %d", buckets, i)
		}
		h.counts[i] = n
		h.total += uint64(n)
	}
	return nil
}
