// SPDX-License-Identifier: Apache-2.0

package changes

import "sync/atomic"

// Budget is memory that several stages may use together. It may be used by any
// number of goroutines.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget allows so many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{limit: bytes} }

// Limit is what all stages may use together.
func (b *Budget) Limit() int64 { return b.limit }

// Used is what they use now.
func (b *Budget) Used() int64 { return b.used.Load() }

func (b *Budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *Budget) give(n int64) { b.used.Add(-n) }

func (b *Budget) free() int64 { return b.limit - b.used.Load() }
