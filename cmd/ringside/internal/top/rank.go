// SPDX-License-Identifier: Apache-2.0

package top

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/render"
)

// Ranking says which rows are shown, and what of them.
type Ranking struct {
	By   *render.Field // nil: keys in their order
	Rate bool
	Rows int // at most
}

// row is one that may be shown.
type row struct {
	rank               uint64
	key, value, before []byte // before: the value then, nil if there was none
}

// best are the rows with the highest ranks; before is nil without rates.
func (r *Ranking) best(now, before *ringside.RawSnapshot) []*row {
	var list []*row
	for key, value := range now.All() {
		x := row{key: key, value: value}
		if before != nil {
			x.before = before.Get(key)
		}
		x.rank = r.rank(&x)
		if len(list) == r.Rows && compare(&x, list[len(list)-1]) >= 0 {
			continue
		}
		kept := x // alone on the heap
		at, _ := slices.BinarySearchFunc(list, &kept, compare)
		list = slices.Insert(list[:min(len(list), r.Rows-1)], at, &kept)
	}
	return list
}

// compare puts higher ranks first, and has an order where they are equal, so that
// a page that has not changed looks as it did.
func compare(a, b *row) int {
	return cmp.Or(cmp.Compare(b.rank, a.rank), bytes.Compare(a.key, b.key))
}

func (r *Ranking) rank(x *row) uint64 {
	switch {
	case r.By == nil:
		return 0
	case !r.Rate:
		return r.By.Order(r.By.Of(x.key, x.value))
	}
	bits := math.Float64bits(x.change(r.By))
	if bits>>63 != 0 {
		return ^bits
	}
	return bits | 1<<63
}

// change is how much a number of the row has grown.
func (x *row) change(f *render.Field) float64 {
	if x.before == nil {
		return f.Change(f.Of(x.key, x.value), 0, false)
	}
	return f.Change(f.Of(x.key, x.value), f.Of(x.key, x.before), true)
}
