// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math/rand/v2"
)

// flatRow is a row of an array whose index is the key.
type flatRow struct {
	key   uint32
	value value
}

// flat is two arrays that hold what a table's copies hold, without looking for
// it: what memory alone takes, for the same rows in the same order of access.
type flat struct {
	shown, spare []flatRow
	rows         []flatRow // that are written next
	random       *rand.Rand
}

func newFlat(entries, changed int) *flat {
	f := &flat{make([]flatRow, entries), make([]flatRow, entries), make([]flatRow, changed), rand.New(rand.NewPCG(3, 4))}
	for i := range uint32(entries) {
		f.shown[i] = flatRow{i, value{uint64(i)}}
	}
	copy(f.spare, f.shown)
	return f
}

// getFromArray reads rows in random order.
func (k *kept) getFromArray(_ context.Context, p *pass) error {
	found, sum, x := 0, uint64(0), k.random.Uint32()
	rows := k.flat.shown
	start := processorTime()
	for range manyLookups {
		x = x*1664525 + 1013904223
		if row := &rows[uint64(x)*uint64(len(rows))>>32]; row.key < uint32(len(rows)) {
			found++
			sum += row.value[0] + row.value[len(row.value)-1]
		}
	}
	return k.looked(p, start, manyLookups, found, sum)
}

// changeArrays writes rows to the array that is not shown, shows it, and writes
// them to the other.
func (k *kept) changeArrays(_ context.Context, p *pass) error {
	f := k.flat
	for i := range f.rows {
		id := f.random.Uint32N(uint32(k.entries))
		f.rows[i] = flatRow{id, value{uint64(id), k.scan}}
	}
	start := processorTime()
	for i := range f.rows {
		f.spare[f.rows[i].key] = f.rows[i]
	}
	f.shown, f.spare = f.spare, f.shown
	for i := range f.rows {
		f.spare[f.rows[i].key] = f.rows[i]
	}
	p.took += processorTime() - start
	p.rows += len(f.rows)
	return nil
}
